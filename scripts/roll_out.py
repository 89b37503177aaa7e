"""Sends a share of the events to a new version, and returns to the old one if an alarm begins.

    cd terraform
    python ../scripts/roll_out.py semblance --percent 10 --minutes 15 -- -var-file=prod.tfvars

Runs `terraform apply` in the working folder with the input `release`: first with the share, then
after the minutes with all events, or with none of them if an alarm of modules/alarms began. What
follows `--` goes to each apply. Credentials and region come from the environment; requires boto3.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError


class RollOutError(Exception):
    """The newest version does not get all events."""


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="What follows -- goes to each terraform apply.",
    )
    parser.add_argument("function", help="name of the similarity function")
    parser.add_argument("--alias", default="live", help="alias that callers use [live]")
    parser.add_argument("--percent", type=int, default=10, help="share, 1 to 99 [10]")
    parser.add_argument("--minutes", type=float, default=15, help="how long to watch [15]")
    parser.add_argument("--poll-seconds", type=float, default=15, help="time between looks [15]")
    # argparse takes no options of another program after options of this one.
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:end])
    arguments.options = words[end + 1 :]
    if not 1 <= arguments.percent <= 99:
        parser.error("--percent must be 1 to 99")
    try:
        roll_out(boto3.client("lambda"), boto3.client("cloudwatch"), arguments)
    except (RollOutError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def roll_out(functions: Any, cloudwatch: Any, arguments: argparse.Namespace) -> None:
    """Rolls out what the configuration describes, or returns to the version before."""
    alias = functions.get_alias(FunctionName=arguments.function, Name=arguments.alias)
    before = alias["FunctionVersion"]
    if shares := alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
        raise RollOutError(f"a roll-out is in progress: {json.dumps(shares)}. End it first")
    began = alarms(cloudwatch, arguments.function)
    if began:
        raise RollOutError(f"not started, because these alarms are on: {', '.join(began)}")
    apply(arguments, {"version": before, "newest_percent": arguments.percent})
    print(f"version {before} and {arguments.percent} % to the newest version", flush=True)
    # A job that is canceled returns the events, as an interrupt does.
    ordinary = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        began = watch(cloudwatch, arguments)
    except (KeyboardInterrupt, RollOutError, BotoCoreError, ClientError) as error:
        apply(arguments, {"version": before})
        raise RollOutError(f"{str(error) or 'interrupted'}. {back_to(before)}") from error
    finally:
        signal.signal(signal.SIGTERM, ordinary)
    if began:
        apply(arguments, {"version": before})
        raise RollOutError(f"these alarms began: {', '.join(began)}. {back_to(before)}")
    apply(arguments, {})
    print("all events to the newest version")


def back_to(version: str) -> str:
    """Says where the events go after a roll-back, and what keeps it so."""
    return f'Version {version} gets all events; keep release = {{ version = "{version}" }}'


def watch(cloudwatch: Any, arguments: argparse.Namespace) -> list[str]:
    """Waits; returns the alarms that began, as soon as one does."""
    end = time.monotonic() + 60 * arguments.minutes
    while True:
        began = alarms(cloudwatch, arguments.function)
        left = end - time.monotonic()
        if began or left <= 0:
            return began
        time.sleep(min(arguments.poll_seconds, left))


def alarms(cloudwatch: Any, function: str) -> list[str]:
    """Returns the alarms of the function that are on; it must have alarms."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{function}-")
    found = [alarm for page in pages for alarm in page["MetricAlarms"]]
    if not found:
        raise RollOutError(f"{function} has no alarms to watch: apply modules/alarms first")
    return [alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM"]


def apply(arguments: argparse.Namespace, release: dict[str, Any]) -> None:
    """Applies the configuration with a release."""
    command = ["terraform", "apply", "-auto-approve", "-input=false", *arguments.options]
    command += ["-var", f"release={json.dumps(release)}"]
    if subprocess.run(command, check=False).returncode != 0:
        raise RollOutError("terraform apply failed")


if __name__ == "__main__":
    sys.exit(main())
