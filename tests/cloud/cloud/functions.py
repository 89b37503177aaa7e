"""Lambda: the functions that are deployed really run, and what moto lacks of the API.

moto drops the file system, logging and dead-letter configuration, ignores updates of some
fields, ignores `Qualifier`, and echoes the event.
"""

import base64
import hashlib
import json
import random
import re
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from moto.awslambda.models import FunctionUrlConfig, LambdaFunction
from moto.awslambda.responses import LambdaResponse
from moto.awslambda.utils import get_backend
from moto.logs.models import logs_backends
from moto.sqs.models import sqs_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from cloud import layers, network
from cloud.file_systems import FileSystems, MountRefusedError
from cloud.mount import Mount
from cloud.policies import Verdict, evaluate, role_documents
from cloud.runtime import Answer, Deployment, Environment

_PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024
_MAX_LOG_TAIL_BYTES = 4096

Reply = tuple[int, dict[str, str], str | bytes]


class TooManyRequestsError(Exception):
    """Every execution that is reserved for the function is busy, or none is."""


class Fleet:
    """Every environment of every function."""

    def __init__(
        self, file_systems: FileSystems, folder: Path, endpoint: str, exposed: Iterable[Path]
    ):
        self.file_systems = file_systems
        self.kill_after: dict[str, int] = {}
        self._folder = folder
        self._endpoint = endpoint
        self._exposed = tuple(exposed)
        self._lock = threading.Lock()
        self._idle: dict[Deployment, list[Environment]] = defaultdict(list)
        self._busy: dict[str, list[Environment | None]] = defaultdict(list)
        self._log_streams: dict[int, list[str]] = {}

    def run(self, function: LambdaFunction, payload: bytes) -> tuple[Answer, bytes]:
        """Run one event; its answer, and the lines that were logged meanwhile."""
        name = function.function_name
        with self._lock:
            reserved = _reserved_concurrency(function)
            if reserved is not None and len(self._busy[name]) >= reserved:
                raise TooManyRequestsError
            self._busy[name].append(None)
        environment: Environment | None = None
        try:
            deployment = self._deployment(function)
            environment = self._take(function, deployment)
            lines = self._log_streams[id(environment)]
            first = len(lines)
            answer = environment.invoke(payload)
            return answer, "\n".join(lines[first:]).encode()
        finally:
            with self._lock:
                self._busy[name].remove(environment)
                if environment is not None and environment.alive:
                    self._idle[environment.deployment].append(environment)

    def kill_busy(self, function_name: str) -> int:
        """Kill the bootstraps that are at work for a function; how many."""
        with self._lock:
            busy = [environment for environment in self._busy[function_name] if environment]
        for environment in busy:
            environment.kill()
        return len(busy)

    def recycle(self, function_name: str | None = None) -> int:
        """Stop the idle environments of a function, or of all; how many."""
        with self._lock:
            gone = [
                environment
                for deployment, environments in self._idle.items()
                if function_name in (None, deployment.function_name)
                for environment in environments
            ]
            for environment in gone:
                self._idle[environment.deployment].remove(environment)
        for environment in gone:
            environment.stop()
        return len(gone)

    def stop(self) -> None:
        """Stop everything."""
        self.recycle()
        with self._lock:
            names = list(self._busy)
        for name in names:
            self.kill_busy(name)

    def _take(self, function: LambdaFunction, deployment: Deployment) -> Environment:
        with self._lock:
            stale = [
                environment
                for other, environments in self._idle.items()
                if other.arn == deployment.arn and other != deployment
                for environment in environments
            ]
            for environment in stale:
                self._idle[environment.deployment].remove(environment)
            taken = self._idle[deployment].pop() if self._idle[deployment] else None
        for environment in stale:
            environment.stop()
        if taken is None:
            taken = self._start(function, deployment)
        with self._lock:
            busy = self._busy[deployment.function_name]
            busy[busy.index(None)] = taken
        return taken

    def _start(self, function: LambdaFunction, deployment: Deployment) -> Environment:
        lines: list[str] = []
        cloudwatch = _log_stream(function)

        def write_log(line: str) -> None:
            lines.append(line)
            if cloudwatch is not None:
                cloudwatch(line)

        environment = Environment(
            deployment,
            self._folder / uuid.uuid4().hex,
            write_log,
            self._credentials(function),
            self._exposed,
        )
        self._log_streams[id(environment)] = lines
        return environment

    def _deployment(self, function: LambdaFunction) -> Deployment:
        logging = function.__dict__["logging_config"] or {}
        variables = {
            "_HANDLER": function.handler or "",
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_LOG_GROUP_NAME": _log_group(function),
            "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
            **function.environment_vars,
        }
        if "ApplicationLogLevel" in logging:
            variables["AWS_LAMBDA_LOG_LEVEL"] = logging["ApplicationLogLevel"]
        return Deployment(
            function_name=function.function_name,
            version=str(function.version),
            arn=function.function_arn,
            package=function.code_bytes,
            environment=tuple(sorted(variables.items())),
            memory_mb=int(function.memory_size),
            timeout_seconds=int(function.timeout),
            tmp_mb=int(function.ephemeral_storage),
            mounts=tuple(self._mounts(function)),
        )

    def _mounts(self, function: LambdaFunction) -> Iterable[Mount]:
        vpc = function._vpc_config or {}
        for config in function.__dict__["file_system_configs"]:
            yield self.file_systems.mount(
                function.account_id,
                function.region,
                function.role,
                config["Arn"],
                config["LocalMountPath"],
                vpc.get("SubnetIds", []),
                vpc.get("SecurityGroupIds", []),
            )
        if function.layers:
            arns = [layer["Arn"] for layer in function.layers]
            source = layers.extracted(_backend(function), arns, self._folder.parent / "layers")
            yield Mount(source, "/opt", writable=False, uid=None, gid=None)

    def _credentials(self, function: LambdaFunction) -> dict[str, str]:
        """Credentials of the function's role: what IAM is asked about, if it is on."""
        backend = sts_backends[function.account_id][get_partition(function.region)]
        role = backend.assume_role(
            region_name=function.region,
            role_session_name=function.function_name,
            role_arn=function.role,
            policy="",
            duration=3600,
            external_id="",
        )
        return {
            "AWS_ACCESS_KEY_ID": role.access_key_id,
            "AWS_SECRET_ACCESS_KEY": role.secret_access_key,
            "AWS_SESSION_TOKEN": role.session_token,
        }


