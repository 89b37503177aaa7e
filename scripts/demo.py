"""Demo: starts the function under the Lambda emulator, invokes it, prints the scores.

`cargo lambda watch` replaces the Lambda service, `cargo lambda invoke` its client; function, model
and library are the real ones. The emulator is stopped in every case.
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
        print("error: the function could not be built", file=sys.stderr)
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
    """Starts the emulator, which does not build, in a new process group."""
    address = ["--invoke-address", HOST, "--invoke-port", str(port)]
    return subprocess.Popen(
        ["cargo", "lambda", "watch", "--quiet", "--ignore-changes", *address],
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def invoke(port: int, log: IO[str]) -> int:
    """Invokes the function with the example event and prints the response."""
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
    print(f"\n  start and first response under the emulator, debug build: {seconds:.2f} s")
    return 0


def wait_for(port: int, emulator: subprocess.Popen[bytes]) -> bool:
    """Returns whether the emulator listens within the time limit."""
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
    """Returns a free port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def read(log: IO[str]) -> str:
    """Returns the log so far."""
    log.seek(0)
    return log.read()


if __name__ == "__main__":
    sys.exit(main())
