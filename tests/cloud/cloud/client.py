"""A test's side of the cloud: start it, reach its AWS, and interfere with it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

REGION = "eu-central-1"


@dataclass(frozen=True)
class Invocation:
    """What the Invoke API answered."""

    status: int
    payload: Any
    function_error: str | None
    version: str | None


class CloudClient:
    """A cloud that runs for as long as the `with` block."""

    def __init__(self, state: Path, exposed: Sequence[Path] = ()):
        self.state = state
        root = Path(__file__).parent.parent
        command = [sys.executable, "-m", "cloud", "--port", "0", "--state", str(state)]
        for folder in exposed:
            command += ["--expose", str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        self._process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise RuntimeError(f"the local cloud did not start: exit {self._process.wait()}")
        self.endpoint = words[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that send a program's AWS requests here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def aws(self, service: str, credentials: Mapping[str, str] | None = None) -> Any:
        """A boto3 client; `credentials` as STS returns them."""
        keys = credentials or {"AccessKeyId": "testing", "SecretAccessKey": "testing"}
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}, read_timeout=900),
        )

    def invoke(self, function: str, event: Any, qualifier: str | None = None) -> Invocation:
        """Invoke through the Lambda API and wait."""
        where = {"Qualifier": qualifier} if qualifier else {}
        answer = self.aws("lambda").invoke(
            FunctionName=function, Payload=json.dumps(event).encode(), **where
        )
        return Invocation(
            status=answer["StatusCode"],
            payload=json.loads(answer["Payload"].read() or b"null"),
            function_error=answer.get("FunctionError"),
            version=answer.get("ExecutedVersion"),
        )

    def fire(self, rule: str) -> list[Invocation]:
        """Send what a schedule sends to each of its targets, if their policies allow it."""
        described = self.aws("events").describe_rule(Name=rule)
        assert described["State"] == "ENABLED", described
        event = {
            "version": "0",
            "source": "aws.events",
            "detail-type": "Scheduled Event",
            "resources": [described["Arn"]],
            "detail": {},
        }
        answers = []
        for target in self.aws("events").list_targets_by_rule(Rule=rule)["Targets"]:
            function, qualifier = target["Arn"].split(":")[-2:]
            policy = self.aws("lambda").get_policy(FunctionName=function)["Policy"]
            allowed = [
                statement
                for statement in json.loads(policy)["Statement"]
                if statement["Principal"] == {"Service": "events.amazonaws.com"}
                and statement["Resource"] == target["Arn"]
                and statement["Condition"]["ArnLike"]["AWS:SourceArn"] == described["Arn"]
            ]
            assert allowed, f"{rule} may not invoke {target['Arn']}: {policy}"
            sent = json.loads(target["Input"]) if "Input" in target else event
            answers.append(self.invoke(function, sent, qualifier))
        return answers

    def logs(self, group: str) -> list[str]:
        """Every line of a log group, oldest first."""
        pages = self.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        events = [event for page in pages for event in page["events"]]
        return [event["message"] for event in sorted(events, key=lambda e: e["timestamp"])]

    def folder(self, file_system_id: str) -> Path:
        """The folder of a file system, while it has no limit."""
        return self.state / "efs" / file_system_id

    def files(self, file_system_id: str) -> dict[str, dict[str, Any]]:
        """What a file system holds, path => bytes, mode, uid; folders too."""
        listed = self._request("GET", f"/cloud/file-systems/{file_system_id}/files")
        return {entry["path"]: entry for entry in listed}

    def limit(self, file_system_id: str, size_bytes: int | None) -> None:
        """Limit the size of a file system; None removes the limit."""
        self._request("PUT", f"/cloud/file-systems/{file_system_id}/limit", {"bytes": size_bytes})

    def uid(self, of_access_point: int) -> int:
        """Who an access point's user is here: in a user namespace there is only one."""
        return of_access_point if self._request("GET", "/cloud/health")["users"] else 0

    def recycle(self, function: str) -> None:
        """Let the function's next event start cold."""
        self._request("POST", f"/cloud/functions/{function}/recycle")

    def kill_after_s3_bytes(self, function: str, size_bytes: int) -> None:
        """Kill the function once that much more has been read from S3."""
        self._request("PUT", f"/cloud/functions/{function}/kill", {"after_s3_bytes": size_bytes})

    def s3_served_bytes(self) -> int:
        """Bytes of objects that S3 has served so far."""
        return int(self._request("GET", "/cloud/s3")["served_bytes"])

    def enforce_iam(self, unchecked: float = 0) -> None:
        """Check every request against IAM after `unchecked` more; infinity switches it off."""
        self._request("POST", "/moto-api/reset-auth", raw=str(unchecked).encode())

    def _request(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> Any:
        content = raw if raw is not None else json.dumps(body or {}).encode()
        # As a form, which is urllib's default, moto would take the body apart.
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self.endpoint + path, content, headers, method=method)
        if method == "GET":
            request.data = None
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())
