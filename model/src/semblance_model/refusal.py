"""The error of the builder: one exception with a stable code and a message."""


class Refusal(Exception):
    """The builder does not accept a model, a source or an output folder.

    `code` is stable, for programs; the message names the file, the field and the value.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"
