"""Functions under the Runtime API of the Rust tests, which measures the times."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.process import Answer, Memory, memory
from launcher import Launched


class Function:
    """A running function."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path):
        lambda_environment = {
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_FUNCTION_NAME": "similarity",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            "AWS_REGION": "eu-west-1",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "_HANDLER": "bootstrap",
        }
        self._launched = Launched(
            "runtime",
            "--",
            *command,
            profile="release",
            environment=lambda_environment | dict(environment),
            log=log,
        )

    def first(self, event: bytes) -> Answer:
        """The response to the first event, timed from the start of the process."""
        return self._answer(event, "since_start_ms")

    def ask(self, event: bytes) -> Answer:
        """The response to an event."""
        return self._answer(event, "elapsed_ms")

    def memory(self) -> Memory:
        return memory(self._launched.pid)

    def stop(self) -> None:
        self._launched.stop()

    def _answer(self, event: bytes, time: str) -> Answer:
        answer = self._launched.ask(event.decode())
        body = str(answer["body"])
        if answer["kind"] != "response":
            raise RuntimeError(f"the function answered with {answer['kind']}: {body}")
        return Answer(body.encode(), float(answer[time]))


def unpack(package: Path, folder: Path) -> Path:
    """Extracts a package like Lambda and returns the folder."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    (folder / "bootstrap").chmod(0o755)
    return folder
