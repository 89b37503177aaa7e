#!/usr/bin/env python3
"""Write the tables of inputs and outputs into every README.md from the .tf files.

Each README keeps its prose; the text between the markers

    <!-- begin inputs --> ... <!-- end inputs -->
    <!-- begin outputs --> ... <!-- end outputs -->

is generated from the module's variables.tf and outputs.tf. With --check nothing is
written, and a table that differs is an error.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Block:
    """A variable or output: its name and its attributes, as written in the file."""

    name: str
    attributes: dict[str, str]


def modules() -> list[Path]:
    """The root module and every module below it."""
    return [ROOT, *sorted(path.parent for path in ROOT.glob("modules/*/variables.tf"))]


def blocks(path: Path, kind: str) -> Iterator[Block]:
    """Blocks of a kind in a file that `terraform fmt` has formatted."""
    pattern = rf'^{kind} "(?P<name>\w+)" {{\n(?P<body>.*?)^}}'
    for match in re.finditer(pattern, path.read_text(), re.MULTILINE | re.DOTALL):
        yield Block(match["name"], dict(attributes(match["body"])))


def attributes(body: str) -> Iterator[tuple[str, str]]:
    """The attributes of a block's first level; one may span lines."""
    lines = body.splitlines()
    index = 0
    while index < len(lines):
        match = re.match(r"^  (\w+)\s+= (.*)$", lines[index])
        index += 1
        if not match:
            continue
        name, value = match.groups()
        while value.count("{") + value.count("(") + value.count("[") > (
            value.count("}") + value.count(")") + value.count("]")
        ):
            value += "\n" + lines[index]
            index += 1
        yield name, value


def inputs_table(folder: Path) -> str:
    """The table of inputs; an input without a default is marked as required."""
    rows = ["| name | what | type | default |", "| --- | --- | --- | --- |"]
    for block in blocks(folder / "variables.tf", "variable"):
        default = block.attributes.get("default")
        rows.append(
            f"| `{block.name}` | {text(block)} | {code(block.attributes['type'])} | "
            f"{'**required**' if default is None else code(default)} |"
        )
    return "\n".join(rows)


def outputs_table(folder: Path) -> str:
    """The table of outputs."""
    rows = ["| name | what |", "| --- | --- |"]
    outputs = blocks(folder / "outputs.tf", "output")
    rows.extend(f"| `{block.name}` | {text(block)} |" for block in outputs)
    return "\n".join(rows)


def text(block: Block) -> str:
    """A description as table text."""
    description = block.attributes.get("description")
    if description is None:
        raise SystemExit(f"{block.name} has no description")
    return description.strip('"').replace('\\"', '"').replace("|", "\\|")


def code(expression: str) -> str:
    """An expression as one line of code."""
    line = re.sub(r"\s+", " ", expression)
    line = re.sub(r"([{(\[]) ?,? ?", r"\1", line)
    line = re.sub(r" ?([)\]])", r"\1", line)
    # Inside an object a line break separates like a comma.
    line = re.sub(r"(string|number|bool|\)) (?=\w+ = )", r"\1, ", line)
    line = line.replace("{", "{ ").replace("{  ", "{ ").replace("{ }", "{}")
    return f"`{line}`".replace("|", "\\|")


def with_tables(readme: str, folder: Path) -> str:
    """The README with both tables regenerated."""
    for name, table in (("inputs", inputs_table(folder)), ("outputs", outputs_table(folder))):
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if begin not in readme or end not in readme:
            raise SystemExit(f"{folder / 'README.md'} has no markers for {name}")
        before, rest = readme.split(begin, 1)
        after = rest.split(end, 1)[1]
        readme = f"{before}{begin}\n{table}\n{end}{after}"
    return readme


def main() -> int:
    """Write the tables, or report which tables have drifted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a drift")
    check = parser.parse_args().check
    drifted = 0
    for folder in modules():
        path = folder / "README.md"
        readme = path.read_text()
        wanted = with_tables(readme, folder)
        if readme == wanted:
            continue
        name = str(path.relative_to(ROOT))
        if check:
            drifted += 1
            lines = difflib.unified_diff(
                readme.splitlines(), wanted.splitlines(), name, f"{name} (wanted)", lineterm=""
            )
            print("\n".join(lines))
        else:
            path.write_text(wanted)
            print(f"wrote {name}")
    if drifted:
        print(f"{drifted} README tables have drifted; run terraform/readme_tables.py")
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
