"""What the tests share: a cloud, terraform, and the report of what the deployment did."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud.client import CloudClient
from tests.deployment import Deployment
from tests.terraform import REPOSITORY, Terraform, TerraformError

Report = Callable[[str], None]

_LINE = "deployment"


@pytest.fixture(scope="module")
def cloud() -> Iterator[CloudClient]:
    """A cloud of the module's own, with this Python visible to its functions."""
    with (
        tempfile.TemporaryDirectory(prefix="cloud-", ignore_cleanup_errors=True) as state,
        CloudClient(Path(state), exposed=[Path(sys.base_prefix)]) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Terraform with the provider at hand, working on a copy of `terraform/`."""
    with Terraform(tmp_path_factory.mktemp("configuration")) as terraform:
        yield terraform


@pytest.fixture(scope="session")
def built() -> None:
    """Everything that is deployed is there; a test never skips for the lack of it."""
    for path in (
        "target/lambda/similarity/bootstrap.zip",
        "target/lambda/model-sync/bootstrap.zip",
        "target/debug/semblance",
        "build/model/default/bundle.json",
        "target/lambda/authorizer/bootstrap.zip",
        "build/model/cross/bundle.json",
        "build/model/int8/bundle.json",
    ):
        if not (REPOSITORY / path).is_file():
            makes = "make terraform-test"
            raise TerraformError(f"{path} is missing; run `{makes}` to build it")


@pytest.fixture(scope="module")
def deployment(built: None, cloud: CloudClient, terraform: Terraform) -> Deployment:
    """The unmodified root module, initialized, on its own cloud."""
    return Deployment(cloud, terraform)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Adds a line to what is printed when all is done."""
    return lambda line: record_property(_LINE, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests reported, whether they passed or not."""
    results = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    # Workers finish in any order; within a file a worker keeps the order of the tests.
    results.sort(key=lambda result: str(result.nodeid).split("::")[0])
    lines = [
        str(value)
        for result in results
        for name, value in getattr(result, "user_properties", [])
        if name == _LINE and result.when == "call"
    ]
    if lines:
        terminalreporter.section("what the deployment did")
        for line in lines:
            terminalreporter.write_line(line)