def _reserved_concurrency(function: LambdaFunction) -> int | None:
    # Reserved for the function, all its versions together: moto keeps it on the latest.
    latest = _backend(function).get_function(function.function_name)
    reserved = latest.reserved_concurrency
    return None if reserved is None else int(reserved)


def _backend(function: LambdaFunction) -> Any:
    return get_backend(function.account_id, function.region)


def _log_group(function: LambdaFunction) -> str:
    logging = function.__dict__["logging_config"] or {}
    return str(logging.get("LogGroup") or f"/aws/lambda/{function.function_name}")


def _log_stream(function: LambdaFunction) -> Any:
    """Where an environment's lines go; None if its role may not write them."""
    group = _log_group(function)
    account, region = function.account_id, function.region
    partition = get_partition(region)
    stream = f"{datetime.now(UTC):%Y/%m/%d}/[{function.version}]{uuid.uuid4().hex}"
    arn = f"arn:{partition}:logs:{region}:{account}:log-group:{group}:log-stream:{stream}"
    documents = role_documents(account, region, function.role)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if evaluate(documents, action, arn, {}) is not Verdict.ALLOWED:
            return None
    backend = logs_backends[account][region]
    if group not in backend.groups:
        return None
    backend.create_log_stream(group, stream)

    def write(line: str) -> None:
        if group in backend.groups:
            milliseconds = int(datetime.now(UTC).timestamp() * 1000)
            event = {"timestamp": milliseconds, "message": line}
            backend.groups[group].put_log_events(stream, [event])

    return write


