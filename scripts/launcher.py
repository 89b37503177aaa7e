"""Starts the emulator, the server, or a function under a Runtime API.

The launchers are those of the Rust tests, in crates/test-support; `cargo build --bin
semblance-test-support` builds their program. It stops what it started when its standard input ends,
so nothing outlives this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]

# Longer than the launcher waits before it kills the process.
_STOP_SECONDS = 90.0


class LaunchError(Exception):
    """The process did not start, or failed; the message has its log."""


class Launched:
    """A process that runs for as long as the `with` block, and must end without an error."""

    def __init__(
        self,
        *arguments: str,
        profile: str = "debug",
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        on_log: Callable[[str], None] | None = None,
    ):
        """Starts the process. Its log goes to a file or to `on_log`, if given, else to `lines`."""
        program = ROOT / "target" / profile / "semblance-test-support"
        if not program.exists():
            raise FileNotFoundError(f"{program} is missing: run `cargo build --bin {program.name}`")
        self.lines: list[str] = []
        self._on_log = on_log or self.lines.append
        self._log = log.open("w", encoding="utf-8") if log else None
        self._process = subprocess.Popen(
            [program, *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log or subprocess.PIPE,
            text=True,
            # Signals of the terminal do not reach the launcher: it has to stop the process first.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            #: What the launcher says of the process: its address, its id.
            self.ready = self._line()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return str(self.ready["url"])

    @property
    def pid(self) -> int:
        """The id of the process."""
        return int(self.ready["pid"])

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the log that are JSON objects."""
        parsed = (json.loads(line) for line in self.lines if line.startswith("{"))
        return [line for line in parsed if isinstance(line, dict)]

    def ask(self, event: str) -> dict[str, Any]:
        """The answer of a function under a Runtime API to an event."""
        self.send(event)
        while (line := self._line())["kind"] == "ready":
            pass
        return line

    def send(self, event: str, request_id: str | None = None) -> None:
        """Gives a function under a Runtime API an event."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"event": event, "id": request_id}) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any] | None:
        """The next line of the launcher; none at its end."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return None
        parsed = json.loads(line)
        assert isinstance(parsed, dict)
        return parsed

    def finish_log(self) -> None:
        """Waits until the log is read to its end."""
        self._reader.join()

    def kill(self) -> None:
        """Ends the launcher and what it started at once, without a chance to clean up."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> int:
        """Stops the process and returns its exit status: 0 if it ended as it should."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(_STOP_SECONDS)
        finally:
            self._process.kill()
            self._reader.join()
            if self._log:
                self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        status = self.stop()
        if status != 0 and _error is None:
            raise self._failure(f"exit status {status}")

    def _line(self) -> dict[str, Any]:
        line = self.receive()
        if line is None:
            self._process.wait(_STOP_SECONDS)
            self.finish_log()
            raise self._failure("it ended")
        return line

    def _failure(self, what: str) -> LaunchError:
        log = Path(self._log.name).read_text() if self._log else "\n".join(self.lines)
        return LaunchError(f"{what}; the log ends with:\n{log[-2000:]}")

    def _read(self) -> None:
        # Read to the end: a full pipe would stop the process.
        for line in self._process.stderr or ():
            self._on_log(line.rstrip("\n"))
