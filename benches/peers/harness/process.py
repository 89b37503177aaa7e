"""A process that answers events, and its memory."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """The response of a peer to an event."""

    body: bytes
    #: From handing the event over, or from the start if it was there before, to the whole answer.
    elapsed_ms: float


@dataclass(frozen=True)
class Memory:
    """Memory of a process, in units of 1e6 bytes."""

    peak_mb: float
    anonymous_mb: float


def memory(pid: int) -> Memory:
    """Peak and anonymous memory of a process now; source: proc_pid_status(5)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    mb = {name: int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmHWM", "RssAnon")}
    return Memory(peak_mb=mb["VmHWM"], anonymous_mb=mb["RssAnon"])


class Running(Protocol):
    """A running peer, with any protocol."""

    def ask(self, event: bytes) -> Answer: ...

    def memory(self) -> Memory: ...

    def stop(self) -> None: ...


class Process:
    """A child process that reads and writes lines, its standard error in a file."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path):
        self.log = log
        with log.open("wb") as errors:
            self.started = time.perf_counter()
            self.child = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def memory(self) -> Memory:
        """Its memory now."""
        return memory(self.child.pid)

    def failure(self, what: str) -> RuntimeError:
        """An error with the end of the log."""
        written = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return RuntimeError(f"{what}; {self.log} ends with:\n{written}")

    def stop(self) -> None:
        """Ends the child."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


class LineProcess:
    """A peer that reads events from its standard input and answers on its standard output."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path):
        self._process = Process(command, environment, log)

    def first(self, event: bytes) -> Answer:
        """The response to the first event, timed from the start of the process."""
        return self._answer(event, self._process.started)

    def ask(self, event: bytes) -> Answer:
        """The response to an event."""
        return self._answer(event, time.perf_counter())

    def _answer(self, event: bytes, since: float) -> Answer:
        child = self._process.child
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(event + b"\n")
        child.stdin.flush()
        body = child.stdout.readline()
        elapsed_ms = (time.perf_counter() - since) * 1e3
        if not body:
            raise self._process.failure("the peer ended without an answer")
        return Answer(body, elapsed_ms)

    def memory(self) -> Memory:
        return self._process.memory()

    def stop(self) -> None:
        self._process.stop()
