"""The tables of docs/models.md are those that its script writes from what was measured."""

import subprocess
import sys

from conftest import REPOSITORY


def test_the_tables_are_written_by_their_script() -> None:
    command = [sys.executable, "scripts/models_table.py", "--check"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