# --- Invoke ---------------------------------------------------------------------------


def _invoke(self: LambdaResponse) -> Reply:
    name = unquote(self.path.split("?")[0].rstrip("/").split("/")[-2])
    function = self.backend.get_function(name, routed(self.backend, name, _qualifier(self)))
    body = self.body or b"{}"
    payload = body if isinstance(body, bytes) else str(body).encode()
    try:
        json.loads(payload)
    except ValueError as error:
        return _refusal(400, "InvalidRequestContentException", f"Could not parse request: {error}")
    if len(payload) > _PAYLOAD_LIMIT_BYTES:
        return _refusal(413, "RequestTooLargeException", "Request must be smaller than 6291456")
    match self.headers.get("X-Amz-Invocation-Type", "RequestResponse"):
        case "DryRun":
            return 204, {"status": "204"}, b""
        case "Event":
            threading.Thread(
                target=_run_asynchronously, args=(self.backend, function, payload), daemon=True
            ).start()
            return 202, {"status": "202"}, b""
    try:
        answer, log = _fleet().run(function, payload)
    except TooManyRequestsError:
        return _throttled()
    except MountRefusedError as refused:
        return _refusal(refused.status, refused.error_type, refused.message)
    headers = {
        "content-type": "application/json",
        "X-Amz-Executed-Version": str(function.version),
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    if len(answer.payload) > _PAYLOAD_LIMIT_BYTES:
        message = f"Response payload size exceeded maximum of {_PAYLOAD_LIMIT_BYTES} bytes."
        oversize = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
        answer = Answer(json.dumps(oversize).encode(), "Unhandled")
    if answer.error:
        headers["X-Amz-Function-Error"] = answer.error
    if self.headers.get("X-Amz-Log-Type") == "Tail":
        headers["X-Amz-Log-Result"] = base64.b64encode(log[-_MAX_LOG_TAIL_BYTES:]).decode()
    return 200, headers, answer.payload


def _run_asynchronously(backend: Any, function: LambdaFunction, payload: bytes) -> None:
    """Run an event that nobody waits for; to the dead letters after its retries."""
    config = _event_invoke_configs.get((function.function_name, None)) or {}
    for (name, _), candidate in list(_event_invoke_configs.items()):
        if name == function.function_name:
            config = candidate
    attempts = 1 + int(config.get("MaximumRetryAttempts", 2))
    error_code, error_message = "500", ""
    for _ in range(attempts):
        try:
            answer, _log = _fleet().run(function, payload)
        except TooManyRequestsError:
            error_code, error_message = "429", "Rate Exceeded."
            continue
        except MountRefusedError as refused:
            error_code, error_message = str(refused.status), refused.message
            continue
        if answer.error is None:
            return
        error_code, error_message = "200", answer.payload.decode(errors="replace")[:1024]
    target = (function.__dict__["dead_letter_config"] or {}).get("TargetArn")
    if target is None:
        return
    documents = role_documents(function.account_id, function.region, function.role)
    if evaluate(documents, "sqs:SendMessage", target, {}) is not Verdict.ALLOWED:
        return
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": str(uuid.uuid4())},
        "ErrorCode": {"DataType": "Number", "StringValue": error_code},
        "ErrorMessage": {"DataType": "String", "StringValue": error_message},
    }
    sqs_backends[function.account_id][function.region].send_message(
        target.split(":")[-1], payload.decode(), message_attributes=attributes
    )


def _throttled() -> Reply:
    body = {
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    }
    return 429, _error_headers(429, "TooManyRequestsException"), json.dumps(body)


def _refusal(status: int, error_type: str, message: str) -> Reply:
    return status, _error_headers(status, error_type), json.dumps({"Message": message})


