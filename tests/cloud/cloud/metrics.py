"""Metrics and alarms of CloudWatch, of which moto stores only the configuration.

A metric filter selects log lines by a pattern of JSON fields:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/matching-terms-json-log-events.html
Only what the modules use is implemented: `=` with a string, in which `*` matches any characters,
and `||`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

_TERM = re.compile(r'\(?\s*\$((?:\.\w+)+)\s*=\s*"([^"]*)"\s*\)?')


def field(line: Any, path: str) -> Any:
    """The value of a path such as `$.record.status`; None if the line has none."""
    for name in path.removeprefix("$").strip(".").split("."):
        line = line.get(name) if isinstance(line, dict) else None
    return line


def matches(pattern: str, line: str) -> bool:
    """Whether a metric filter selects a line."""
    inner = re.fullmatch(r"\{(.*)\}", pattern.strip())
    terms = [_TERM.fullmatch(part.strip()) for part in inner[1].split("||")] if inner else []
    if not terms or None in terms:
        raise ValueError(f"a pattern that is not implemented: {pattern}")
    try:
        parsed = json.loads(line)
    except ValueError:
        return False
    found = [(field(parsed, term[1]), term[2]) for term in terms if term]
    return any(isinstance(value, str) and fnmatchcase(value, text) for value, text in found)


def values(metric_filter: Mapping[str, Any], lines: Iterable[str]) -> list[float]:
    """What a metric filter publishes for lines; nothing for a line without the field."""
    (transformation,) = metric_filter["metricTransformations"]
    source = str(transformation["metricValue"])
    published = []
    for line in lines:
        if matches(metric_filter["filterPattern"], line):
            value = field(json.loads(line), source) if source.startswith("$") else float(source)
            published += [] if value is None else [float(value)]
    return published


def begins(alarm: Mapping[str, Any], minutes: Sequence[Sequence[float]]) -> bool:
    """Whether an alarm begins after these minutes, oldest first, each with its values."""
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold", alarm
    assert (alarm["Period"], alarm["TreatMissingData"]) == (60, "notBreaching"), alarm
    assert alarm["Statistic"] in ("Sum", "Maximum"), alarm
    totals = [
        sum(minute) if alarm["Statistic"] == "Sum" else max(minute)
        for minute in minutes[-alarm["EvaluationPeriods"] :]
        if minute
    ]
    beyond = [total for total in totals if total >= alarm["Threshold"]]
    return len(beyond) >= int(alarm["DatapointsToAlarm"])
