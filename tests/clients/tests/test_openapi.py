"""schemathesis on the server's own description of itself."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from doors.server import Server

# Of each operation; the same ones in every run.
EXAMPLES = "25"

CONFIGURATION = Path(__file__).parents[1] / "schemathesis.toml"
HOOKS = Path(__file__).parents[1] / "schemathesis_hooks.py"


def test_the_server_does_what_its_openapi_document_says(
    server: Server, tmp_path: Path, record_property: Any
) -> None:
    url = f"{server.url}/openapi.json"
    assert httpx.get(url).json()["openapi"].startswith("3.1")
    command = [str(Path(sys.executable).with_name("schemathesis")), "--no-color"]
    command += ["--config-file", str(CONFIGURATION), "run", url]
    command += ["--generation-deterministic", "--max-examples", EXAMPLES]
    command += ["--phases", "examples,coverage,fuzzing"]
    command += ["--continue-on-failure"]
    # A separate folder, because it writes to its working folder.
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    record_property("schemathesis", run.stdout + run.stderr)
    assert run.returncode == 0, "schemathesis found failures; they are printed below"
    assert httpx.get(f"{server.url}/health").status_code == 200
