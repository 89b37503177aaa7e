"""Why a model was not built: one exception, a stable code, a message that names what to change."""


class Refusal(Exception):
    """A model, a source or an output place that the builder does not accept.

    `code` is stable and meant for programs; the message names the file, the field and the value.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"
