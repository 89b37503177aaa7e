"""Alarms and dashboard next to a function that runs: what each fault logs, and which alarm begins.

AWS publishes the metrics of AWS/Lambda and AWS/SQS, so only their dimensions are checked here.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from cloud.client import CloudClient
from cloud.metrics import begins, matches, values
from tests.conftest import Report
from tests.deployment import EVENT, INT8, Deployment
from tests.terraform import REPOSITORY, Terraform
from tests.test_functions import create

pytestmark = [pytest.mark.apply, pytest.mark.xdist_group("alarms")]

NAME, GROUP = "watched", "/aws/lambda/watched"
FIXTURE = REPOSITORY / "terraform/tests/fixtures/index"
SEARCH = {"operation": "search", "index": "docs", "query": "a"}
REFUSED = {"query_from_app": "", "actual_queries": []}

# The words of CloudWatch Logs Insights that the queries use.
INSIGHTS = {
    *("as", "by", "in", "desc", "asc", "limit", "sort", "stats", "fields", "filter", "parse"),
    *("count", "sum", "pct", "bin", "ispresent"),
}


def package() -> bytes:
    """The package of the function, with a model and with the index of another model."""
    content = io.BytesIO()
    released = REPOSITORY / "target/lambda/similarity/bootstrap.zip"
    with zipfile.ZipFile(released) as source, zipfile.ZipFile(content, "w") as archive:
        for entry in source.infolist():
            archive.writestr(entry, source.read(entry))
        for folder, target in ((INT8.resolve(), "model"), (FIXTURE, "indexes/docs")):
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(file, f"{target}/{file.relative_to(folder)}")
    return content.getvalue()


def deploy(cloud: CloudClient, name: str, code: bytes, bundle: str) -> None:
    """A function whose lines are in the watched log group."""
    variables = {
        "SEMBLANCE_BUNDLE": f"/var/task/{bundle}",
        "SEMBLANCE_INDEX_DIR": "/var/task/indexes",
    }
    create(
        cloud,
        name,
        package=code,
        MemorySize=1280,
        Environment={"Variables": variables},
        LoggingConfig={"LogFormat": "JSON", "LogGroup": GROUP},
    )


@pytest.fixture(scope="module")
def watched(built: None, cloud: CloudClient, terraform: Terraform) -> Iterator[Deployment]:
    """The alarms and the dashboard of a function that is deployed."""
    cloud.aws("logs").create_log_group(logGroupName=GROUP)
    code = package()
    deploy(cloud, NAME, code, "model")
    deploy(cloud, "without-model", code, "nothing")
    version = cloud.aws("lambda").publish_version(FunctionName=NAME)["Version"]
    cloud.aws("lambda").create_alias(FunctionName=NAME, Name="live", FunctionVersion=version)
    queue = cloud.aws("sqs").create_queue(QueueName=f"{NAME}-dead-letters")["QueueUrl"]
    deployment = Deployment(cloud, terraform, "../modules/alarms")
    variables = {
        "topic_arns": [cloud.aws("sns").create_topic(Name="on-call")["TopicArn"]],
        "sync_function_name": "without-model",
        "dashboard": "true",
        "function": {
            "name": NAME,
            "alias": "live",
            "log_group_name": GROUP,
            "dead_letter_queue_url": queue,
            "provisioned_concurrency": True,
        },
    }
    deployment.apply(variables)
    plan = deployment.plan(variables)
    assert plan.status == 0, plan.output
    yield deployment
    deployment.destroy(variables)
    assert cloud.aws("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert cloud.aws("cloudwatch").list_dashboards()["DashboardEntries"] == []


def metric_filter(cloud: CloudClient, name: str) -> dict[str, Any]:
    """The filter that publishes a metric."""
    filters = cloud.aws("logs").describe_metric_filters(logGroupName=GROUP)["metricFilters"]
    (found,) = [entry for entry in filters if entry["filterName"] == f"{NAME}-{name}"]
    return dict(found)


def alarm(cloud: CloudClient, name: str) -> dict[str, Any]:
    """An alarm, with the metric that its filter publishes."""
    named = cloud.aws("cloudwatch").describe_alarms(AlarmNames=[f"{NAME}-{name}"])
    (found,) = named["MetricAlarms"]
    return dict(found)


def logged(cloud: CloudClient, event: Any, function: str = NAME) -> list[str]:
    """The lines that an event adds to the log group."""
    before = len(cloud.logs(GROUP))
    qualifier = "live" if function == NAME else None
    cloud.invoke(function, event, qualifier)
    return cloud.logs(GROUP)[before:]


def posted(text: str) -> dict[str, Any]:
    """The event of an HTTP API for a request that embeds a text."""
    return {
        "version": "2.0",
        "rawPath": "/embed",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/embed"}},
        "body": json.dumps({"inputs": text}),
    }


def faults(cloud: CloudClient, lines: list[str]) -> list[float]:
    """What the metric of faults gets for lines."""
    return values(metric_filter(cloud, "faults"), lines)


def fields(lines: list[str]) -> set[str]:
    """The fields of JSON lines, of the first level."""
    return {name for line in lines for name in json.loads(line)}


def test_good_events_and_mistakes_of_callers_are_no_faults(
    watched: Deployment, report: Report
) -> None:
    cloud = watched.cloud
    for event, outcome in [(EVENT, "ok"), (REFUSED, "refused"), (posted(""), "refused")]:
        lines = logged(cloud, event)
        outcomes = [json.loads(line)["outcome"] for line in lines if '"outcome"' in line]
        assert outcomes == [outcome], lines
        assert faults(cloud, lines) == [], lines
        report(f"alarms: {outcome}: {len(lines)} lines, no fault")
    assert not begins(alarm(cloud, "faults"), [[], [], []])


def test_a_fault_of_an_event_begins_the_alarm_in_its_second_minute(
    watched: Deployment, report: Report
) -> None:
    cloud = watched.cloud
    lines = logged(cloud, SEARCH)
    (line,) = [json.loads(line) for line in lines if '"outcome"' in line]
    assert (line["level"], line["outcome"]) == ("ERROR", "fault"), line
    assert line["code"].startswith("index."), line
    once = faults(cloud, lines)
    assert once == [1.0]
    watching = alarm(cloud, "faults")
    minutes: list[list[list[float]]] = [[once], [[], once], [once, [], once], [once, [], []]]
    found = [begins(watching, case) for case in minutes]
    report(f"alarms: {line['code']}: begins after 1 minute, 2, 3 with a gap, gone: {found}")
    assert found == [False, False, True, False]


def test_a_function_that_cannot_start_is_a_fault(watched: Deployment, report: Report) -> None:
    cloud = watched.cloud
    lines = logged(cloud, EVENT, "without-model")
    (line,) = [json.loads(line) for line in lines if "start failed" in line]
    assert line["code"] == "bundle.folder_missing"
    assert sum(faults(cloud, lines)) >= 1
    report(f"alarms: {line['code']}: {faults(cloud, lines)}")


def test_a_process_that_ends_is_a_fault(watched: Deployment, report: Report) -> None:
    cloud = watched.cloud
    logged(cloud, EVENT)
    (weights,) = (cloud.state / "environments").glob("packages/*/model/model.weights")
    content = weights.read_bytes()
    # The function has mapped the file. Its next access is a SIGBUS.
    weights.chmod(0o644)
    with weights.open("r+b") as file:
        file.truncate(0)
        lines = logged(cloud, {"query_from_app": "another", "actual_queries": ["text"]})
        # Later environments have the same files.
        file.write(content)
    reports = [json.loads(line)["record"] for line in lines if "platform.report" in line]
    assert [record["errorType"] for record in reports] == ["Runtime.ExitError"], lines
    assert any("bundle.file_changed" in line for line in lines), lines
    assert not any('"outcome"' in line for line in lines), "the event has no line"
    assert faults(cloud, lines) == [1.0]
    report("alarms: bundle.file_changed, the process ends: [1.0]")


def test_the_memory_of_every_event_is_published(watched: Deployment, report: Report) -> None:
    cloud = watched.cloud
    lines = logged(cloud, EVENT)
    (used,) = values(metric_filter(cloud, "memory"), lines)
    watching = alarm(cloud, "memory")
    assert watching["Threshold"] == 0.85 * 1280
    report(f"alarms: memory {used:g} MB, the alarm begins at {watching['Threshold']:g}")
    assert 10 < used < watching["Threshold"]
    assert not begins(watching, [[used]])
    assert begins(watching, [[used, watching["Threshold"]]])


def test_a_line_as_lambda_writes_it_is_read(watched: Deployment) -> None:
    # From a log of Lambda; the fields are those of the Telemetry API.
    line = (
        '{"time":"2024-06-17T17:23:55.826Z","type":"platform.report","record":{"requestId":'
        '"40f6c622-67a3-4159-97f2-ce364a0cb7a8","metrics":{"durationMs":18.593,"billedDurationMs":19,'
        '"memorySizeMB":2048,"maxMemoryUsedMB":246},"status":"success"}}'
    )
    assert values(metric_filter(watched.cloud, "memory"), [line, "not JSON"]) == [246.0]
    assert not matches(metric_filter(watched.cloud, "faults")["filterPattern"], line)


def test_alarms_are_those_of_what_is_deployed(watched: Deployment) -> None:
    cloud = watched.cloud
    dimensions = {
        entry["AlarmName"]: {each["Name"]: each["Value"] for each in entry["Dimensions"]}
        for entry in cloud.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    }
    of_alias = {"FunctionName": NAME, "Resource": f"{NAME}:live"}
    of_function = {"FunctionName": NAME}
    assert dimensions == {
        f"{NAME}-faults": {},
        f"{NAME}-memory": {},
        **{f"{NAME}-{key}": of_alias for key in ("throttles", "slow", "timeout")},
        **{f"{NAME}-{key}": of_function for key in ("concurrency", "spill-over")},
        f"{NAME}-dead-letters": {"QueueName": f"{NAME}-dead-letters"},
        f"{NAME}-model-copy": {"FunctionName": "without-model"},
    }
    cloud.aws("lambda").get_alias(FunctionName=NAME, Name="live")
    cloud.aws("sqs").get_queue_url(QueueName=dimensions[f"{NAME}-dead-letters"]["QueueName"])


def test_queries_of_the_dashboard_name_fields_of_the_log(
    watched: Deployment, report: Report
) -> None:
    cloud = watched.cloud
    lines = [*logged(cloud, EVENT), *logged(cloud, REFUSED), *logged(cloud, SEARCH)]
    cloud.recycle(NAME)
    lines += logged(cloud, posted("a"))
    known = fields(lines) | {"@timestamp", "@logStream"}
    name = watched.outputs()["dashboard_name"]
    body = json.loads(cloud.aws("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    queries = {
        widget["properties"]["title"]: widget["properties"]["query"]
        for widget in body["widgets"]
        if widget["type"] == "log"
    }
    for title, query in queries.items():
        source, rest = query.split(" | ", 1)
        assert source == f"SOURCE '{GROUP}'"
        aliases = set(re.findall(r"\bas (\w+)", rest))
        words = set(re.findall(r"@?\b[a-zA-Z_]\w*", re.sub(r'"[^"]*"', "", rest)))
        used = words - INSIGHTS - aliases
        report(f"dashboard: {title}: {', '.join(sorted(used))}")
        assert used and used <= known, (title, used - known)
    assert len(queries) == 6
    assert body["widgets"][0]["properties"]["alarms"] == sorted(
        entry["AlarmArn"] for entry in cloud.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    )
