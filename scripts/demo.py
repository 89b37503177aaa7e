"""Demo: starts the function under the Lambda emulator, invokes it, prints the scores.

`cargo lambda watch` replaces the Lambda service, `cargo lambda invoke` its client; function, model
and library are the real ones. The emulator is stopped in every case.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from launcher import Launched, LaunchError

EVENT = Path("tests/events/london.json")
BUILD = ["cargo", "build", "--quiet", "--bin", "similarity", "--bin", "semblance-test-support"]


def main() -> int:
    """Runs the demo; returns the exit status."""
    if subprocess.run(BUILD, check=False).returncode != 0:
        print("error: the function could not be built", file=sys.stderr)
        return 1
    try:
        with Launched("emulator") as emulator:
            return invoke(emulator)
    except LaunchError as error:
        print(f"error: the emulator failed: {error}", file=sys.stderr)
        return 1


def invoke(emulator: Launched) -> int:
    """Invokes the function with the example event and prints the response."""
    address = urlsplit(emulator.url)
    where = ["--invoke-address", str(address.hostname), "--invoke-port", str(address.port)]
    command = ["cargo", "lambda", "invoke", "similarity", *where, "--data-file", str(EVENT)]
    started = time.monotonic()
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if answer.returncode != 0:
        log = "\n".join(emulator.lines)
        print(f"error: the invocation failed:\n{answer.stderr}{log}", file=sys.stderr)
        return 1
    event = json.loads(EVENT.read_text())
    scores = json.loads(answer.stdout)["Scores"]
    print(f"\n  {event['query_from_app']}\n")
    for text, score in scores:
        print(f"  {score:8.5f}  {'█' * round(40 * max(score, 0.0)):40}  {text}")
    print(f"\n  {answer.stdout.strip()}")
    print(f"\n  start and first response under the emulator, debug build: {seconds:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
