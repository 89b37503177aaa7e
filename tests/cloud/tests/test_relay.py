"""The relay between Terraform and the AWS provider."""

import json
from pathlib import Path
from typing import Any

from tests.terraform import Terraform

_KINDS = ("resource_schemas", "data_source_schemas")


def schemas(terraform: Terraform) -> dict[str, Any]:
    terraform.init()
    described = json.loads(terraform.run("providers", "schema", "-json").output)
    (aws,) = (
        schema
        for name, schema in described["provider_schemas"].items()
        if name.endswith("hashicorp/aws")
    )
    return dict(aws)


def test_the_schema_of_a_used_type_is_that_of_the_provider(
    terraform: Terraform, tmp_path: Path
) -> None:
    relayed = schemas(terraform)
    with Terraform(tmp_path, attach=False) as direct:
        whole = schemas(direct)
    assert relayed["provider"] == whole["provider"]
    for kind in _KINDS:
        assert relayed[kind] == {name: whole[kind][name] for name in relayed[kind]}
        assert 10 < len(relayed[kind]) < len(whole[kind]) / 10, kind
