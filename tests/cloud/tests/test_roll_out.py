"""A roll-out that watches alarms: to the newest version, or back to the one before."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloud.client import CloudClient
from tests.conftest import Report
from tests.deployment import INT8, Deployment, another_bundle, damaged_bundle
from tests.terraform import REPOSITORY, Terraform
from tests.test_gateway import layer

pytestmark = [pytest.mark.apply, pytest.mark.xdist_group("roll-out")]

ALARM = "semblance-faults"
WATCH = ("--percent", "20", "--minutes", "60", "--poll-seconds", "0.2")


def inputs(bundle: Path, folder: Path) -> dict[str, Any]:
    """A deployment without a file system, with a model."""
    layers = {"bi_encoder": layer(bundle, folder)}
    return {
        "storage": "package",
        "artifacts": {"bundle": str(bundle), "layers": layers},
    }


@pytest.fixture(scope="module")
def deployed(
    built: None, cloud: CloudClient, terraform: Terraform, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """A function with an alarm."""
    deployment = Deployment(cloud, terraform)
    deployment.apply(inputs(INT8, tmp_path_factory.mktemp("layers")))
    return deployment


def start(deployed: Deployment, variables: dict[str, Any], *options: str) -> subprocess.Popen[str]:
    """Starts the script as an operator does."""
    script = str(REPOSITORY / "scripts/roll_out.py")
    values = [f"-var={name}={_text(value)}" for name, value in variables.items()]
    return subprocess.Popen(
        [sys.executable, script, "semblance", *options, "--", "-no-color", *values],
        cwd=deployed.folder,
        env={**os.environ, **deployed.cloud.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def alias(cloud: CloudClient) -> tuple[str, dict[str, float]]:
    """The version of the alias, and the shares of others."""
    found = cloud.aws("lambda").get_alias(FunctionName="semblance", Name="live")
    shares = found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    return found["FunctionVersion"], shares


def turn(cloud: CloudClient, state: str) -> None:
    """Turns the alarm on or off."""
    cloud.aws("cloudwatch").set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="test")


def create_alarm(cloud: CloudClient) -> None:
    """Creates the alarm, which is off."""
    cloud.aws("cloudwatch").put_metric_alarm(
        AlarmName=ALARM,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        EvaluationPeriods=1,
        MetricName="faults",
        Namespace="Semblance/semblance",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    turn(cloud, "OK")


def await_share(process: subprocess.Popen[str], old: str) -> None:
    """Waits until the script says that a share of the events goes to the newest version."""
    assert process.stdout is not None
    said = f"version {old} and 20 % to the newest version\n"
    assert said in iter(process.stdout.readline, ""), process.communicate()


def test_without_alarms_nothing_is_rolled_out(
    deployed: Deployment, tmp_path: Path, report: Report
) -> None:
    process = start(deployed, inputs(INT8, tmp_path))
    _, errors = process.communicate()
    report(f"roll-out: {errors.strip()}")
    assert process.returncode == 1
    assert errors == "error: semblance has no alarms to watch: apply modules/alarms first\n"
    assert alias(deployed.cloud) == ("1", {})


def test_an_alarm_that_begins_returns_to_the_version_before(
    deployed: Deployment, tmp_path: Path, report: Report
) -> None:
    cloud = deployed.cloud
    create_alarm(cloud)
    variables = inputs(another_bundle(tmp_path / "newer", INT8), tmp_path / "layers")
    process = start(deployed, variables, *WATCH)
    await_share(process, "1")
    assert alias(cloud) == ("1", {"2": 0.2})
    turn(cloud, "ALARM")
    _, errors = process.communicate()
    said = errors.splitlines()[-1]
    report(f"roll-out: {said}")
    assert process.returncode == 1
    assert said == (
        f"error: these alarms began: {ALARM}. Version 1 gets all events; "
        'keep release = { version = "1" }'
    )
    assert alias(cloud) == ("1", {})
    assert deployed.plan({**variables, "release": {"version": "1"}}).status == 0

    refused = start(deployed, variables)
    _, errors = refused.communicate()
    assert errors == f"error: not started, because these alarms are on: {ALARM}\n"
    assert refused.returncode == 1


def test_without_an_alarm_the_newest_version_gets_all_events(
    deployed: Deployment, tmp_path: Path, report: Report
) -> None:
    cloud = deployed.cloud
    turn(cloud, "OK")
    variables = inputs(another_bundle(tmp_path / "newest", INT8), tmp_path / "layers")
    process = start(deployed, variables, "--minutes", "0")
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    said = [line for line in output.splitlines() if "newest version" in line]
    report(f"roll-out: {'; '.join(said)}")
    assert said == ["version 1 and 10 % to the newest version", "all events to the newest version"]
    assert alias(cloud) == ("3", {})
    assert deployed.plan(variables).status == 0


def test_a_watch_that_ends_returns_to_the_version_before(
    deployed: Deployment, tmp_path: Path, report: Report
) -> None:
    cloud = deployed.cloud
    variables = inputs(another_bundle(tmp_path / "canceled", INT8), tmp_path / "layers")
    for reason in ("interrupted", "semblance has no alarms to watch: apply modules/alarms first"):
        create_alarm(cloud)
        process = start(deployed, variables, *WATCH)
        await_share(process, "3")
        assert alias(cloud) == ("3", {"4": 0.2})
        if reason == "interrupted":
            process.terminate()
        else:
            cloud.aws("cloudwatch").delete_alarms(AlarmNames=[ALARM])
        _, errors = process.communicate()
        said = errors.splitlines()[-1]
        report(f"roll-out: {said}")
        assert process.returncode == 1
        assert said.startswith(f"error: {reason}. Version 3 gets all events; keep release"), errors
        assert alias(cloud) == ("3", {})
    create_alarm(cloud)


def test_a_version_that_fails_the_gate_gets_no_event(
    deployed: Deployment, tmp_path: Path, report: Report
) -> None:
    wrong = damaged_bundle(tmp_path / "wrong", INT8)
    variables = inputs(wrong, tmp_path / "layers")
    process = start(deployed, variables, "--minutes", "0")
    output, errors = process.communicate()
    assert process.returncode == 1
    assert errors.endswith("error: terraform apply failed\n"), errors
    assert "The alias did not move." in " ".join((output + errors).replace("│", " ").split())
    assert alias(deployed.cloud) == ("3", {})
    report(f"roll-out: {errors.splitlines()[-1]}; version 3 stays")
    deployed.destroy(variables)
