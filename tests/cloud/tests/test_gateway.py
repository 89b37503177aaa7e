"""The gateway example: unmodified clients with a key, roll-out, gate, roll back, destroy.

The tests run in the order they stand in, each on what the former left behind.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cohere
import openai
import pytest

from cloud.client import CloudClient
from tests.conftest import Report
from tests.deployment import (
    EVENT,
    GOLDEN,
    INT8,
    Deployment,
    another_bundle,
    damaged_bundle,
    digest_of,
)
from tests.terraform import REPOSITORY, Terraform

pytestmark = [pytest.mark.apply, pytest.mark.xdist_group("gateway")]

KEY, WRONG = "a-long-random-key", "another-key"
TEXT = "a"

# int8 is within this of the cosine similarity of fp32.
INT8_TOLERANCE = 0.05


def layer(bundle: Path, folder: Path) -> str:
    """The zip that `make layer` writes."""
    script = REPOSITORY / "scripts/layer.py"
    command = [sys.executable, str(script), str(bundle), "--folder", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    (target,) = folder.glob(f"*/{digest_of(bundle)}.zip")
    return str(target)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The inputs of the first apply."""
    folder = tmp_path_factory.mktemp("layers")
    return {
        "api_keys": {"test": hashlib.sha256(KEY.encode()).hexdigest()},
        "bundle": str(INT8),
        "layer": layer(INT8, folder),
    }


@pytest.fixture(scope="module")
def example(built: None, cloud: CloudClient, terraform: Terraform) -> Deployment:
    return Deployment(cloud, terraform, "gateway")


def url(example: Deployment) -> str:
    """Where the local cloud answers for the API."""
    return f"{example.cloud.endpoint}/cloud/apis/{example.outputs()['api_id']}"


def client(example: Deployment, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url(example)}/v1", api_key=key, max_retries=0)


def version(example: Deployment) -> str | None:
    answer = example.cloud.invoke("semblance", EVENT, "live")
    assert answer.function_error is None, answer.payload
    return answer.version


def similarity(embedding: list[float]) -> float:
    """Cosine similarity with the golden vector; both have length 1."""
    (expected,) = [entry["embedding"] for entry in GOLDEN["texts"] if entry["text"] == TEXT]
    return float(sum(x * y for x, y in zip(embedding, expected, strict=True)))


def applied(example: Deployment, variables: dict[str, Any], what: str, report: Report) -> None:
    """Apply; then the next plan is empty."""
    apply = example.apply(variables)
    plan = example.plan(variables)
    (changes,) = [line for line in apply.output.splitlines() if line.startswith("Apply complete!")]
    (none,) = [line for line in plan.output.splitlines() if line.startswith("No changes.")]
    report(f"{what}: {apply.seconds:.0f} s. {changes} Next plan: {none}")
    assert plan.status == 0, plan.output


def test_one_apply_creates_an_address(
    example: Deployment, first: dict[str, Any], report: Report
) -> None:
    applied(example, first, "terraform apply", report)
    addresses = example.resources()
    assert not [a for a in addresses if "aws_vpc" in a or "aws_efs" in a or "sync" in a]


def test_an_unmodified_openai_client_is_answered(example: Deployment, report: Report) -> None:
    answer = client(example).embeddings.create(model="-", input=[TEXT])
    cosine = similarity(answer.data[0].embedding)
    report(f"OpenAI with a key: {len(answer.data[0].embedding)} numbers, cosine {cosine:.4f}")
    assert cosine > 1 - INT8_TOLERANCE


def test_an_unmodified_cohere_client_is_answered(example: Deployment, report: Report) -> None:
    candidates = EVENT["actual_queries"]
    answer = cohere.ClientV2(base_url=url(example), api_key=KEY).rerank(
        model="-", query=EVENT["query_from_app"], documents=candidates
    )
    report(f"Cohere with a key: {[result.index for result in answer.results]}")
    assert [result.index for result in answer.results] == [0, 1]


def test_without_an_accepted_key_nobody_is_answered(example: Deployment, report: Report) -> None:
    with pytest.raises(openai.PermissionDeniedError) as forbidden:
        client(example, WRONG).embeddings.create(model="-", input=[TEXT])
    anonymous = {"Authorization": openai.Omit()}
    with pytest.raises(openai.AuthenticationError) as unknown:
        client(example).embeddings.create(model="-", input=[TEXT], extra_headers=anonymous)
    report(f"another key: {forbidden.value}; no key: {unknown.value}")
    assert (forbidden.value.status_code, unknown.value.status_code) == (403, 401)


