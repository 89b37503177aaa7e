"""Provisioned concurrency, which moto lacks.

As Lambda does: the environments of all versions must fit into the reserved concurrency, and an
alias that has provisioned concurrency moves by weights. Here the weights stay, as they do on Lambda
while the new environments start, or if they cannot.
"""

import json
import re
from typing import Any
from urllib.parse import unquote

from moto.awslambda import urls
from moto.awslambda.responses import LambdaResponse

Reply = tuple[int, dict[str, Any], str]

_executions: dict[tuple[str, str], int] = {}
_moto_update_alias = LambdaResponse.update_alias


def _key(response: LambdaResponse) -> tuple[str, str]:
    found = re.search(r"/functions/([^/]+)/provisioned-concurrency", response.path)
    assert found is not None
    name = unquote(found[1]).split(":function:")[-1].split(":")[0]
    return name, str(response.querystring["Qualifier"][0])


def _put(self: LambdaResponse) -> Reply:
    key, asked = _key(self), int(self.json_body["ProvisionedConcurrentExecutions"])
    name, qualifier = key
    if qualifier == "$LATEST":
        message = (
            "Provisioned Concurrency Configs cannot be applied to unpublished function version."
        )
        return _refusal(400, "InvalidParameterValueException", message)
    others = sum(
        count
        for (function, other), count in _executions.items()
        if function == name and other != qualifier
    )
    reserved = self.backend.get_function(name).reserved_concurrency
    if reserved is not None and others + asked > int(reserved):
        message = (
            f"Requested Provisioned Concurrency {others + asked} should not be greater than the "
            f"reservedConcurrentExecution {reserved} for function"
        )
        return _refusal(400, "InvalidParameterValueException", message)
    _executions[key] = asked
    return 202, {"status": "202"}, json.dumps(_described(asked))


def _get(self: LambdaResponse) -> Reply:
    executions = _executions.get(_key(self))
    if executions is None:
        message = "No Provisioned Concurrency Config found for this function"
        return _refusal(404, "ProvisionedConcurrencyConfigNotFoundException", message)
    return 200, {}, json.dumps(_described(executions))


def _delete(self: LambdaResponse) -> Reply:
    _executions.pop(_key(self), None)
    return 204, {"status": "204"}, ""


def _update_alias(self: LambdaResponse) -> Any:
    *_, name, _aliases, alias_name = unquote(self.path.rstrip("/")).split("/")
    before = {alias.name: alias for alias in self.backend.list_aliases(name)}[alias_name]
    old = before.function_version
    answer = _moto_update_alias(self)
    new = json.loads(self.body).get("FunctionVersion")
    if (name, alias_name) in _executions and new not in (None, old):
        before.__dict__["routing_config"] = {"AdditionalVersionWeights": {old: 0.5}}
    return answer


def _refusal(status: int, error_type: str, message: str) -> Reply:
    headers = {"status": str(status), "x-amzn-errortype": error_type}
    return status, headers, json.dumps({"Type": "User", "Message": message, "message": message})


def _described(executions: int) -> dict[str, Any]:
    return {
        "RequestedProvisionedConcurrentExecutions": executions,
        "AvailableProvisionedConcurrentExecutions": executions,
        "AllocatedProvisionedConcurrentExecutions": executions,
        "Status": "READY",
        "LastModified": "2026-01-01T00:00:00+0000",
    }


def mend() -> None:
    """Add the operations."""
    pattern = r"{0}/(?P<api_version>[^/]+)/functions/(?P<function_name>[\w_:%-]+)/"
    urls.url_paths[f"{pattern}provisioned-concurrency/?$"] = LambdaResponse.dispatch
    for name, operation in (
        ("put_provisioned_concurrency_config", _put),
        ("get_provisioned_concurrency_config", _get),
        ("delete_provisioned_concurrency_config", _delete),
        ("update_alias", _update_alias),
    ):
        setattr(LambdaResponse, name, operation)
