"""IAM policies: evaluated with the conditions that this project's policies use.

moto ignores the conditions that it does not know, or takes an unmet one for a denial;
either would make a TLS-only policy pass, or block, everything.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, urlsplit

from moto.iam.access_control import (
    IAMPolicyStatement,
    IAMRequestBase,
    PermissionResult,
)
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

Document = Mapping[str, Any]
Context = Mapping[str, str]


class Verdict(Enum):
    """What the policies say of a request."""

    ALLOWED = "allowed"
    DENIED = "denied"
    SILENT = "silent"


def evaluate(
    documents: Iterable[Document],
    action: str,
    resource: str,
    context: Context,
    principal: str | None = None,
) -> Verdict:
    """Verdict of all documents together: one explicit Deny outweighs every Allow.

    `principal` is the caller's ARN where the documents are resource policies.
    """
    verdict = Verdict.SILENT
    for document in documents:
        for statement in _as_list(document["Statement"]):
            if not _applies(statement, action, resource, context, principal):
                continue
            if statement["Effect"] == "Deny":
                return Verdict.DENIED
            verdict = Verdict.ALLOWED
    return verdict


def role_documents(account_id: str, region: str, role_arn: str) -> list[Document]:
    """Every policy of a role, inline and attached."""
    backend = iam_backends[account_id][get_partition(region)]
    role = backend.get_role_by_arn(role_arn)
    texts = [backend.get_role_policy(role.name, name)[1] for name in role.policies]
    for policy in role.managed_policies.values():
        texts += [version.document for version in policy.versions if version.is_default]
    return [json.loads(text) for text in texts]


def _applies(
    statement: Mapping[str, Any],
    action: str,
    resource: str,
    context: Context,
    principal: str | None,
) -> bool:
    if "NotAction" in statement:
        if _matches_any(statement["NotAction"], action, ignore_case=True):
            return False
    elif not _matches_any(statement["Action"], action, ignore_case=True):
        return False
    if principal is not None and not _names(statement.get("Principal"), principal):
        return False
    if "NotResource" in statement:
        if _matches_any(statement["NotResource"], resource):
            return False
    elif "Resource" in statement and not _matches_any(statement["Resource"], resource):
        return False
    return all(
        _condition_met(operator, key, _as_list(values), context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _names(element: Any, principal: str) -> bool:
    if element == "*":
        return True
    if not isinstance(element, Mapping):
        return False
    account = principal.split(":")[4]
    everyone_of_account = f"arn:aws:iam::{account}:root"
    return any(
        name in ("*", principal, account, everyone_of_account)
        for name in _as_list(element.get("AWS", []))
    )


def _condition_met(operator: str, key: str, expected: Sequence[str], context: Context) -> bool:
    actual = {name.lower(): value for name, value in context.items()}.get(key.lower())
    base = operator.removesuffix("IfExists")
    if actual is None and operator.endswith("IfExists"):
        return True
    negated = "Not" in base
    match base.replace("Not", ""):
        case "Bool":
            met = actual is not None and actual.lower() in [str(v).lower() for v in expected]
        case "StringEquals":
            met = actual in expected
        case "StringLike" | "ArnEquals" | "ArnLike":
            met = actual is not None and _matches_any(expected, actual)
        case _:
            raise NotImplementedError(f"the local cloud does not know the condition {operator}")
    # A negated operator holds where the key is missing, as AWS documents it.
    return not met if negated else met


def _matches_any(patterns: Any, value: str, *, ignore_case: bool = False) -> bool:
    flags = re.IGNORECASE if ignore_case else 0
    return any(
        re.fullmatch(
            re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value, flags | re.DOTALL
        )
        for pattern in _as_list(patterns)
    )


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


_request: ContextVar[dict[str, str] | None] = ContextVar("request", default=None)

_moto_check_signature = IAMRequestBase.check_signature
_moto_check_action = IAMRequestBase.check_action_permitted
_moto_statement = IAMPolicyStatement.is_action_permitted

# What IAM calls some operations of the S3 API.
_IAM_ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
}


def _check_action_permitted(self: IAMRequestBase, resource: str) -> None:
    query = parse_qs(urlsplit(self._path).query)
    request = {"aws:SecureTransport": "true", "aws:PrincipalArn": self._access_key.arn}
    if "prefix" in query:
        request["s3:prefix"] = query["prefix"][0]
    self._action = _IAM_ACTIONS.get(self._action, self._action)
    token = _request.set(request)
    try:
        _moto_check_action(self, resource)
    finally:
        _request.reset(token)


def _check_signature(self: IAMRequestBase) -> None:
    # Of REST requests other than S3's, moto signs another path than the client did. Whose
    # the keys are has been looked up by now; that they were used properly is not our test.
    if self._service == "s3":
        _moto_check_signature(self)


def _is_action_permitted(
    self: IAMPolicyStatement,
    action: str,
    resource: str = "*",
    principal: str | None = None,
    incoming_condition_values: dict[str, str] | None = None,
) -> PermissionResult:
    if principal is not None:  # A trust policy: moto's own reading does.
        return _moto_statement(self, action, resource, principal, incoming_condition_values)
    context = _request.get() or {"aws:SecureTransport": "true"}
    statement = self._statement
    if "Principal" in statement and not _names(statement["Principal"], _caller(context)):
        return PermissionResult.NEUTRAL
    if not _applies(statement, action, resource, context, None):
        return PermissionResult.NEUTRAL
    allowed = statement["Effect"] == "Allow"
    return PermissionResult.PERMITTED if allowed else PermissionResult.DENIED


def _caller(context: Context) -> str:
    return context.get("aws:PrincipalArn", "arn:aws:iam::000000000000:root")


def mend() -> None:
    """Put the conditions into moto's enforcement (`POST /moto-api/reset-auth`)."""
    # mypy: assigning to a method is what mending is.
    IAMRequestBase.check_signature = _check_signature  # type: ignore[method-assign]
    IAMRequestBase.check_action_permitted = _check_action_permitted  # type: ignore[method-assign]
    IAMPolicyStatement.is_action_permitted = _is_action_permitted  # type: ignore[method-assign]
