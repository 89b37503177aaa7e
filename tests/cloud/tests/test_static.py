"""The configuration without applying it: format, validity, module tests, policies, READMEs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Report
from tests.terraform import MODULES, REPOSITORY, Terraform

TERRAFORM = REPOSITORY / "terraform"


def test_every_file_is_formatted(terraform: Terraform) -> None:
    terraform.run("fmt", "-check", "-recursive", "-diff")


def test_the_root_module_is_valid(terraform: Terraform) -> None:
    terraform.init()
    terraform.run("validate", "-no-color")


@pytest.mark.parametrize("module", MODULES)
def test_module_passes_its_own_tests(terraform: Terraform, module: str, report: Report) -> None:
    folder = terraform.folder / module
    terraform.init(folder)
    run = terraform.run("test", "-no-color", folder=folder)
    verdict = run.output.strip().splitlines()[-1]
    report(f"terraform test {module}: {verdict} ({run.seconds:.0f} s)")
    assert verdict.startswith("Success!") and verdict.endswith(" 0 failed.")
    written = "".join(path.read_text() for path in (folder / "tests").glob("*.tftest.hcl"))
    assert f" {written.count(chr(10) + 'run ')} passed" in verdict, "every run ran"


@pytest.mark.parametrize("module", MODULES)
def test_every_validated_input_has_a_rejection(module: str) -> None:
    variables = (TERRAFORM / module / "variables.tf").read_text().split('variable "')[1:]
    tests = "".join(p.read_text() for p in (TERRAFORM / module / "tests").glob("*.tftest.hcl"))
    for variable in variables:
        name = variable.split('"')[0]
        if "validation {" in variable:
            assert f"expect_failures = [var.{name}]" in " ".join(tests.split()), name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_at_most_25_inputs_all_typed_and_described(module: str) -> None:
    variables = (TERRAFORM / module / "variables.tf").read_text().split('variable "')[1:]
    assert len(variables) <= 25
    for variable in variables:
        assert "  description = " in variable, variable
        assert "  type" in variable and "any" not in variable.split("type")[1].split("\n")[0]


@pytest.mark.parametrize(
    "script",
    ["terraform/readme_tables.py", "scripts/deployment_costs.py", "scripts/models_table.py"],
)
def test_the_tables_in_the_documents_are_current(script: str) -> None:
    command = [sys.executable, str(REPOSITORY / script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_provider_range_spans_two_majors_and_the_lock_agrees() -> None:
    for module in MODULES:
        text = (TERRAFORM / module / "versions.tf").read_text()
        assert 'version = ">= 5.100, < 7.0"' in text, module
    lock = (TERRAFORM / ".terraform.lock.hcl").read_text()
    assert 'constraints = ">= 5.100.0, < 7.0.0"' in lock
    # Deprecated by the newer major: the region's name is `id` in both.
    for path in TERRAFORM.rglob("*.tf"):
        assert "aws_region.current.name" not in path.read_text(), path


def test_a_module_has_no_provider_block() -> None:
    for module in MODULES:
        for path in (TERRAFORM / module).glob("*.tf"):
            assert 'provider "aws"' not in path.read_text(), path


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    program = Path(sys.executable).with_name("hadolint")
    command = [str(program), str(REPOSITORY / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_checkov_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "checkov.main", "--file", str(REPOSITORY / "Dockerfile")),
            *("--framework", "dockerfile", "--skip-download", "--output", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    assert [check["check_id"] for check in found["results"]["failed_checks"]] == []
    assert found["summary"]["passed"] > 20


def test_checkov_finds_nothing_and_every_skip_has_a_reason(report: Report) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "checkov.main", "--directory", str(TERRAFORM)),
            *("--framework", "terraform", "--skip-download", "--output", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    summary, results = found["summary"], found["results"]
    report("checkov: {passed} passed, {failed} failed, {skipped} skipped".format(**summary))
    reasons = {
        (skip["check_id"], skip["check_result"]["suppress_comment"])
        for skip in results["skipped_checks"]
    }
    for check, reason in sorted(reasons):
        report(f"  skipped {check}: {reason}")
    assert [f"{c['check_id']} {c['resource']}" for c in results["failed_checks"]] == []
    assert summary["parsing_errors"] == 0 and summary["passed"] > 90
    assert all(len(reason) > 20 for _, reason in reasons)
