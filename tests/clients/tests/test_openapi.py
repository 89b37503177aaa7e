"""schemathesis on the server's own description of itself."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from doors.server import Server

CONFIGURATION = Path(__file__).parent.with_name("schemathesis.toml")

# Of each operation; the same ones in every run.
EXAMPLES = "100"

# The document holds the limits of its server; what is at them is quickly answered with these.
LIMITS = {"SEMBLANCE_MAX_TEXTS": "20", "SEMBLANCE_MAX_TEXT_BYTES": "200"}


def test_the_server_does_what_its_openapi_document_says(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with Server(settings=LIMITS) as server:
        url = f"{server.url}/openapi.json"
        document = httpx.get(url).json()
        assert document["openapi"].startswith("3.1") and len(document["paths"]) > 15
        command = [str(Path(sys.executable).with_name("schemathesis")), "--no-color"]
        command += ["--config-file", str(CONFIGURATION), "run", url, "--checks", "all"]
        command += ["--generation-deterministic", "--max-examples", EXAMPLES]
        # What answers do not link to each other has no states.
        command += ["--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
        # A folder of its own, for what it writes.
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        record_property("schemathesis", run.stdout + run.stderr)
        assert run.returncode == 0, "schemathesis found failures; they are printed below"
        assert httpx.get(f"{server.url}/health").status_code == 200
