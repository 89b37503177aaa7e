"""Runs all parts of `make test`, up to three at a time, and writes a log for each.

A part is a make target. If a part fails, its whole log is printed; otherwise only the closing lines
of its test runners. The exit status is 1 if any part failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

LOGS = Path("build/logs")
# Installs what every part needs, so that two parts do not install it at the same time.
FIRST = "test-tools"
# Parts in a lane run in sequence. The last part of the second lane uses both cores when the others,
# which mostly wait for Terraform or for a client, have ended.
LANES = (
    ("package", "terraform-test"),
    ("test-build", "test-rust", "lint-rust"),
    ("test-setup", "test-python", "lint-python", "deny", "test-crashes", "test-clients"),
)
# Parts of another lane that a part needs. Two parts must not build the same model, and what starts
# a program must not wait for the lock of Cargo's debug folder, so both are built before.
NEEDS = {
    "terraform-test": ("test-setup", "test-build"),
    "test-rust": ("test-setup", "package"),
    "test-crashes": ("test-build",),
}
CLOSING = re.compile(r"test result: .*|=* ?\d+ (passed|failed).*|Success! .*")


def environment() -> dict[str, str]:
    """Returns the variables for make.

    In CI, nothing is built again and nobody debugs, so builds are not incremental and have no line
    numbers.
    """
    once = {"CARGO_INCREMENTAL": "0", "CARGO_PROFILE_DEV_DEBUG": "0"}
    return {**os.environ, **(once if "CI" in os.environ else {})}


@dataclass
class Part:
    """A make target and its result."""

    target: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    passed: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def log(self) -> Path:
        """Returns the file for the output."""
        return LOGS / f"{self.target}.log"

    def run(self) -> None:
        """Runs make for the target."""
        started = time.monotonic()
        with self.log.open("w") as log:
            command = ["make", "--no-print-directory", self.target]
            make = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment()
            )
            _, status, usage = os.wait4(make.pid, 0)
            make.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.monotonic() - started
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.passed = make.returncode == 0
        print(self.verdict(), flush=True)
        self.done.set()

    def verdict(self) -> str:
        """Returns one line: target, result, time, CPU time."""
        result = "passed" if self.passed else "FAILED"
        return f"{self.target:16} {result} {self.seconds:6.0f} s {self.cpu_seconds:6.0f} CPU s"

    def closing_lines(self) -> list[str]:
        """Returns the closing lines of the test runners in the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if CLOSING.fullmatch(line.strip())]


def main() -> int:
    """Runs every part; returns the exit status."""
    LOGS.mkdir(parents=True, exist_ok=True)
    first = Part(FIRST)
    parts = {target: Part(target) for lane in LANES for target in lane}
    first.run()
    # If the tools are missing, each part installs what it needs, so only one may run at a time.
    lanes = LANES if first.passed else (tuple(parts),)
    threads = [threading.Thread(target=run_lane, args=(lane, parts)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ran = [first, *parts.values()]
    report(ran)
    return 0 if all(part.passed for part in ran) else 1


def run_lane(lane: tuple[str, ...], parts: dict[str, Part]) -> None:
    """Runs the parts of a lane in turn."""
    for target in lane:
        for needed in NEEDS.get(target, ()):
            parts[needed].done.wait()
        parts[target].run()


def report(ran: list[Part]) -> None:
    """Prints the logs of failed parts, then the closing lines and results of all parts."""
    for part in ran:
        if not part.passed:
            print(f"\n--- {part.log}\n{part.log.read_text(errors='replace')}")
    for part in ran:
        if lines := part.closing_lines():
            print(f"\n--- {part.target}", *lines, sep="\n")
    print()
    for part in ran:
        print(part.verdict())
    passed = sum(part.passed for part in ran)
    print(f"parts: {passed} passed, {len(ran) - passed} failed", flush=True)


if __name__ == "__main__":
    sys.exit(main())
