"""A relay between Terraform and the AWS provider. It removes unused types from the schema.

Terraform asks the provider for its schema in every command. The schema of AWS describes 1,500 types
of resources. The configuration uses 60 of them. To write and to read the whole schema takes almost
two seconds of CPU time. The relay asks once and keeps the types that the configuration names.
Everything else passes unchanged, so the provider plans and applies as it does without the relay. A
command that needs a removed type fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    _Call = grpc.UnaryUnaryMultiCallable[bytes, bytes]

# Source: terraform, docs/plugin-protocol/tfplugin5.proto, `GetProviderSchema.Response`: the maps of
# resources, data sources and ephemeral resources by their types.
_SCHEMA = "/tfplugin5.Provider/GetSchema"
_PASSED = ("/tfplugin5.Provider/", "/grpc.health.v1.Health/Check")
_MAPS_OF_TYPES = {2, 3, 8}
# Source: https://protobuf.dev/programming-guides/encoding/
_LENGTH_DELIMITED = 2
_KEY = 1
# More calls than Terraform has at a time.
_CALLS = 32
_UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


class Relay(grpc.GenericRpcHandler):
    """A gRPC server at one Unix socket that passes calls on to another."""

    def __init__(self, provider: str, socket: str, types: frozenset[str]):
        self._types = types
        self._schema: bytes | None = None
        self._lock = Lock()
        self._channel = grpc.insecure_channel(f"unix:{provider}", _UNLIMITED)
        self._server = grpc.server(ThreadPoolExecutor(_CALLS), [self], options=_UNLIMITED)
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Returns what answers a call; nothing for the streams of go-plugin.

        They carry the output of a provider, are optional, and stay open as long as Terraform runs.
        """
        method = str(handler_call_details.method)
        if method == _SCHEMA:
            return grpc.unary_unary_rpc_method_handler(self._used_schema)
        if method.startswith(_PASSED):
            call: _Call = self._channel.unary_unary(method)
            return grpc.unary_unary_rpc_method_handler(lambda request, _: call(request))
        return None

    def stop(self) -> None:
        """Ends all calls."""
        self._server.stop(None)
        self._channel.close()

    def _used_schema(self, request: bytes, _: grpc.ServicerContext) -> bytes:
        with self._lock:
            if self._schema is None:
                call: _Call = self._channel.unary_unary(_SCHEMA)
                self._schema = without_unused_types(call(request), self._types)
            return self._schema


def without_unused_types(schema: bytes, types: frozenset[str]) -> bytes:
    """Returns a schema with only these types."""
    kept = bytearray()
    for number, field, content in _fields(schema):
        if number in _MAPS_OF_TYPES:
            names = [value for key, _, value in _fields(content) if key == _KEY]
            if names[0].decode() not in types:
                continue
        kept += field
    return bytes(kept)


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yields the number, all bytes and the content of each field; all have a length."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _integer(message, at)
        if tag & 7 != _LENGTH_DELIMITED:
            raise ValueError(f"field {tag >> 3} of a schema has no length")
        length, at = _integer(message, at)
        yield tag >> 3, message[start : at + length], message[at : at + length]
        at += length


def _integer(message: bytes, at: int) -> tuple[int, int]:
    """Returns an integer of variable size, and the position after it."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
