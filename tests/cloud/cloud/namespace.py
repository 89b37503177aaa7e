"""Private mounts and processes, which end with the cloud.

The cloud runs twice: an outer process that the user sees, and the cloud itself in its own
namespaces. The outer process holds the standard input of the inner one. When the outer process
ends for any reason, the inner one reads the end of file and the kernel ends everything inside.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

_PRIVATE = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
_AS_ROOT = ["unshare", *_PRIVATE]
_AS_USER = ["unshare", "--user", "--map-root-user", *_PRIVATE]


class NamespaceError(Exception):
    """No private namespaces can be had."""


def run_inside(arguments: list[str]) -> int:
    """Run `python -m cloud` with `arguments` inside namespaces; its exit status."""
    command = [*_unshare(), sys.executable, "-m", "cloud", *arguments]
    root = Path(__file__).parents[1]
    paths = [str(root), str(root.parents[1] / "scripts"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    inner = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    assert inner.stdin is not None
    lifeline = inner.stdin

    def let_go(_signal: int, _frame: FrameType | None) -> None:
        lifeline.close()

    signal.signal(signal.SIGTERM, let_go)
    signal.signal(signal.SIGINT, let_go)
    return inner.wait()


def follow_outer(stop: Callable[[], None]) -> None:
    """Inside: call `stop` and exit once the outer process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> NoReturn:
        sys.stdin.buffer.read()
        stop()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _unshare() -> list[str]:
    failures = []
    for command in [_AS_ROOT, _AS_USER] if os.geteuid() == 0 else [_AS_USER]:
        try:
            trial = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise NamespaceError("`unshare` (package util-linux) is not installed") from error
        if trial.returncode == 0:
            return command
        failures.append(f"`{' '.join(command)}`: {trial.stderr.strip()}")
    raise NamespaceError(
        "functions run in private mount namespaces, and none can be made here; run as root, or "
        "allow unprivileged user namespaces. Tried " + "; ".join(failures)
    )
