"""Shows the function at work: starts it under the Lambda emulator, invokes it, prints the scores.

`cargo lambda watch` stands for the Lambda service, `cargo lambda invoke` for its client; function,
model and library are the real ones. What was started is stopped, however this ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

EVENT = Path("tests/events/london.json")
HOST = "127.0.0.1"
START_SECONDS = 60
PROFILE = ["--quiet", "--bin", "similarity"]


def main() -> int:
    """Runs the demo; returns the exit status."""
    if subprocess.run(["cargo", "build", *PROFILE], check=False).returncode != 0:
        print("error: the function does not build", file=sys.stderr)
        return 1
    port = free_port()
    with tempfile.TemporaryFile("w+") as log:
        emulator = start_emulator(port, log)
        try:
            if not wait_for(port, emulator):
                print(f"error: the emulator did not start:\n{read(log)}", file=sys.stderr)
                return 1
            return invoke(port, log)
        finally:
            stop(emulator)


def start_emulator(port: int, log: IO[str]) -> subprocess.Popen[bytes]:
    """Starts the emulator, which builds nothing anew, in a process group of its own."""
    address = ["--invoke-address", HOST, "--invoke-port", str(port)]
    return subprocess.Popen(
        ["cargo", "lambda", "watch", "--quiet", "--ignore-changes", *address],
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def invoke(port: int, log: IO[str]) -> int:
    """Invokes the function with the example event and prints what it answers."""
    address = ["--invoke-address", HOST, "--invoke-port", str(port)]
    command = ["cargo", "lambda", "invoke", "similarity", *address, "--data-file", str(EVENT)]
    started = time.monotonic()
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if answer.returncode != 0:
        print(f"error: the invocation failed:\n{answer.stderr}{read(log)}", file=sys.stderr)
        return 1
    event = json.loads(EVENT.read_text())
    scores = json.loads(answer.stdout)["Scores"]
    print(f"\n  {event['query_from_app']}\n")
    for text, score in scores:
        print(f"  {score:8.5f}  {'█' * round(40 * max(score, 0.0)):40}  {text}")
    print(f"\n  {answer.stdout.strip()}")
    print(f"\n  start and first answer under the emulator, debug build: {seconds:.2f} s")
    return 0


def wait_for(port: int, emulator: subprocess.Popen[bytes]) -> bool:
    """Returns whether the emulator listens before its time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and emulator.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.05)
    return False


def stop(emulator: subprocess.Popen[bytes]) -> None:
    """Stops the emulator and the function it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(emulator.pid, sign)
            emulator.wait(timeout=5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def free_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def read(log: IO[str]) -> str:
    """Returns what was logged so far."""
    log.seek(0)
    return log.read()


if __name__ == "__main__":
    sys.exit(main())
