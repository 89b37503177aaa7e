"""The HTTP server: moto's, with what a test does to the cloud itself under `/cloud/`.

GET  /cloud/health
ANY  /cloud/apis/ID/...                         a request to an HTTP API
GET  /cloud/s3                                  bytes of objects served so far
GET  /cloud/file-systems/ID/files               what a file system holds
PUT  /cloud/file-systems/ID/limit {"bytes": N}  how much it may hold; null lifts it
POST /cloud/functions/NAME/recycle              the next event starts cold
PUT  /cloud/functions/NAME/kill {"after_s3_bytes": N}  once it has read N bytes
"""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from cloud import (
    autoscaling,
    file_systems,
    functions,
    gateway,
    network,
    objects,
    policies,
    provisioned,
    sandbox,
)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Cloud:
    """A running local cloud."""

    def __init__(self, state: Path, port: int, exposed: Iterable[Path] = ()):
        self._environments = state / "environments"
        self._environments.mkdir(parents=True, exist_ok=True)
        self._file_systems = file_systems.FileSystems(state / "efs")
        self._served_bytes = 0
        self._kill_at: dict[str, int] = {}
        self._lock = threading.Lock()
        self._moto_lock = threading.Lock()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", port, self._dispatch, threaded=True, request_handler=_QuietHandler
        )
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._fleet = functions.Fleet(
            self._file_systems, self._environments, self.endpoint, exposed
        )
        self._gateway = gateway.Gateway(self._fleet)
        # `use_docker` off keeps moto from looking for a Docker daemon at all.
        default_user_config["lambda"] = {"use_docker": False}
        policies.mend()
        network.mend()
        autoscaling.mend()
        file_systems.mend()
        functions.mend(self._fleet)
        provisioned.mend()
        objects.mend()

    def serve(self) -> None:
        """Answer requests until the process ends."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Stop every function and remove what they ran in."""
        self._fleet.stop()
        shutil.rmtree(self._environments, ignore_errors=True)

    def _dispatch(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith("/cloud/apis/"):
            return self._gateway.answer(environ, start_response)
        if path.startswith("/cloud/"):
            return self._administer(path, environ, start_response)
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        # Requests at the same time disturb each other in moto: one fails while another adds to what
        # it reads. A function calls the cloud while its invocation waits, so Lambda is not locked.
        alone = nullcontext() if "/lambda/aws4_request" in authorization else self._moto_lock
        with alone:
            answer: Iterable[bytes] = self._moto(environ, start_response)
        if environ["REQUEST_METHOD"] == "GET" and "/s3/aws4_request" in authorization:
            return self._count(answer)
        return answer

    def _count(self, answer: Iterable[bytes]) -> Iterable[bytes]:
        for chunk in answer:
            with self._lock:
                self._served_bytes += len(chunk)
                due = [name for name, at in self._kill_at.items() if self._served_bytes >= at]
                for name in due:
                    del self._kill_at[name]
            for name in due:
                self._fleet.kill_busy(name)
            yield chunk

    def _administer(
        self, path: str, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = json.loads(environ["wsgi.input"].read(length) or b"{}")
        try:
            status, answer = "200 OK", self._operate(environ["REQUEST_METHOD"], path, body)
        except LookupError:
            status, answer = "404 Not Found", {"message": f"{path} is no operation of the cloud"}
        content = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        start_response(status, headers)
        return [content]

    def _operate(self, method: str, path: str, body: dict[str, Any]) -> Any:
        if (method, path) == ("GET", "/cloud/health"):
            return {"status": "ready", "users": sandbox.has_users()}
        if (method, path) == ("GET", "/cloud/s3"):
            return {"served_bytes": self._served_bytes}
        if found := re.fullmatch(r"/cloud/file-systems/([^/]+)/(files|limit)", path):
            if (method, found[2]) == ("GET", "files"):
                return self._file_systems.files(found[1])
            if (method, found[2]) == ("PUT", "limit"):
                self._fleet.recycle()
                self._file_systems.limit(found[1], body["bytes"])
                return {}
        if found := re.fullmatch(r"/cloud/functions/([^/]+)/(recycle|kill)", path):
            if (method, found[2]) == ("POST", "recycle"):
                return {"stopped": self._fleet.recycle(found[1])}
            if (method, found[2]) == ("PUT", "kill"):
                with self._lock:
                    self._kill_at[found[1]] = self._served_bytes + body["after_s3_bytes"]
                return {}
        raise LookupError(path)


class _QuietHandler(MotoRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass
