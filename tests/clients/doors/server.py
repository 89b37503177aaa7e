"""`semblance serve` as a process."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from doors import OPENING_SECONDS, Door, built
from doors.environment import cross_encoder_bundle, environment

_STOPPING_SECONDS = 60.0


class Server:
    """A server that listens on a free port for as long as the `with` block."""

    def __init__(
        self, *arguments: str, cross_encoder: bool = True, settings: Mapping[str, str] | None = None
    ):
        command = [str(built("target/debug/semblance", "test-clients")), "serve", "--port", "0"]
        variables = {**environment(cross_encoder=False), **(settings or {})}
        if cross_encoder:
            command += ["--cross-encoder", cross_encoder_bundle()]
        self._process = subprocess.Popen(
            [*command, *arguments], env=variables, stdout=subprocess.PIPE, text=True
        )
        # Every line of the log, as it is parsed.
        self.log: list[dict[str, Any]] = []
        self.url = ""
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._listening.wait(OPENING_SECONDS) or not self.url:
            self._process.kill()
            raise RuntimeError(f"the server did not listen: {self._process.wait()} {self.log}")

    @property
    def door(self) -> Door:
        """Where clients go in."""
        return Door("serve", self.url)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def stop(self) -> int:
        """Asks it to stop; its exit status."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(_STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self._reader.join()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        ended = self._process.poll()
        status = self.stop() if ended is None else ended
        assert status == 0, f"the server ended with status {status}: {self.log[-3:]}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        # Read to the end: a full pipe would stop the server.
        for line in _objects(self._process.stdout):
            self.log.append(line)
            if line.get("message") == "listening":
                self.url = str(line["url"])
                self._listening.set()
        self._listening.set()


def _objects(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        parsed = json.loads(line)
        assert isinstance(parsed, dict), "a line of the log is an object"
        yield parsed
