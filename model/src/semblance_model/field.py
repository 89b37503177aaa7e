"""Type-checked fields of a JSON file; an error names the file, the field and the value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semblance_model.refusal import Refusal


@dataclass(frozen=True)
class Fields:
    """A JSON object and its file. A null field counts as absent."""

    file: str
    values: Mapping[str, Any]

    def has(self, name: str) -> bool:
        """Whether the field exists and is not null."""
        return self.values.get(name) is not None

    def integer(self, name: str, default: int | None = None, minimum: int = 1) -> int:
        """An integer of at least `minimum`."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise self.invalid(name, value, f"an integer of at least {minimum}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number of at least zero."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e300:
            raise self.invalid(name, value, "a finite number of at least 0")
        return float(value)

    def text(self, name: str, default: str | None = None) -> str:
        """A string."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise self.invalid(name, value, "a string")
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise self.invalid(name, value, "true or false")
        return value

    def section(self, name: str) -> "Fields":
        """An object; empty if absent."""
        value = self.values.get(name)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.invalid(name, value, "an object")
        return Fields(f"{self.file}: {name}", value)

    def invalid(self, name: str, value: object, wanted: str) -> Refusal:
        """The error for an invalid value of a field."""
        return Refusal(
            "model.invalid_field",
            f"{self.file}: field {name} is {shown(value)}, expected {wanted}",
        )

    def _get(self, name: str, default: object) -> Any:
        value = self.values.get(name)
        if value is None:
            value = default
        if value is None:
            raise Refusal("model.missing_field", f"{self.file}: field {name} is missing")
        return value


def read_json(name: str, path: Path) -> Any:
    """The JSON value in a file; `name` is the file's name in errors."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refusal("model.invalid_json", f"{name}: not valid JSON: {error}") from error


def read_fields(name: str, path: Path) -> Fields:
    """The JSON object in a file."""
    value = read_json(name, path)
    if not isinstance(value, dict):
        raise Refusal("model.invalid_json", f"{name}: expected an object, found {shown(value)}")
    return Fields(name, value)


def shown(value: object) -> str:
    """`value` for a message: short, on one line."""
    text = json.dumps(value, ensure_ascii=True, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."
