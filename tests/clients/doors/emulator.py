"""The function under the Lambda emulator, `cargo lambda watch`."""

import os
import signal
import socket
import subprocess
import time
from types import TracebackType
from typing import Self

import httpx

from doors import OPENING_SECONDS, REPOSITORY, Door
from doors.environment import environment

FUNCTION = "similarity"


class Emulator:
    """An emulator that runs the function for as long as the `with` block."""

    def __init__(self) -> None:
        tools = REPOSITORY / ".venv/bin"
        if not (tools / "cargo-lambda").exists():
            raise FileNotFoundError("cargo-lambda is missing: run `make setup`")
        port = _free_port()
        # Where the AWS SDKs go.
        self.invoke_url = f"http://127.0.0.1:{port}"
        # The function's URL.
        self.url = f"{self.invoke_url}/lambda-url/{FUNCTION}"
        variables = environment()
        variables["PATH"] = f"{tools}:{variables['PATH']}"
        command = ["cargo", "lambda", "watch", "--quiet", "--ignore-changes"]
        self._process = subprocess.Popen(
            [*command, "--invoke-address", "127.0.0.1", "--invoke-port", str(port)],
            cwd=REPOSITORY,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._open(port)
        except BaseException:
            self._stop()
            raise

    @property
    def door(self) -> Door:
        """Where clients go in."""
        return Door("function URL", self.url)

    def _open(self, port: int) -> None:
        deadline = time.monotonic() + OPENING_SECONDS
        while not _answers(port):
            assert self._process.poll() is None, "the emulator runs"
            assert time.monotonic() < deadline, "the emulator listens"
            time.sleep(0.02)
        # The first event starts the function; clients have shorter patience than a compiler.
        health = httpx.post(
            f"{self.invoke_url}/2015-03-31/functions/{FUNCTION}/invocations",
            json={"operation": "health"},
            timeout=OPENING_SECONDS,
        )
        assert health.status_code == 200, health.text

    def _stop(self) -> None:
        # The function is a separate child in the group.
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
