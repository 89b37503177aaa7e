"""A process that answers events, and its memory."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


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


class LineProcess:
    """A program that answers each line of its standard input with a line on its standard output."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path):
        """Starts it; its standard error goes to a file."""
        self._log = log
        with log.open("wb") as errors:
            self._child = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def ask(self, line: bytes) -> bytes:
        """The answer to a line."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(line + b"\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            written = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"the program ended without an answer; {self._log}:\n{written}")
        return answer

    def stop(self) -> None:
        """Ends the program."""
        if self._child.poll() is None:
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