def test_the_newest_version_gets_a_share(
    example: Deployment, first: dict[str, Any], tmp_path: Path, report: Report
) -> None:
    newer = another_bundle(tmp_path / "newer", INT8)
    rollout = {
        **first,
        "bundle": str(newer),
        "layer": layer(newer, tmp_path / "layers"),
        "release": {"version": "1", "newest_percent": 50},
    }
    applied(example, rollout, "weighted roll-out", report)
    versions = [version(example) for _ in range(40)]
    report(f"  {versions.count('1')} events to version 1, {versions.count('2')} to version 2")
    assert set(versions) == {"1", "2"}
    answer = client(example).embeddings.create(model="-", input=[TEXT])
    assert similarity(answer.data[0].embedding) > 1 - INT8_TOLERANCE
    applied(example, {**rollout, "release": {}}, "all events to the newest version", report)
    assert version(example) == "2"


def test_a_version_that_scores_wrongly_does_not_get_the_alias(
    example: Deployment, first: dict[str, Any], tmp_path: Path, report: Report
) -> None:
    wrong = damaged_bundle(tmp_path / "wrong", INT8)
    variables = {**first, "bundle": str(wrong), "layer": layer(wrong, tmp_path / "layers")}
    apply = example.apply(variables, fails=True)
    said = " ".join(apply.output.replace("│", " ").split())
    start = said.find("Version 3 of semblance does not score")
    report(f"a bundle that scores wrongly: terraform apply fails: {said[start : start + 200]}")
    assert start > 0 and "The alias did not move." in said, apply.output
    alias = example.cloud.aws("lambda").get_alias(FunctionName="semblance", Name="live")
    report(f"  the alias is on version {alias['FunctionVersion']}, as before")
    assert version(example) == "2"
    answer = client(example).embeddings.create(model="-", input=[TEXT])
    assert similarity(answer.data[0].embedding) > 1 - INT8_TOLERANCE


def test_rolling_back_is_one_input(
    example: Deployment, first: dict[str, Any], report: Report
) -> None:
    applied(example, {**first, "release": {"version": "1"}}, "roll back to version 1", report)
    assert version(example) == "1"


def token(example: Deployment, client_id: str, pool: str) -> str:
    """The access token of a user of a client."""
    cognito = example.cloud.aws("cognito-idp")
    name, password = f"user-of-{client_id}", "Long-enough-1"
    cognito.admin_create_user(UserPoolId=pool, Username=name)
    cognito.admin_set_user_password(
        UserPoolId=pool, Username=name, Password=password, Permanent=True
    )
    answer = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client_id,
        AuthFlow="ADMIN_NO_SRP_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


def test_tokens_are_an_alternative_to_keys(
    example: Deployment, first: dict[str, Any], report: Report
) -> None:
    cognito = example.cloud.aws("cognito-idp")
    pool = cognito.create_user_pool(PoolName="users")["UserPool"]["Id"]
    accepted, other = (
        cognito.create_user_pool_client(UserPoolId=pool, ClientName=name)["UserPoolClient"]
        for name in ("accepted", "other")
    )
    issuer = f"https://cognito-idp.eu-central-1.amazonaws.com/{pool}"
    variables = {
        **{name: value for name, value in first.items() if name != "api_keys"},
        "release": {"version": "1"},
        "jwt": {"issuer": issuer, "audience": [accepted["ClientId"]]},
    }
    applied(example, variables, "tokens instead of keys", report)
    valid = token(example, accepted["ClientId"], pool)
    answer = client(example, valid).embeddings.create(model="-", input=[TEXT])
    assert similarity(answer.data[0].embedding) > 1 - INT8_TOLERANCE
    statuses = []
    for wrong in (KEY, token(example, other["ClientId"], pool), valid[:-8] + "AAAAAAAA"):
        with pytest.raises(openai.AuthenticationError) as refused:
            client(example, wrong).embeddings.create(model="-", input=[TEXT])
        statuses.append(refused.value.status_code)
    report(f"token: answered; a key, another audience, another signature: {statuses}")
    names = [f["FunctionName"] for f in example.cloud.aws("lambda").list_functions()["Functions"]]
    assert names == ["semblance"], "tokens need no authorizer"
    applied(example, {**first, "release": {"version": "1"}}, "keys again", report)


def test_destroy_from_another_clone_leaves_nothing(
    example: Deployment, first: dict[str, Any], tmp_path: Path, report: Report
) -> None:
    # With the provider that each command starts, as a user has it.
    clone = Terraform(tmp_path, attach=False)
    for link in ("target", "build"):
        (tmp_path / link).unlink()
    folder = clone.folder / "examples/gateway"
    shutil.copyfile(example.folder / "terraform.tfstate", folder / "terraform.tfstate")
    inputs = {
        "api_keys": first["api_keys"],
        "bundle": "../../../build/model/int8",
        "layer": "../../../target/lambda/layers/int8.zip",
    }
    destroy = Deployment(example.cloud, clone, "gateway").destroy(inputs)
    report(f"destroy from another clone: {destroy.seconds:.0f} s")
    cloud = example.cloud
    assert cloud.aws("lambda").list_functions()["Functions"] == []
    assert cloud.aws("apigatewayv2").get_apis()["Items"] == []
    assert cloud.aws("s3").list_buckets()["Buckets"] == []
    assert cloud.aws("iam").list_roles()["Roles"] == []
