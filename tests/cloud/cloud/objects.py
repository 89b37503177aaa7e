"""S3: moto reads a whole object for each of its ranges, and `model-sync` requests many ranges."""

from typing import Any

from moto.s3.models import FakeKey

# A property, which moto's types do not know as one.
_moto_value: Any = FakeKey.value


class _Last:
    """The object that was read last, with its content. moto answers one request at a time."""

    key: FakeKey | None = None
    content = b""


def _value(self: FakeKey) -> bytes:
    if _Last.key is not self:
        _Last.key, _Last.content = self, _moto_value.fget(self)
    return _Last.content


def _set_value(self: FakeKey, value: bytes) -> None:
    if _Last.key is self:
        _Last.key, _Last.content = None, b""
    _moto_value.fset(self, value)


def mend() -> None:
    """Keep the content of the object that was read last."""
    FakeKey.value = property(_value, _set_value)  # type: ignore[method-assign,assignment]
