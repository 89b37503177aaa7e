"""What the tests share: a cloud, a terraform, and the report of a real apply."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.client import CloudClient
from tests.terraform import REPOSITORY, Terraform

_report = pytest.StashKey[list[str]]()


@pytest.fixture(scope="module")
def cloud() -> Iterator[CloudClient]:
    """A cloud of the module's own, with this Python visible to its functions."""
    state = Path(tempfile.mkdtemp(prefix="cloud-"))
    try:
        with CloudClient(state, exposed=[Path(sys.base_prefix)]) as client:
            yield client
    finally:
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform with the provider at hand, working on a copy of `terraform/`."""
    return Terraform(REPOSITORY / "terraform", tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> list[str]:
    """Lines to print when all is done: counts, times, what a user sees."""
    return request.config.stash.setdefault(_report, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the report, whether the tests passed or not."""
    lines = terminalreporter.config.stash.get(_report, [])
    if lines:
        terminalreporter.section("what the deployment did")
        for line in lines:
            terminalreporter.write_line(line)
