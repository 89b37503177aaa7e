"""The packaged function under a Runtime API that this process serves.

The API adds as little as it can: one thread, no library between the socket and the event, each
response in one write with TCP_NODELAY. Source: AWS Lambda developer guide, "Using the Lambda
runtime API for custom runtimes", version 2018-06-01.
"""

import select
import socket
import time
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path

from harness.process import Answer, Memory, Process

_NEXT = "/2018-06-01/runtime/invocation/next"
_TIMEOUT_SECONDS = 120
_ARN = "arn:aws:lambda:eu-west-1:123456789012:function:similarity"


class Function:
    """A running `bootstrap`; its first event is already waiting."""

    def __init__(self, task_root: Path, environment: Mapping[str, str], log: Path):
        self._api = socket.create_server(("127.0.0.1", 0))
        self._connections: dict[socket.socket, bytearray] = {}
        port = self._api.getsockname()[1]
        lambda_environment = {
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_FUNCTION_NAME": "similarity",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_REGION": "eu-west-1",
            "LAMBDA_TASK_ROOT": str(task_root),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "_HANDLER": "bootstrap",
        }
        command = [str(task_root / "bootstrap")]
        self._process = Process(command, lambda_environment | dict(environment), log, lines=False)

    def first(self, event: bytes) -> Answer:
        """The response to the first event, timed from the start of the process."""
        return self._exchange(event, self._process.started)

    def ask(self, event: bytes) -> Answer:
        """The response to an event."""
        return self._exchange(event, time.perf_counter())

    def memory(self) -> Memory:
        return self._process.memory()

    def stop(self) -> None:
        self._process.stop()
        for connection in (self._api, *self._connections):
            connection.close()

    def _exchange(self, event: bytes, since: float) -> Answer:
        """Passes the event to the process that polls, and waits for its response."""
        request_id = str(uuid.uuid4())
        handed_over = False
        while True:
            for connection, method, path, body in self._requests():
                if method == "GET" and path == _NEXT and not handed_over:
                    connection.sendall(_event(request_id, event))
                    handed_over = True
                    continue
                elapsed_ms = (time.perf_counter() - since) * 1e3
                connection.sendall(_response(202, b'{"status":"OK"}'))
                if not path.endswith(f"/{request_id}/response"):
                    raise self._process.failure(f"the function posted {path}: {body.decode()}")
                return Answer(body, elapsed_ms)

    def _requests(self) -> list[tuple[socket.socket, str, str, bytes]]:
        """Every complete request; waits for bytes if there is no complete request."""
        found = self._whole()
        if found:
            return found
        ready, _, _ = select.select([self._api, *self._connections], [], [], 1.0)
        if not ready and self._process.child.poll() is not None:
            raise self._process.failure("the function ended without an answer")
        for connection in ready:
            if connection is self._api:
                accepted, _ = self._api.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[accepted] = bytearray()
                continue
            received = connection.recv(1 << 20)
            if received:
                self._connections[connection] += received
            else:
                del self._connections[connection]
                connection.close()
        return self._whole()

    def _whole(self) -> list[tuple[socket.socket, str, str, bytes]]:
        found = []
        for connection, buffer in self._connections.items():
            request = _take(buffer)
            if request is not None:
                found.append((connection, *request))
        return found


def unpack(package: Path, folder: Path) -> Path:
    """Extracts a package like Lambda and returns the folder."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    (folder / "bootstrap").chmod(0o755)
    return folder


def _take(buffer: bytearray) -> tuple[str, str, bytes] | None:
    """Removes a complete HTTP/1.1 request from the buffer: method, path, body."""
    head_end = buffer.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    first, *lines = buffer[:head_end].decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in lines)}
    start = head_end + 4
    if headers.get("transfer-encoding") == "chunked":
        body, end = _chunks(buffer, start)
    else:
        end = start + int(headers.get("content-length", "0"))
        body = bytes(buffer[start:end]) if len(buffer) >= end else None
    if body is None:
        return None
    del buffer[:end]
    return method, path, body


def _chunks(buffer: bytearray, start: int) -> tuple[bytes | None, int]:
    """A chunked body and its end, or None if it is incomplete."""
    body = b""
    while True:
        line_end = buffer.find(b"\r\n", start)
        if line_end < 0:
            return None, start
        size = int(buffer[start:line_end].split(b";")[0], 16)
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None, start
        body += buffer[start : start + size]
        start += size + 2
        if size == 0:
            return body, start


def _event(request_id: str, event: bytes) -> bytes:
    deadline_ms = int((time.time() + _TIMEOUT_SECONDS) * 1e3)
    return _response(
        200,
        event,
        f"Lambda-Runtime-Aws-Request-Id: {request_id}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline_ms}\r\n"
        f"Lambda-Runtime-Invoked-Function-Arn: {_ARN}\r\n"
        "Lambda-Runtime-Trace-Id: Root=1-00000000-000000000000000000000000;Sampled=0\r\n",
    )


def _response(status: int, body: bytes, headers: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode("ascii") + body
