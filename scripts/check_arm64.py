"""Runs the functions' packages for arm64 under emulation and compares their results.

The similarity function answers the example event and embeds golden texts; the largest difference
from sentence-transformers is printed. The other functions do what needs no AWS. Times under
emulation mean nothing.

    python scripts/check_arm64.py similarity authorizer
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import arm64
from launcher import Launched

ZIPS = Path("target/lambda")
BUNDLES = {"fp32": Path("build/model/default"), "int8": Path("build/model/int8")}
EVENT = Path("tests/events/london.json")
GOLDEN = Path("tests/data/golden/all-minilm-l6-v2.json")
# A dozen golden texts of at most this length: a long one takes the emulator a minute.
TEXTS, MAX_TOKENS = 12, 40
# Largest difference of an element and of a score, in fp32; int8 has a documented loss.
ELEMENT = {"fp32": 2e-5, "int8": 0.04}
SCORE = {"fp32": 1e-5, "int8": 0.04}
TIMEOUT_SECONDS = 900


class DifferenceError(Exception):
    """The package does not do what it does on x86_64."""


def main() -> int:
    """Runs every check; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("functions", nargs="+", choices=sorted(CHECKS))
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for name in arguments.functions:
                CHECKS[name](extracted(name, Path(scratch)))
    except DifferenceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def extracted(name: str, scratch: Path) -> Path:
    """Extracts the package of a function, as Lambda does; returns the folder."""
    folder = scratch / name
    with zipfile.ZipFile(ZIPS / name / "bootstrap-arm64.zip") as archive:
        archive.extractall(folder)
    bootstrap = folder / "bootstrap"
    bootstrap.chmod(0o755)
    # Bytes 18 and 19 of an ELF file are the machine; 183 is AArch64.
    if int.from_bytes(bootstrap.read_bytes()[18:20], "little") != 183:
        raise DifferenceError(f"the bootstrap of {name} is not for arm64")
    return folder


def launched(folder: Path, name: str, variables: dict[str, str]) -> Launched:
    """Starts a function under a Runtime API and the emulator."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "LAMBDA_TASK_ROOT": str(folder),
        **variables,
    }
    command = [*arm64.emulator(arm64.FOLDER.absolute()), str(folder / "bootstrap")]
    timeout = ["--timeout-seconds", str(TIMEOUT_SECONDS)]
    return Launched("runtime", *timeout, "--", *command, environment=environment)


def check_similarity(folder: Path) -> None:
    """Checks the function with the default model in each precision."""
    for precision, bundle in BUNDLES.items():
        check_precision(folder, precision, bundle.resolve())


def check_precision(folder: Path, precision: str, bundle: Path) -> None:
    """Compares the scores of the example event and the vectors of golden texts."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    texts = [entry for entry in golden["texts"] if 2 < entry["tokens"] <= MAX_TOKENS][:TEXTS]
    started = time.monotonic()
    with launched(folder, "similarity", {"SEMBLANCE_BUNDLE": str(bundle)}) as function:
        found = answer(function, json.loads(EVENT.read_text(encoding="utf-8")))["Scores"]
        request = {"operation": "embed", "inputs": [entry["text"] for entry in texts]}
        vectors = np.array(answer(function, request))
    expected = {row["text"]: row["score"] for row in golden["example"]["scores"]}
    score = max(abs(number - expected[text]) for text, number in found)
    element = np.abs(vectors - np.array([entry["embedding"] for entry in texts])).max()
    seconds = time.monotonic() - started
    print(f"{precision}: {json.dumps(found)}")
    print(
        f"{precision}: a score differs by {score:.1e}, an element of {len(texts)} golden texts by "
        f"{element:.1e}; {seconds:.0f} s under emulation"
    )
    if not (score <= SCORE[precision] and element <= ELEMENT[precision]):
        raise DifferenceError(f"{precision} differs by more than {ELEMENT[precision]}")


def answer(function: Launched, event: Any) -> Any:
    """Returns the response to an event."""
    line = function.ask(json.dumps(event))
    if line["kind"] != "response":
        raise DifferenceError(f"{line}\n" + "\n".join(function.lines))
    return json.loads(line["body"])


def check_authorizer(folder: Path) -> None:
    """An accepted key is accepted, another one is not."""
    digest = hashlib.sha256(b"key").hexdigest()
    variables = {"SEMBLANCE_API_KEY_DIGESTS": f"client={digest}"}
    with launched(folder, "authorizer", variables) as function:
        events = [{"headers": {"authorization": f"Bearer {key}"}} for key in ("key", "other")]
        decisions = [answer(function, event)["isAuthorized"] for event in events]
    print(f"authorizer: {decisions}")
    if decisions != [True, False]:
        raise DifferenceError(f"authorizer: {decisions}")


def check_model_sync(folder: Path) -> None:
    """Without its configuration, the function ends with the code of that error."""
    with launched(folder, "model-sync", {}) as function:
        line = function.receive()
        function.finish_log()
    codes = [entry["code"] for entry in function.log if "code" in entry]
    print(f"model-sync: {codes}, exit status {line and line.get('status')}")
    if codes != ["config.missing"]:
        raise DifferenceError(f"model-sync: {function.lines}")


CHECKS = {
    "authorizer": check_authorizer,
    "model-sync": check_model_sync,
    "similarity": check_similarity,
}


if __name__ == "__main__":
    sys.exit(main())
