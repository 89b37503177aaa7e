"""The container image: the file tree, environment, user and entry point of the Dockerfile.

Without a registry the base image cannot be pulled. The files of this machine take its place; what
the Dockerfile adds is real, except that the server is a debug build.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloud import sandbox
from tests.conftest import Report
from tests.deployment import EVENT, GOLDEN, TOLERANCE
from tests.terraform import REPOSITORY

_SCRIPT = Path(sandbox.__file__).with_name("sandbox.sh")
_STOP_SECONDS = 60


class Image:
    """What the instructions of the Dockerfile say."""

    def __init__(self, dockerfile: Path):
        text = dockerfile.read_text().replace("\\\n", " ")
        lines = [line.split(maxsplit=1) for line in text.splitlines() if re.match("[A-Z]+ ", line)]
        of = {name: [rest for word, rest in lines if word == name] for name, _ in lines}
        self.copies = [(source, Path(target)) for source, target in map(str.split, of["COPY"])]
        self.environment = dict(pair.split("=", 1) for pair in of["ENV"][0].split())
        (self.user,) = of["USER"]
        (entry_point,) = of["ENTRYPOINT"]
        self.entry_point: list[str] = json.loads(entry_point)

    def build(self, folder: Path) -> list[str]:
        """Copy what the image adds; the mounts of it."""
        for source, target in self.copies:
            path = REPOSITORY / source.replace("target/release/", "target/debug/")
            assert path.exists(), (
                f"{path} is missing: `cargo build --bin semblance` and `make setup`"
            )
            inside = folder / target.relative_to("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, inside)
            else:
                shutil.copy2(path, inside)
        tops = {"/usr/local" if str(t).startswith("/usr/local") else "/opt" for _, t in self.copies}
        return [f"ro:{folder}{top}:{top}" for top in sorted(tops)]


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A container with these arguments; its address and its process."""
    image = Image(REPOSITORY / "Dockerfile")
    task, root = folder / "task", folder / "root"
    for path in (task, root):
        path.mkdir()
    mounts = image.build(folder / "image")
    user = f"{image.user}:{image.user}" if sandbox.has_users() else "-"
    private = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", **image.environment}
    command = [
        *("unshare", *private, "--mount", "sh", str(_SCRIPT)),
        *(str(root), str(task), "16", user, *mounts, "--"),
        *("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in variables.items())),
        *(*image.entry_point, *arguments),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = (json.loads(line) for line in process.stdout)
        url = next(line["url"] for line in lines if line.get("message") == "listening")
        yield url.replace("0.0.0.0", "127.0.0.1"), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def send(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read() or b"null")


def test_the_image_answers_as_a_sagemaker_endpoint(tmp_path: Path, report: Report) -> None:
    tmp_path.chmod(0o755)
    # SageMaker adds the argument `serve`.
    with running(tmp_path, "serve", "--port", "0") as (url, process):
        status = Path(f"/proc/{process.pid}/status").read_text()
        (users,) = re.findall(r"^Uid:\t(\d+)", status, re.MULTILINE)
        send(f"{url}/ping")
        scores = send(f"{url}/invocations", EVENT)["Scores"]
        report(f"image: user {users}, {url.split('//')[0]}//…/invocations: {json.dumps(scores)}")
        expected = {row["text"]: row["score"] for row in GOLDEN["example"]["scores"]}
        assert all(abs(score - expected[text]) <= TOLERANCE for text, score in scores)
        if sandbox.has_users():
            assert users == "10001"
        process.send_signal(signal.SIGTERM)
        assert process.wait(_STOP_SECONDS) == 0


def test_the_image_without_arguments_is_a_server(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with running(tmp_path, "--port", "0") as (url, _):
        send(f"{url}/health")
