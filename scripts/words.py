#!/usr/bin/env python3
"""Checks prose for banned phrases and British spellings.

The phrases and their replacements are in docs/words.txt. The script reads Markdown, the comments
and strings of Python, Terraform, shell and Makefiles, and with --all also Rust and the page. Code
is not checked: fenced blocks, code spans, links, identifiers, and strings without a space.

Prints `file:line: "phrase": write replacement` and exits with 1 if it finds any.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = "docs/words.txt"

# What is read without --all.
PATHS = ("*.md", "*.py", "*.tf", "*.tfvars.example", "*.hcl", "*.sh", "Makefile")
ALL_PATHS = (*PATHS, "*.rs", "*.html", "*.js")

# Quotes the page, so it is read with --all only.
QUOTES_PAGE = "tests/clients/tests/test_page.py"

# Names that users depend on: fields, codes, file names. They are not prose.
ALLOWED = re.compile(
    r"\btokenise_ms\b"  # a log field, kept for one version next to tokenize_ms
    r"|\bmodel\.tokenisation_failed\b"  # an error code
    r"|\"d[o]or\": "  # a log field
    r"|\blicence\b(?=`|\"|')"  # a field of the manifest
    r"|\bNone\b"  # of Python
)

# Files whose strings are test data.
SKIPPED = {"model/golden/texts.py", "model/golden/pairs.py"}

# Rust: comments, then string literals, raw ones included. A character literal is skipped, so that
# '"' does not open a string.
_RUST = re.compile(
    r"""(?P<comment>//[^\n]*)|(?P<raw>r(?P<hash>\#*)".*?"(?P=hash))|(?P<string>"(?:\\.|[^"\\])*")"""
    r"""|'(?:\\.|[^'\\])'""",
    re.DOTALL,
)
# Terraform: comments to the end of the line, then strings.
_HCL = re.compile(r'(?P<comment>(?:#|//)[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*")')
# Shell and Makefiles: comments and help texts.
_SHELL = re.compile(r"(?P<comment>(?:^|\s)#[^\n]*)", re.MULTILINE)

# Code inside a formatted string.
_PLACEHOLDER = re.compile(r"\{[^{}\n]*\}")
# Code inside prose: code spans, URLs, link targets.
_CODE = re.compile(r"`[^`\n]*`|https?://\S+|\]\([^)\s]*\)")


@dataclass(frozen=True)
class Phrase:
    """A phrase that is not used, and its replacement."""

    pattern: re.Pattern[str]
    replacement: str


@dataclass(frozen=True)
class Finding:
    """A banned phrase in a file."""

    path: str
    line: int
    phrase: str
    replacement: str


def phrases(text: str) -> list[Phrase]:
    """The entries of the list."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        expression, arrow, replacement = line.partition(" -> ")
        if not arrow:
            raise SystemExit(f"{LIST}:{number}: expected `phrase -> replacement`")
        expression = expression.replace(" ", r"\s+")
        # A phrase that begins with a comma follows a word.
        before = "" if expression.startswith(",") else r"(?<!\w)"
        pattern = re.compile(rf"{before}(?:{expression})(?!\w)", re.IGNORECASE)
        entries.append(Phrase(pattern, replacement))
    return entries


def files(patterns: tuple[str, ...]) -> list[str]:
    """The tracked and new files of the repository that match."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for path in set(listed.splitlines()) - SKIPPED if (ROOT / path).is_file())


def prose(path: str, text: str) -> Iterator[tuple[int, str]]:
    """The parts of a file that are prose, each with the number of its first line."""
    if path.endswith(".md"):
        yield from _markdown(text)
    elif path.endswith(".py"):
        yield from _python(text)
    elif path.endswith((".rs", ".js")):
        yield from _matches(_RUST, text)
    elif path.endswith(".html"):
        yield 1, text
    elif path.endswith((".tf", ".hcl", ".tfvars.example")):
        yield from _matches(_HCL, text)
    else:
        yield from _matches(_SHELL, text)


def _markdown(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs; fenced blocks are left out."""
    paragraph: list[str] = []
    first, fenced = 1, False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and line.strip():
            if not paragraph:
                first = number
            paragraph.append(line)
            continue
        if paragraph:
            yield first, "\n".join(paragraph)
            paragraph = []


def _python(text: str) -> Iterator[tuple[int, str]]:
    """Comments and strings. Comments on successive lines are one part."""
    comment: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        line = token.start[0]
        if kind == "COMMENT":
            if comment and line != last + 1:
                yield first, "\n".join(comment)
                comment = []
            if not comment:
                first = line
            comment.append(token.string.lstrip("# "))
            last = line
        elif kind in ("STRING", "FSTRING_MIDDLE") and " " in token.string:
            yield line, _PLACEHOLDER.sub(_blank, token.string)
    if comment:
        yield first, "\n".join(comment)


def _matches(expression: re.Pattern[str], text: str) -> Iterator[tuple[int, str]]:
    """Comments and strings that the expression finds. Comments on successive lines are one part."""
    comment: list[str] = []
    first = last = 0
    line, position = 1, 0
    for match in expression.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        if match.lastgroup is None:
            continue
        part = match.group()
        if match.lastgroup == "comment":
            start = line + part.count("\n", 0, len(part) - len(part.lstrip()))
            if comment and start != last + 1:
                yield first, "\n".join(comment)
                comment = []
            if not comment:
                first = start
            comment.append(part.strip().lstrip("/#! "))
            last = start
        elif " " in part:
            yield line, part
    if comment:
        yield first, "\n".join(comment)


def findings(path: str, text: str, entries: list[Phrase]) -> Iterator[Finding]:
    """The banned phrases in a file."""
    for first, part in prose(path, text):
        blank = _blanked(part)
        for entry in entries:
            for match in entry.pattern.finditer(blank):
                line = first + blank.count("\n", 0, match.start())
                phrase = " ".join(match.group().split())
                yield Finding(path, line, phrase, entry.replacement)


def _blanked(part: str) -> str:
    """The part with code replaced by `_`, so that positions do not change."""
    return _CODE.sub(_blank, ALLOWED.sub(_blank, part))


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"\S", "_", match.group())


def main() -> int:
    """Runs the check; returns the exit status."""
    parser = argparse.ArgumentParser(description="Check prose for the phrases of docs/words.txt.")
    parser.add_argument(
        "--all", action="store_true", help="check the Rust sources and the page too"
    )
    parser.add_argument("paths", nargs="*", help="only these files or folders")
    options = parser.parse_args()
    entries = phrases((ROOT / LIST).read_text(encoding="utf-8"))
    chosen = files(ALL_PATHS if options.all else PATHS)
    if not options.all:
        chosen = [path for path in chosen if path != QUOTES_PAGE]
    if options.paths:
        roots = [Path(path).resolve() for path in options.paths]
        chosen = [
            path
            for path in chosen
            if any((ROOT / path).resolve().is_relative_to(root) for root in roots)
        ]
    found = [
        finding
        for path in chosen
        for finding in findings(path, (ROOT / path).read_text(encoding="utf-8"), entries)
    ]
    for finding in sorted(found, key=lambda it: (it.path, it.line)):
        print(f'{finding.path}:{finding.line}: "{finding.phrase}": write {finding.replacement}')
    if found:
        print(f"{len(found)} banned phrases in {len(chosen)} files; see {LIST}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
