"""A bootstrap that does what its event says: the Lambda back end's own tests deploy it.

It speaks the Runtime API with nothing but the standard library.
"""

import json
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"


def main() -> None:
    """Handle events for ever, unless the environment says to fail at the start."""
    if os.environ.get("FAIL_AT_START"):
        print(json.dumps({"level": "ERROR", "message": os.environ["FAIL_AT_START"]}), flush=True)
        sys.exit(3)
    handled = 0
    while True:
        with urllib.request.urlopen(f"{RUNTIME}/invocation/next") as event:
            request_id = event.headers["Lambda-Runtime-Aws-Request-Id"]
            deadline_ms = int(event.headers["Lambda-Runtime-Deadline-Ms"])
            body = json.loads(event.read())
        handled += 1
        try:
            result = {"handled": handled, "deadline_ms": deadline_ms, **handle(body)}
            post(f"invocation/{request_id}/response", result)
        except Exception as error:
            failure = {"errorType": type(error).__name__, "errorMessage": str(error)}
            post(f"invocation/{request_id}/error", failure)


def handle(event: dict[str, Any]) -> dict[str, Any]:
    """Carry out one instruction."""
    match event.get("do"):
        case "sleep":
            time.sleep(event["seconds"])
        case "exit":
            sys.exit(event["status"])
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "read":
            return {"text": Path(event["path"]).read_text()}
        case "write":
            Path(event["path"]).write_text(event["text"])
        case "list":
            return {"names": sorted(path.name for path in Path(event["path"]).iterdir())}
        case "environment":
            return {"environment": dict(os.environ), "uid": os.getuid(), "cwd": str(Path.cwd())}
        case "wait_for":
            Path(event["announce"]).touch()
            while not Path(event["path"]).exists():
                time.sleep(0.01)
        case "raise":
            raise ValueError(event["message"])
    return {}


def post(path: str, body: dict[str, Any]) -> None:
    """Send one result."""
    urllib.request.urlopen(f"{RUNTIME}/{path}", json.dumps(body).encode()).read()


if __name__ == "__main__":
    main()
