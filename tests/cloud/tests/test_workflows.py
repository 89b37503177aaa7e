"""The workflows: each target exists, and the scripts of the release do what it needs."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment import contents, digest_of
from tests.terraform import REPOSITORY

WORKFLOWS = REPOSITORY / ".github/workflows"
FUNCTIONS = ("similarity", "model-sync", "authorizer")
ARCHITECTURES = ("x86_64", "arm64")
LAYERS = ("layer-all-minilm-l6-v2-default.zip", "layer-all-minilm-l6-v2-int8.zip")
CHANGES = "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2026-01-02)\n- New.\n\n## 1.2.2\n- Old.\n"


def jobs(workflow: str) -> dict[str, Any]:
    """The jobs of a workflow."""
    return dict(yaml.safe_load((WORKFLOWS / workflow).read_text())["jobs"])


def scripts(workflow: str) -> list[str]:
    """What the steps of a workflow run."""
    return [
        step["run"] for job in jobs(workflow).values() for step in job["steps"] if "run" in step
    ]


def without_expressions(text: str) -> str:
    """A script with a word for each expression of the workflow."""
    return re.sub(r"\$\{\{.*?\}\}", "expression", text)


def script(job: str, name: str) -> str:
    """What the named step of the release runs."""
    steps = jobs("release.yml")[job]["steps"]
    (found,) = [step["run"] for step in steps if step.get("name") == name]
    return str(found)


def run(text: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script as the runner of a workflow does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workflow", sorted(path.name for path in WORKFLOWS.iterdir()))
def test_every_target_that_a_workflow_makes_exists(workflow: str) -> None:
    commands = [
        found.split()
        for text in map(without_expressions, scripts(workflow))
        for found in re.findall(r"^ *make ([^\n;&|]+)", text, re.MULTILINE)
    ]
    targets = {word for command in commands for word in command if "=" not in word}
    assert targets
    for target in sorted(targets):
        command = ["make", "--dry-run", "--no-print-directory", target]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_part_of_the_tests_is_a_job() -> None:
    made = set(re.findall(r"make ([a-z-]+)", "\n".join(scripts("ci.yml"))))
    parts = {"lint", "test-rust", "test-crashes", "test-python", "terraform-test", "test-clients"}
    assert parts <= made


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_zips_of_a_build_are_named_after_function_and_architecture(
    arch: str, tmp_path: Path
) -> None:
    # Where `make package` writes them.
    described = subprocess.run(
        ["make", "--dry-run", "--always-make", "--no-print-directory", "package", f"ARCH={arch}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for built in re.findall(r"report --zip (\S+)", described.stdout):
        (tmp_path / built).parent.mkdir(parents=True)
        (tmp_path / built).write_text(built)
    text = script("package", "Name the zips after function and architecture")
    done = run(text, tmp_path, ARCH=arch)
    assert done.returncode == 0, done.stderr
    named = {path.name: path.read_text().split("/")[2] for path in (tmp_path / "zips").iterdir()}
    assert named == {f"{function}-{arch}.zip": function for function in FUNCTIONS}


def built_twice(folder: Path) -> None:
    """The zips of both builds and the layers, as the jobs before hand them over."""
    for arch in ARCHITECTURES:
        for build in ("first", "second"):
            zips = folder / "built" / f"{build}-{arch}"
            zips.mkdir(parents=True)
            for function in FUNCTIONS:
                (zips / f"{function}-{arch}.zip").write_text(f"{function} {arch}")
    (folder / "built/layers").mkdir()
    for layer in LAYERS:
        (folder / "built/layers" / layer).write_text(layer)


def test_a_release_has_every_zip_with_its_checksum_and_the_notes(tmp_path: Path) -> None:
    built_twice(tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    done = run(script("release", "Compare both builds"), tmp_path)
    assert done.returncode == 0, done.stdout
    zips = {f"{function}-{arch}.zip" for function in FUNCTIONS for arch in ARCHITECTURES}
    assert {path.name for path in (tmp_path / "release").iterdir()} == {*zips, *LAYERS}
    text = script("release", "Write the checksums and the notes")
    done = run(text, tmp_path, GITHUB_REF_NAME="v1.2.3")
    assert done.returncode == 0, done.stdout
    checked = run("sha256sum --check --strict SHA256SUMS", tmp_path / "release")
    assert checked.returncode == 0 and checked.stdout.count(": OK") == len({*zips, *LAYERS})
    assert (tmp_path / "notes.md").read_text() == "- New.\n\n"


def test_builds_that_differ_are_not_released(tmp_path: Path) -> None:
    built_twice(tmp_path)
    (tmp_path / "built/second-arm64/model-sync-arm64.zip").write_text("other bytes")
    done = run(script("release", "Compare both builds"), tmp_path)
    assert done.returncode != 0 and "model-sync-arm64.zip differ" in done.stdout
    assert not (tmp_path / "release").exists()


def test_a_version_that_the_changelog_does_not_have_is_not_released(tmp_path: Path) -> None:
    built_twice(tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    shutil.copytree(tmp_path / "built/layers", tmp_path / "release")
    text = script("release", "Write the checksums and the notes")
    for tag in ("v1.2.4", "v1.2"):
        done = run(text, tmp_path, GITHUB_REF_NAME=tag)
        assert done.returncode != 0 and "CHANGELOG.md has no section" in done.stdout, tag


def test_the_layer_of_a_release_holds_the_folder_of_its_bundle(tmp_path: Path) -> None:
    bundle = REPOSITORY / "terraform/tests/fixtures/bundle"
    command = [sys.executable, "scripts/layer.py", str(bundle), "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "default.zip") as archive:
        archive.extractall(tmp_path)
    (folder,) = (tmp_path / "bundles").glob("*/*")
    assert folder.name == digest_of(bundle)
    described = json.loads((bundle / "bundle.json").read_text())["files"].values()
    names = {"bundle.json", *(file["path"] for file in described)}
    assert contents(folder) == {name: contents(bundle)[name] for name in names}


def test_the_example_of_a_workflow_deploys_every_environment() -> None:
    example = REPOSITORY / "terraform/examples/two-environments"
    job = yaml.safe_load((example / "deploy.yml").read_text())["jobs"]["terraform"]
    environments = job["strategy"]["matrix"]["environment"]
    assert sorted(environments) == sorted(path.stem for path in example.glob("*.tfvars"))
    files = [name for step in job["steps"] for name in re.findall(r'-var-file="(.*?)"', str(step))]
    assert files == ["${{ matrix.environment }}.tfvars"] * 3
