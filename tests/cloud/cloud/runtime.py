"""One execution environment: a bootstrap in its own file tree, under a Runtime API.

An environment handles one event at a time, from its first poll until it is stopped, times out or
exits, as in Lambda. The Runtime API is that of the Rust tests; its program starts the bootstrap.
"""

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud import packages, sandbox
from cloud.mount import Mount
from launcher import Launched

# Lambda's own limit for starting, before the event's timeout begins.
INIT_SECONDS = 10.0


@dataclass(frozen=True)
class Deployment:
    """What of a function's version an environment is made of; equal ones may share it."""

    function_name: str
    version: str
    arn: str
    package: bytes = field(repr=False)
    environment: tuple[tuple[str, str], ...]
    memory_mb: int
    timeout_seconds: int
    tmp_mb: int
    mounts: tuple[Mount, ...]


@dataclass(frozen=True)
class Answer:
    """What an event led to: the payload, and the kind of failure if it is one."""

    payload: bytes
    error: str | None = None
    fatal: bool = False


class Environment:
    """A running bootstrap and its Runtime API."""

    def __init__(
        self,
        deployment: Deployment,
        folder: Path,
        write_log: Callable[[str], None],
        credentials: Mapping[str, str],
        exposed: Sequence[Path] = (),
    ):
        self.deployment = deployment
        self.max_memory_mb = 0
        self._write_log = write_log
        self._folder = folder
        self._outbox: queue.Queue[Answer] = queue.Queue()
        self._ready = threading.Event()
        self._stopped = False
        self._ended = False
        self._launched = self._start(credentials, exposed)
        threading.Thread(target=self._receive, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can take another event."""
        return not self._stopped and not self._ended

    def invoke(self, payload: bytes, request_id: str | None = None) -> Answer:
        """Pass one event and wait for its result, at most until the deadline."""
        request_id = request_id or str(uuid.uuid4())
        if not self._ready.is_set():
            answer = self._await_init(request_id)
            if answer is not None:
                self.stop()
                return answer
        self._log_platform("start", {"requestId": request_id, "version": self.deployment.version})
        started = time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # It ended, and the outbox says why.
            self._launched.send(payload.decode(), request_id)
        try:
            answer = self._outbox.get(timeout=self.deployment.timeout_seconds)
        except queue.Empty:
            self.stop()
            answer = self._timed_out(request_id)
        if answer.fatal:
            self.stop()
            answer = _with_request_id(answer, request_id)
        self._report(request_id, started, answer)
        return answer

    def kill(self) -> None:
        """End the bootstrap as the kernel's out-of-memory killer would."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._launched.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End the bootstrap and the Runtime API, and remove their folder."""
        if self._stopped:
            return
        self._stopped = True
        self._measure_memory()
        self._launched.kill()
        # Its output is in the log before the caller gets the result.
        self._launched.finish_log()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, credentials: Mapping[str, str], exposed: Sequence[Path]) -> Launched:
        root = self._folder / "root"
        for folder in (self._folder, root):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        task = packages.extracted(self.deployment.package, self._folder.parent / "packages")
        deployment = self.deployment
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "LD_LIBRARY_PATH": "/lib64:/usr/lib64:/var/runtime:/var/task:/var/task/lib:/opt/lib",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": sandbox.TASK_ROOT,
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_LAMBDA_RUNTIME_API": "{runtime_api}",
            "AWS_LAMBDA_FUNCTION_NAME": deployment.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": deployment.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployment.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            **credentials,
            **dict(deployment.environment),
        }
        command = sandbox.command(
            root, task, deployment.mounts, environment, deployment.tmp_mb, exposed
        )
        arguments = ["--arn", deployment.arn, "--timeout-seconds", str(deployment.timeout_seconds)]
        return Launched("runtime", *arguments, "--", *command, on_log=self._write_log)

    def _receive(self) -> None:
        """Reads what the launcher says until the bootstrap ends."""
        while line := self._launched.receive():
            match line["kind"]:
                case "ready":
                    self._ready.set()
                case "exit":
                    break
                case kind:
                    self._outbox.put(_answer(kind, line["body"]))
        else:
            line = None
        self._ended = True
        if not self._stopped:
            self._launched.finish_log()
            self._outbox.put(_exit(line or {}))

    def _await_init(self, request_id: str) -> Answer | None:
        """The failure to start, or None once the bootstrap asks for its first event."""
        deadline = time.monotonic() + INIT_SECONDS + self.deployment.timeout_seconds
        while not self._ready.wait(timeout=0.02):
            try:
                return _with_request_id(self._outbox.get_nowait(), request_id)
            except queue.Empty:
                if time.monotonic() > deadline:
                    return self._timed_out(request_id)
        return None

    def _timed_out(self, request_id: str) -> Answer:
        seconds = self.deployment.timeout_seconds
        message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
        return _error("Sandbox.Timedout", message, fatal=False)

    def _report(self, request_id: str, started: float, answer: Answer) -> None:
        self._measure_memory()
        record: dict[str, object] = {"requestId": request_id}
        record["status"] = "success" if answer.error is None else "error"
        if answer.fatal:
            record["errorType"] = json.loads(answer.payload)["errorType"]
        record["metrics"] = {
            "durationMs": round((time.monotonic() - started) * 1000, 3),
            "memorySizeMB": self.deployment.memory_mb,
            "maxMemoryUsedMB": self.max_memory_mb,
        }
        self._log_platform("report", record)

    def _log_platform(self, kind: str, record: Mapping[str, object]) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        self._write_log(json.dumps({"time": now, "type": f"platform.{kind}", "record": record}))

    def _measure_memory(self) -> None:
        try:
            status = Path(f"/proc/{self._launched.pid}/status").read_text()
        except OSError:
            return
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        if peak:
            self.max_memory_mb = max(self.max_memory_mb, int(peak[1]) // 1024)


def _answer(kind: str, body: str) -> Answer:
    return Answer(
        body.encode(),
        None if kind == "response" else "Unhandled",
        fatal=kind == "init_error",
    )


def _exit(line: Mapping[str, Any]) -> Answer:
    reason = f"exit status {line.get('status')}"
    if number := line.get("signal"):
        reason = f"signal: {signal.strsignal(number) or number}".lower()
    return _error("Runtime.ExitError", f"Runtime exited with error: {reason}", fatal=True)


def _error(error_type: str, message: str, *, fatal: bool) -> Answer:
    payload = json.dumps({"errorType": error_type, "errorMessage": message}).encode()
    return Answer(payload, "Unhandled", fatal)


def _with_request_id(answer: Answer, request_id: str) -> Answer:
    body = json.loads(answer.payload)
    message = str(body.get("errorMessage", ""))
    if not body.get("errorType", "").startswith("Runtime.") or message.startswith("RequestId"):
        return answer
    body["errorMessage"] = f"RequestId: {request_id} Error: {message}"
    return Answer(json.dumps(body).encode(), answer.error, answer.fatal)