def _error_headers(status: int, error_type: str) -> dict[str, str]:
    return {"status": str(status), "x-amzn-errortype": error_type}


def _qualifier(response: LambdaResponse) -> str | None:
    return str(q) if (q := response.querystring.get("Qualifier", [None])[0]) else None


def routed(backend: Any, name: str, qualifier: str | None) -> str | None:
    """The version that one event of an alias with weights goes to; else the qualifier itself."""
    aliases = {alias.name: alias for alias in backend.list_aliases(name)}
    alias = aliases.get(qualifier or "")
    weights = ((alias and alias.routing_config) or {}).get("AdditionalVersionWeights") or {}
    drawn = random.random()
    for version, weight in weights.items():
        if drawn < weight:
            return str(version)
        drawn -= weight
    return qualifier


def _named(response: LambdaResponse, before: str) -> str:
    """The function's name in a path like `/functions/NAME/<before>`."""
    match = re.search(rf"/functions/([^/]+)/{before}", response.path)
    assert match is not None
    name = unquote(match[1])
    return name.split(":function:")[-1].split(":")[0]


# --- Configuration that moto drops ----------------------------------------------------

_moto_init = LambdaFunction.__init__
_moto_get_configuration = LambdaFunction.get_configuration
_moto_update_configuration = LambdaFunction.update_configuration
_moto_update_function_code = LambdaFunction.update_function_code
_moto_get_code = LambdaFunction.get_code

# Ours by the API's name, as attributes of moto's function.
_KEPT = {
    "FileSystemConfigs": "file_system_configs",
    "LoggingConfig": "logging_config",
    "DeadLetterConfig": "dead_letter_config",
}


def _init(
    self: LambdaFunction,
    account_id: str,
    spec: dict[str, Any],
    region: str,
    version: str | int = 1,
) -> None:
    _moto_init(self, account_id, spec, region, version)
    for name, attribute in _KEPT.items():
        self.__dict__[attribute] = spec.get(name) or ([] if name.endswith("s") else None)


def _get_configuration(self: LambdaFunction, on_create: bool = False) -> dict[str, Any]:
    configuration = _moto_get_configuration(self, on_create)
    for name, attribute in _KEPT.items():
        if self.__dict__[attribute]:
            configuration[name] = self.__dict__[attribute]
    vpc = configuration.get("VpcConfig")
    if vpc and vpc.get("SubnetIds"):
        vpc["VpcId"] = network.vpc_of_subnet(self.account_id, self.region, vpc["SubnetIds"][0])
    return configuration


def _update_configuration(self: LambdaFunction, updates: dict[str, Any]) -> dict[str, Any]:
    for name, attribute in _KEPT.items():
        if name in updates:
            self.__dict__[attribute] = updates[name]
    if "TracingConfig" in updates:
        self.tracing_config = updates["TracingConfig"]
    if "EphemeralStorage" in updates:
        self.ephemeral_storage = updates["EphemeralStorage"]["Size"]
    if "Environment" in updates:
        updates = {**updates, "Environment": {"Variables": {}, **updates["Environment"]}}
    return _moto_update_configuration(self, updates)


def _update_function_code(self: LambdaFunction, updates: dict[str, Any]) -> dict[str, Any]:
    if updates.get("Architectures"):
        self.architectures = updates["Architectures"]
    return _moto_update_function_code(self, updates)


