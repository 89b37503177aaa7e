"""What a command did to the files below a folder, in order, read from the log of strace."""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Everything that changes files or makes them durable. Calls that the model does not know are
# traced, too, so that it can refuse them.
MODELED = [
    *("openat", "open", "creat", "close", "write", "pwrite64", "lseek", "ftruncate"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
    *("fsync", "fdatasync", "dup", "fcntl"),
]
REFUSED = [
    *("writev", "pwritev", "pwritev2", "link", "linkat", "symlink", "symlinkat", "fallocate"),
    *("copy_file_range", "sendfile", "sync_file_range", "dup2", "dup3", "truncate"),
]


@dataclass(frozen=True)
class Call:
    """A successful system call: its name, its arguments as strace prints them, and its result."""

    name: str
    arguments: list[str]
    result: int


class TraceError(Exception):
    """The command failed, or did something that the model does not know."""


def traced(command: Sequence[str | Path], environment: dict[str, str]) -> list[Call]:
    """Run a command and return its successful calls."""
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        strace = ["strace", "-f", "-qq", "-xx", "-s", "100000000", "-o", log.name]
        strace += ["-e", "trace=" + ",".join(MODELED + REFUSED), "-e", "signal=none"]
        done = subprocess.run(
            [*strace, *map(str, command)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise TraceError(done.stderr)
        return [call for line in joined(log) for call in parsed(line)]


def joined(log: Iterator[str]) -> Iterator[str]:
    """Join the halves of calls that another thread interrupted; a call counts when it returns."""
    pending: dict[str, str] = {}
    for line in log:
        process, _, rest = line.rstrip("\n").partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            pending[process] = rest.removesuffix("<unfinished ...>").strip()
        elif match := re.match(r"<\.\.\. \w+ resumed>(.*)", rest):
            yield pending.pop(process) + match[1]
        else:
            yield rest


def parsed(line: str) -> Iterator[Call]:
    """The call in a line, if it succeeded."""
    match = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)", line)
    if match is None or int(match[3]) < 0:
        return
    yield Call(match[1], [part.strip() for part in match[2].split(", ")], int(match[3]))


def text(argument: str) -> bytes:
    """The bytes of a string argument, which strace prints in hexadecimal."""
    match = re.fullmatch(r'"((?:\\x[0-9a-f]{2})*)"', argument)
    if match is None:
        raise TraceError(f"not a complete string: {argument[:80]}")
    return bytes.fromhex(match[1].replace("\\x", ""))


def number(argument: str) -> int:
    """The number of a descriptor or a position."""
    return -100 if argument == "AT_FDCWD" else int(argument, 0)
