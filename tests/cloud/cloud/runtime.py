"""One execution environment: the Runtime API, and a bootstrap that talks to it.

An environment handles one event at a time, from its first `next` until it is stopped,
times out or exits, as in Lambda.
"""

import io
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cloud import sandbox
from cloud.file_systems import Mount

# Lambda's own limit for starting, before the event's timeout begins.
INIT_SECONDS = 10.0

_NEXT = re.compile(r"^/2018-06-01/runtime/invocation/next$")
_RESULT = re.compile(r"^/2018-06-01/runtime/invocation/([^/]+)/(response|error)$")
_INIT_ERROR = "/2018-06-01/runtime/init/error"


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


@dataclass(frozen=True)
class _Event:
    request_id: str
    payload: bytes


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
        self._inbox: queue.Queue[_Event | None] = queue.Queue()
        self._outbox: queue.Queue[Answer] = queue.Queue()
        self._ready = threading.Event()
        self._current: str | None = None
        self._stopped = False
        self._server = self._serve()
        self._process = self._start(credentials, exposed)
        self._log_reader = threading.Thread(target=self._read_logs, daemon=True)
        self._log_reader.start()
        threading.Thread(target=self._await_exit, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can take another event."""
        return not self._stopped and self._process.poll() is None

    def invoke(self, payload: bytes, request_id: str | None = None) -> Answer:
        """Pass one event and wait for its result, at most until the deadline."""
        request_id = request_id or str(uuid.uuid4())
        if not self._ready.is_set():
            answer = self._await_init(request_id)
            if answer is not None:
                self.stop()
                return answer
        self._current = request_id
        self._log_platform("start", {"requestId": request_id, "version": self.deployment.version})
        started = time.monotonic()
        self._inbox.put(_Event(request_id, payload))
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
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """End the bootstrap and the Runtime API, and remove their folder."""
        if self._stopped:
            return
        self._stopped = True
        self._measure_memory()
        self._signal(signal.SIGKILL)
        self._process.wait()
        # Its output is in the log before the caller gets the result.
        self._log_reader.join()
        self._inbox.put(None)
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(
        self, credentials: Mapping[str, str], exposed: Sequence[Path]
    ) -> subprocess.Popen[bytes]:
        task, root = self._folder / "task", self._folder / "root"
        for folder in (self._folder, task, root):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        with zipfile.ZipFile(io.BytesIO(self.deployment.package)) as package:
            package.extractall(task)
            for entry in package.infolist():
                if not entry.is_dir():
                    # Lambda keeps the modes of the zip; a zip without any gets readable files.
                    mode = entry.external_attr >> 16 & 0o777
                    (task / entry.filename).chmod(mode or 0o644)
        deployment = self.deployment
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "LD_LIBRARY_PATH": "/lib64:/usr/lib64:/var/runtime:/var/task:/var/task/lib:/opt/lib",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": sandbox.TASK_ROOT,
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_address[1]}",
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
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _serve(self) -> ThreadingHTTPServer:
        environment = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

            def do_GET(self) -> None:
                if not _NEXT.match(self.path):
                    return self._answer(404, b"{}")
                environment._ready.set()
                event = environment._inbox.get()
                if event is None:
                    self.close_connection = True
                    return None
                deadline = time.time() + environment.deployment.timeout_seconds
                headers = {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Aws-Request-Id": event.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": environment.deployment.arn,
                    "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-"
                    f"{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0",
                }
                return self._answer(200, event.payload, headers)

            def do_POST(self) -> None:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    payload = self._read_chunks()
                else:
                    payload = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(202, b'{"status":"OK"}')
                result = _RESULT.match(self.path)
                if result and result[1] == environment._current:
                    error = "Unhandled" if result[2] == "error" else None
                    environment._outbox.put(Answer(payload, error))
                elif self.path == _INIT_ERROR:
                    environment._outbox.put(Answer(payload, "Unhandled", fatal=True))

            def _read_chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _answer(
                self, status: int, body: bytes, headers: Mapping[str, str] | None = None
            ) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # A bootstrap that was killed leaves its connection half open.

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

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

    def _await_exit(self) -> None:
        status = self._process.wait()
        if self._stopped:
            return
        self._log_reader.join()
        reason = f"exit status {status}"
        if status < 0:
            reason = f"signal: {signal.strsignal(-status) or -status}".lower()
        self._outbox.put(
            _error("Runtime.ExitError", f"Runtime exited with error: {reason}", fatal=True)
        )

    def _timed_out(self, request_id: str) -> Answer:
        seconds = self.deployment.timeout_seconds
        message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
        return _error("Sandbox.Timedout", message, fatal=False)

    def _read_logs(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._write_log(line.decode(errors="replace").rstrip("\n"))

    def _report(self, request_id: str, started: float, answer: Answer) -> None:
        self._measure_memory()
        status = "success" if answer.error is None else "error"
        metrics = {
            "durationMs": round((time.monotonic() - started) * 1000, 3),
            "memorySizeMB": self.deployment.memory_mb,
            "maxMemoryUsedMB": self.max_memory_mb,
        }
        self._log_platform(
            "report", {"requestId": request_id, "status": status, "metrics": metrics}
        )

    def _log_platform(self, kind: str, record: Mapping[str, object]) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        self._write_log(json.dumps({"time": now, "type": f"platform.{kind}", "record": record}))

    def _measure_memory(self) -> None:
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        if peak:
            self.max_memory_mb = max(self.max_memory_mb, int(peak[1]) // 1024)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)


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