def _get_code(self: LambdaFunction) -> dict[str, Any]:
    code = _moto_get_code(self)
    reserved = _reserved_concurrency(self)
    if reserved is not None:  # moto takes 0 for "none reserved".
        code["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
    return code


# --- What belongs to an alias ---------------------------------------------------------

_Key = tuple[str, str | None]
_event_invoke_configs: dict[_Key, dict[str, Any]] = {}
_url_configs: dict[_Key, FunctionUrlConfig] = {}


def _put_function_event_invoke_config(self: LambdaResponse) -> Reply:
    name, qualifier = _named(self, "event-invoke-config"), _qualifier(self)
    arn = self.backend.get_function(name, None).function_arn
    config = {
        "DestinationConfig": {"OnFailure": {}, "OnSuccess": {}},
        **self.json_body,
        "FunctionArn": f"{arn}:{qualifier or '$LATEST'}",
        "LastModified": datetime.now(UTC).timestamp(),
    }
    _event_invoke_configs[name, qualifier] = config
    return 200, {}, json.dumps(config)


def _get_function_event_invoke_config(self: LambdaResponse) -> Reply:
    config = _event_invoke_configs.get((_named(self, "event-invoke-config"), _qualifier(self)))
    if config is None:
        return _missing("ResourceNotFoundException", "event invoke configuration")
    return 200, {}, json.dumps(config)


def _delete_function_event_invoke_config(self: LambdaResponse) -> Reply:
    _event_invoke_configs.pop((_named(self, "event-invoke-config"), _qualifier(self)), None)
    return 204, {"status": "204"}, ""


def _create_function_url_config(self: LambdaResponse) -> Reply:
    name, qualifier = _named(self, "url"), _qualifier(self)
    function = self.backend.get_function(name, None)
    config = FunctionUrlConfig(function=function, config=self.json_body)
    digest = hashlib.sha256(f"{function.function_arn}:{qualifier}".encode()).hexdigest()[:32]
    config.url = f"https://{digest}.lambda-url.{function.region}.on.aws/"
    _url_configs[name, qualifier] = config
    return 201, {"status": "201"}, _url_json(config, qualifier)


def _get_function_url_config(self: LambdaResponse) -> Reply:
    key = (_named(self, "url"), _qualifier(self))
    if key not in _url_configs:
        return _missing("ResourceNotFoundException", "function URL")
    return 200, {}, _url_json(_url_configs[key], key[1])


def _update_function_url_config(self: LambdaResponse) -> Reply:
    key = (_named(self, "url"), _qualifier(self))
    _url_configs[key].update(self.json_body)
    return 200, {}, _url_json(_url_configs[key], key[1])


def _delete_function_url_config(self: LambdaResponse) -> Reply:
    _url_configs.pop((_named(self, "url"), _qualifier(self)), None)
    return 204, {"status": "204"}, ""


def _url_json(config: FunctionUrlConfig, qualifier: str | None) -> str:
    described = {**config.to_dict(), "InvokeMode": config.config.get("InvokeMode") or "BUFFERED"}
    if qualifier:
        described["FunctionArn"] += f":{qualifier}"
    return json.dumps(described)


def _missing(error_type: str, what: str) -> Reply:
    body = {"Type": "User", "Message": f"No {what} is configured for this function"}
    return 404, _error_headers(404, error_type), json.dumps(body)


_current_fleet: list[Fleet] = []


def _fleet() -> Fleet:
    return _current_fleet[0]


def mend(fleet: Fleet) -> None:
    """Run functions in `fleet`, and complete moto's Lambda API."""
    _current_fleet[:] = [fleet]
    for owner, operations in (
        (
            LambdaFunction,
            {
                "__init__": _init,
                "get_configuration": _get_configuration,
                "update_configuration": _update_configuration,
                "update_function_code": _update_function_code,
                "get_code": _get_code,
            },
        ),
        (
            LambdaResponse,
            {
                "invoke": _invoke,
                "put_function_event_invoke_config": _put_function_event_invoke_config,
                "update_function_event_invoke_config": _put_function_event_invoke_config,
                "get_function_event_invoke_config": _get_function_event_invoke_config,
                "delete_function_event_invoke_config": _delete_function_event_invoke_config,
                "create_function_url_config": _create_function_url_config,
                "get_function_url_config": _get_function_url_config,
                "update_function_url_config": _update_function_url_config,
                "delete_function_url_config": _delete_function_url_config,
            },
        ),
    ):
        for name, operation in operations.items():
            setattr(owner, name, operation)
