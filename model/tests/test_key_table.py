"""The table of configuration keys in docs/models.md is that of the builder.

`UPDATE_DOCS=1 python -m pytest model/tests/test_key_table.py` updates it.
"""

import json
import os
from pathlib import Path

import pytest

from checkpoint import Checkpoint
from conftest import Build
from semblance_model.keys import FILES, UNREAD_FILES, Keys
from semblance_model.refusal import Refusal

PAGE = Path(__file__).resolve().parents[2] / "docs/models.md"
HEADING = "## Configuration keys\n"
HEADER = "| file | effect | keys |\n|---|---|---|\n"


def listed(names: object) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))  # type: ignore[call-overload]


def rows(file: str, keys: Keys) -> list[str]:
    refused = [
        f"`{key}` ({' or '.join(f'`{json.dumps(value)}`' for value in values)})"
        for key, values in sorted(keys.refused.items())
    ]
    cells = [
        ("read", listed(keys.read)),
        ("without effect", listed(keys.without_effect)),
        ("refused, unless the value is", ", ".join(refused)),
    ]
    return [f"| `{file}` | {effect} | {names} |\n" for effect, names in cells if names]


def table() -> str:
    checked = [row for file, keys in FILES.items() for row in rows(file, keys)]
    unread = [f"| `{file}` | without effect | every key |\n" for file in UNREAD_FILES]
    return HEADER + "".join([*checked, *unread])


def test_the_table_of_the_documentation_is_that_of_the_builder() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, section = page.partition(HEADING)
    about, _, rest = section.partition(HEADER)
    after = rest[rest.index("\n\n") :] if "\n\n" in rest else "\n"
    current = f"{before}{HEADING}{about}{table().rstrip()}{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(current, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == current, "run with UPDATE_DOCS=1"


def test_every_configuration_file_of_a_model_folder_is_in_the_table(make: Build) -> None:
    model = Checkpoint()
    make(model)
    configuration = {name for name in model.files if name.endswith(".json")}
    assert configuration - set(FILES) == set()


def test_an_unknown_key_of_the_tokenizer_is_refused_by_name(make: Build) -> None:
    model = Checkpoint()
    model.files["tokenizer.json"]["scale_by"] = 2
    with pytest.raises(Refusal) as caught:
        make(model)
    assert caught.value.code == "model.unsupported_field"
    assert "tokenizer.json: field scale_by is unknown" in caught.value.message


@pytest.mark.parametrize("file", UNREAD_FILES)
def test_a_file_without_effect_changes_nothing(make: Build, file: str) -> None:
    model = Checkpoint()
    model.files[file] = {"cls_token": "[SEP]", "scale_by": 2}
    assert make(model).manifest == make(Checkpoint()).manifest
