"""Old versions are deleted, except those that an alias points to."""

import os
import subprocess
import sys

from cloud.client import REGION, CloudClient
from tests.conftest import Report
from tests.terraform import REPOSITORY
from tests.test_functions import create


def prune(cloud: CloudClient, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the script as an operator does."""
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts/prune_versions.py"), *arguments],
        env={**os.environ, **cloud.environment, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
        check=False,
    )


def versions(cloud: CloudClient, function: str) -> list[str]:
    """The published versions of a function."""
    listed = cloud.aws("lambda").list_versions_by_function(FunctionName=function)["Versions"]
    return [entry["Version"] for entry in listed if entry["Version"] != "$LATEST"]


def publish(cloud: CloudClient, function: str, count: int) -> None:
    """A function with that many versions."""
    api = cloud.aws("lambda")
    create(cloud, function)
    for number in range(count):
        variables = {"Variables": {"N": str(number)}}
        api.update_function_configuration(FunctionName=function, Environment=variables)
        api.publish_version(FunctionName=function)


def test_versions_of_an_alias_are_kept_however_old_they_are(
    cloud: CloudClient, report: Report
) -> None:
    api = cloud.aws("lambda")
    publish(cloud, "pruned", 8)
    weights = {"AdditionalVersionWeights": {"3": 0.1}}
    api.create_alias(FunctionName="pruned", Name="live", FunctionVersion="1", RoutingConfig=weights)
    api.create_alias(FunctionName="pruned", Name="latest", FunctionVersion="$LATEST")

    shown = prune(cloud, "pruned")
    assert shown.returncode == 0, shown.stderr
    assert versions(cloud, "pruned") == [str(number) for number in range(1, 9)], (
        "nothing is deleted"
    )

    done = prune(cloud, "pruned", "--delete")
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown.stdout
    for line in done.stdout.splitlines():
        report(line)
    assert versions(cloud, "pruned") == ["1", "3", "6", "7", "8"]
    assert cloud.invoke("pruned", {}, "live").status == 200

    again = prune(cloud, "pruned", "--delete", "--keep", "2")
    assert again.returncode == 0, again.stderr
    assert versions(cloud, "pruned") == ["1", "3", "7", "8"]


def test_a_function_with_few_versions_keeps_them(cloud: CloudClient) -> None:
    publish(cloud, "few", 2)
    assert prune(cloud, "few", "--delete").returncode == 0
    assert versions(cloud, "few") == ["1", "2"]


def test_an_unknown_function_and_a_single_version_are_errors(cloud: CloudClient) -> None:
    unknown = prune(cloud, "nowhere", "--delete")
    assert unknown.returncode == 1 and unknown.stderr.startswith("error: ")
    assert "Traceback" not in unknown.stderr
    single = prune(cloud, "few", "--delete", "--keep", "1")
    assert single.returncode == 2 and "--keep must be 2 or more" in single.stderr
