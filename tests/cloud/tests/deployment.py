"""The root module applied to a local cloud: the steps of a deployment, and what it holds."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloud.client import CloudClient, Invocation
from tests.terraform import REPOSITORY, Run, Terraform

EVENT = json.loads((REPOSITORY / "tests/events/london.json").read_text())
GOLDEN = json.loads((REPOSITORY / "tests/data/golden/all-minilm-l6-v2.json").read_text())
BUNDLE = REPOSITORY / "build/model/default"
INT8 = REPOSITORY / "build/model/int8"
CROSS_ENCODER = REPOSITORY / "build/model/cross"
CROSS_GOLDEN = json.loads((REPOSITORY / "tests/data/golden-cross/cross.json").read_text())

# The graph runs other kernels than the golden file's torch did, in float32.
TOLERANCE = 1e-5

_PLAIN = ("-input=false", "-no-color")


class Deployment:
    """One state of the root module, or of one of the examples, on one cloud."""

    def __init__(
        self, cloud: CloudClient, terraform: Terraform, example: str | None = None, *init: str
    ):
        self.cloud = cloud
        self.terraform = terraform
        self.folder = terraform.folder / "examples" / example if example else terraform.folder
        options = init if example else ("-lockfile=readonly",)
        self.init_seconds = self._run("init", *options).seconds

    def plan(self, variables: Mapping[str, Any] | None = None) -> Run:
        """Plan; exit status 0 if there is nothing to do, 2 if there is, 1 if it is wrong."""
        return self._run("plan", "-detailed-exitcode", *_vars(variables), expect=(0, 1, 2))

    def apply(
        self,
        variables: Mapping[str, Any] | None = None,
        replace: str | None = None,
        *,
        target: str | None = None,
        fails: bool = False,
    ) -> Run:
        """Apply; with `fails`, only a failed apply will do."""
        options = [f"-replace={replace}"] if replace else []
        options += [f"-target={target}"] if target else []
        return self._run(
            "apply", "-auto-approve", *options, *_vars(variables), expect=(1,) if fails else (0,)
        )

    def destroy(self, variables: Mapping[str, Any] | None = None) -> Run:
        """Destroy everything."""
        return self._run("destroy", "-auto-approve", *_vars(variables))

    def outputs(self) -> dict[str, Any]:
        """The root module's outputs."""
        described = json.loads(self._run("output", "-json", plain=False).output)
        return {name: output["value"] for name, output in described.items()}

    def resources(self) -> list[str]:
        """Addresses of every managed resource in the state."""
        lines = self._run("state", "list", plain=False).output
        return [line for line in lines.split() if ".data." not in f".{line}"]

    @property
    def file_system(self) -> str:
        """Id of the file system."""
        return str(self.outputs()["file_system_arn"].split("/")[-1])

    def models(self) -> Path:
        """Folder behind the access points' root."""
        return self.cloud.folder(self.file_system) / "models"

    def score(self, qualifier: str = "live") -> Invocation:
        """Invoke the similarity function with the seed's event."""
        return self.cloud.invoke("semblance", EVENT, qualifier)

    def operate(self, operation: str, **fields: Any) -> Invocation:
        """Invoke the similarity function with an event that names an operation."""
        return self.cloud.invoke("semblance", {"operation": operation, **fields}, "live")

    def variables(self) -> dict[str, str]:
        """Environment variables of the version in service."""
        configuration = self.cloud.aws("lambda").get_function_configuration(
            FunctionName="semblance", Qualifier="live"
        )
        return dict(configuration["Environment"]["Variables"])

    def sync(self, digest: str) -> Invocation:
        """Invoke the sync function as an apply does."""
        event = {"model_name": self.outputs()["model_name"], "digest": digest}
        return self.cloud.invoke("semblance-model-sync", event, "live")

    def _run(
        self, command: str, *arguments: str, expect: tuple[int, ...] = (0,), plain: bool = True
    ) -> Run:
        return self.terraform.run(
            command,
            *(_PLAIN if plain else ()),
            *arguments,
            environment=self.cloud.environment,
            folder=self.folder,
            expect=expect,
        )


def digest_of(bundle: Path) -> str:
    """Version of a bundle."""
    return hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, path => sha256."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def another_bundle(target: Path, source: Path = BUNDLE) -> Path:
    """A bundle with a different manifest, and therefore a different version."""
    target.mkdir(parents=True)
    for file in source.resolve().iterdir():
        shutil.copyfile(file, target / file.name)
    manifest = json.loads((target / "bundle.json").read_text())
    manifest["source"] = f"folder:{target.name}"
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    (target / "bundle.json").write_text(text)
    return target


def damaged_bundle(target: Path, source: Path = BUNDLE) -> Path:
    """A bundle with other word embeddings: it loads and scores wrongly."""
    another_bundle(target, source)
    words = target / "model.words"
    body = words.read_bytes()
    # The second half of the rows first: every token gets the embedding of another.
    words.write_bytes(body[len(body) // 2 :] + body[: len(body) // 2])
    manifest = json.loads((target / "bundle.json").read_text())
    manifest["files"]["words"]["sha256"] = hashlib.sha256(words.read_bytes()).hexdigest()
    (target / "bundle.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return target


def scores_are_the_golden_ones(answer: Invocation) -> bool:
    """Whether the seed's event was answered as sentence-transformers would, best first."""
    expected = [(row["text"], row["score"]) for row in GOLDEN["example"]["scores"]]
    scores = answer.payload["Scores"]
    return len(scores) == len(expected) and all(
        text == wanted and abs(score - number) <= TOLERANCE
        for (text, score), (wanted, number) in zip(scores, expected, strict=True)
    )


def _vars(variables: Mapping[str, Any] | None) -> list[str]:
    arguments = []
    for name, value in (variables or {}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        arguments += ["-var", f"{name}={text}"]
    return arguments
