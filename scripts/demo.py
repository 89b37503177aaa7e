"""Demo: starts the function under the Lambda emulator, invokes it, prints the scores.

    python scripts/demo.py                                     # the default model
    python scripts/demo.py --bundle build/model/e5 tests/events/multilingual/*.json

`cargo lambda watch` replaces the Lambda service, `cargo lambda invoke` its client; function, model
and library are the real ones. The emulator is stopped in every case.
"""

import argparse
import json
import os
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
    parser = argparse.ArgumentParser(description="Score example events under the Lambda emulator.")
    parser.add_argument("--bundle", type=Path, help="default: build/model/default")
    parser.add_argument("events", type=Path, nargs="*", default=[EVENT], help=f"default: {EVENT}")
    options = parser.parse_args()
    if subprocess.run(BUILD, check=False).returncode != 0:
        print("error: the function could not be built", file=sys.stderr)
        return 1
    try:
        environment = dict(os.environ)
        if options.bundle is not None:
            environment["SEMBLANCE_BUNDLE"] = str(options.bundle.resolve())
        with Launched("emulator", environment=environment) as emulator:
            return max(invoke(emulator, event) for event in options.events)
    except LaunchError as error:
        print(f"error: the emulator failed: {error}", file=sys.stderr)
        return 1


def invoke(emulator: Launched, file: Path) -> int:
    """Invokes the function with the event in `file` and prints the response."""
    address = urlsplit(emulator.url)
    where = ["--invoke-address", str(address.hostname), "--invoke-port", str(address.port)]
    command = ["cargo", "lambda", "invoke", "similarity", *where, "--data-file", str(file)]
    started = time.monotonic()
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if answer.returncode != 0:
        log = "\n".join(emulator.lines)
        print(f"error: the invocation failed:\n{answer.stderr}{log}", file=sys.stderr)
        return 1
    event = json.loads(file.read_text(encoding="utf-8"))
    scores = json.loads(answer.stdout)["Scores"]
    print(f"\n  {event['query_from_app']}\n")
    for text, score in scores:
        print(f"  {score:8.5f}  {'█' * round(40 * max(score, 0.0)):40}  {text}")
    print(f"\n  {answer.stdout.strip()}")
    print(f"\n  response under the emulator, debug build, including any start: {seconds:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
