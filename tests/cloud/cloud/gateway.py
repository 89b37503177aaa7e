"""HTTP APIs: requests to `/cloud/apis/ID/...` pass the authorizer and reach the function.

As API Gateway does: the event has payload format 2.0, a request without the identity source is
refused without asking the authorizer, and a function is invoked only if its policy allows the API.
"""

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from moto.apigatewayv2.models import apigatewayv2_backends
from moto.awslambda.utils import get_backend

from cloud.functions import Fleet, routed
from cloud.tokens import InvalidTokenError, claims

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_ACCOUNT = "123456789012"
_PATH = re.compile(r"^/cloud/apis/(?P<api>[a-z0-9]+)(?P<path>/.*)?$")
_TEXT = re.compile(r"^(text/|application/(json|javascript|xml))")


class RefusedError(Exception):
    """An answer of API Gateway itself."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Gateway:
    """The HTTP APIs of the cloud, in every region."""

    def __init__(self, fleet: Fleet):
        self._fleet = fleet

    def answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request to an API."""
        try:
            status, headers, body = self._handle(environ)
        except RefusedError as refused:
            body = json.dumps({"message": str(refused)}).encode()
            status, headers = refused.status, {"content-type": "application/json"}
        headers = {**headers, "content-length": str(len(body)), "apigw-requestid": uuid.uuid4().hex}
        start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return [body]

    def _handle(self, environ: Environ) -> tuple[int, dict[str, str], bytes]:
        found = _PATH.match(environ["PATH_INFO"])
        if found is None:
            raise RefusedError(404, "Not Found")
        region, api = _api(found["api"])
        if "$default" not in api.stages or not api.stages["$default"].auto_deploy:
            raise RefusedError(404, "Not Found")
        (route,) = [route for route in api.routes.values() if route.route_key == "$default"]
        event = _event(environ, found["api"], region, found["path"] or "/")
        if route.authorization_type == "CUSTOM":
            authorizer = api.authorizers[route.authorizer_id]
            self._authorize(authorizer, api, region, event)
        elif route.authorization_type == "JWT":
            _check_token(api.authorizers[route.authorizer_id], event)
        elif route.authorization_type != "NONE":
            raise RefusedError(500, f"{route.authorization_type} is not emulated")
        integration = api.integrations[route.target.removeprefix("integrations/")]
        source = _execution_arn(api, region) + "/$default/$default"
        try:
            answer = self._invoke(integration.integration_uri, region, event, source)
        except LookupError as error:
            raise RefusedError(500, "Internal Server Error") from error
        return _response(answer)

    def _authorize(self, authorizer: Any, api: Any, region: str, event: dict[str, Any]) -> None:
        """Ask the authorizer; what it adds becomes part of the event."""
        for source in authorizer.identity_source:
            name = source.removeprefix("$request.header.").lower()
            if name not in event["headers"]:
                raise RefusedError(401, "Unauthorized")
        asked = {
            "version": "2.0",
            "type": "REQUEST",
            "routeArn": _execution_arn(api, region) + "/$default/$default",
            "identitySource": [event["headers"]["authorization"]],
            **{key: event[key] for key in ("routeKey", "rawPath", "headers", "requestContext")},
        }
        source = f"{_execution_arn(api, region)}/authorizers/{authorizer.id}"
        try:
            decision = self._invoke(authorizer.authorizer_uri, region, asked, source)
        except LookupError as error:
            raise RefusedError(500, "Internal Server Error") from error
        if decision.get("isAuthorized") is not True:
            raise RefusedError(403, "Forbidden")
        event["requestContext"]["authorizer"] = {"lambda": decision.get("context") or {}}

    def _invoke(self, uri: str, region: str, event: dict[str, Any], source: str) -> Any:
        """Invoke the alias that an URI names; LookupError if it may not be or fails."""
        found = re.search(r"functions/(arn:[^/]+:function:([^:/]+):([^:/]+))/invocations$", uri)
        if found is None:
            raise LookupError(uri)
        arn, name, qualifier = found.groups()
        backend = get_backend(_ACCOUNT, region)
        latest = backend.get_function(name)
        allowed = any(
            statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
            and statement["Resource"] == arn
            and fnmatchcase(source, statement["Condition"]["ArnLike"]["AWS:SourceArn"])
            for statement in latest.policy.statements
        )
        if not allowed:
            raise LookupError(f"{source} may not invoke {arn}")
        function = backend.get_function(name, routed(backend, name, qualifier))
        answer, _log = self._fleet.run(function, json.dumps(event).encode())
        if answer.error:
            raise LookupError(answer.payload.decode(errors="replace"))
        return json.loads(answer.payload)


def _check_token(authorizer: Any, event: dict[str, Any]) -> None:
    """Check a bearer token; its claims become part of the event."""
    configuration = authorizer.jwt_config
    _scheme, _, token = event["headers"].get("authorization", "").partition(" ")
    try:
        found = claims(token, configuration["issuer"], configuration["audience"])
    except InvalidTokenError as error:
        raise RefusedError(401, "Unauthorized") from error
    event["requestContext"]["authorizer"] = {"jwt": {"claims": found, "scopes": None}}


def _api(api_id: str) -> tuple[str, Any]:
    for region, backend in apigatewayv2_backends[_ACCOUNT].items():
        if api_id in backend.apis:
            return str(region), backend.apis[api_id]
    raise RefusedError(404, "Not Found")


def _execution_arn(api: Any, region: str) -> str:
    return f"arn:aws:execute-api:{region}:{_ACCOUNT}:{api.api_id}"


def _event(environ: Environ, api_id: str, region: str, path: str) -> dict[str, Any]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    is_text = bool(_TEXT.match(headers.get("content-type", "text/"))) and (
        "content-encoding" not in headers
    )
    query = environ.get("QUERY_STRING", "")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": _ACCOUNT,
            "apiId": api_id,
            "domainName": f"{api_id}.execute-api.{region}.amazonaws.com",
            "domainPrefix": api_id,
            "http": {
                "method": environ["REQUEST_METHOD"],
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": environ.get("REMOTE_ADDR", "127.0.0.1"),
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex,
            "routeKey": "$default",
            "stage": "$default",
            "time": datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(datetime.now(UTC).timestamp() * 1000),
        },
        "isBase64Encoded": not is_text,
    }
    if body:
        event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return event


def _response(answer: Any) -> tuple[int, dict[str, str], bytes]:
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    headers = {str(name).lower(): str(value) for name, value in answer.get("headers", {}).items()}
    headers.pop("content-length", None)
    return int(answer["statusCode"]), headers, content
