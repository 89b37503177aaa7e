"""The commands under test, the index that each starts from, and what must hold after a crash."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

# What `make` builds.
ENVIRONMENT = {
    "SEMBLANCE_BUNDLE": str(REPOSITORY / "build/model/default"),
    "SEMBLANCE_ORT_LIBRARY": str(REPOSITORY / "build/lib/libonnxruntime.so"),
    "PATH": os.environ.get("PATH", ""),
}

# The vectors of a text do not depend on the rest, so rows can be compared between runs.
ROWS = [{"id": f"row-{n}", "text": f"text number {n} of the corpus", "n": n} for n in range(12)]
SMALL_SEGMENTS = ("--segment-rows", "5")
NO_GRACE = ("--grace-hours", "0")

COMMANDS = ["build", "append", "delete", "compact", "prune"]

State = dict[str, str]  # id => text of the live rows


class CrashError(AssertionError):
    """Something does not hold after a crash."""


@dataclass(frozen=True)
class Operation:
    """A change of an index, and the rows before and after it."""

    name: str
    arguments: tuple[str, ...]
    before: State | None
    after: State


def rows_of(rows: list[dict[str, object]]) -> State:
    """The live rows of an index that was built from these."""
    return {str(row["id"]): str(row["text"]) for row in rows}


class Corpus:
    """A folder with the indexes that the operations start from."""

    def __init__(self, program: Path, folder: Path):
        self.program = program
        self.folder = folder
        self._write("first.jsonl", ROWS[:8])
        self._write("more.jsonl", ROWS[8:])
        base = folder / "base/docs"
        self.run(base, "build", "first.jsonl", *SMALL_SEGMENTS)
        compacted = self._copy(base, "append")
        self.run(compacted, "append", "more.jsonl", *SMALL_SEGMENTS)
        self.run(compacted, "delete", "--id", "row-1", "--id", "row-9")
        remaining = rows_of([row for row in ROWS if row["n"] not in (1, 9)])
        # Several versions and segments that nothing refers to.
        pruned = self._copy(compacted, "compact")
        self.run(pruned, "compact")
        self.run(pruned, "delete", "--id", "row-0")
        pruned.rename(self._place("prune"))
        after_prune = {key: value for key, value in remaining.items() if key != "row-0"}
        build = Operation(
            "build", ("build", "first.jsonl", *SMALL_SEGMENTS), None, rows_of(ROWS[:8])
        )
        append = Operation(
            "append", ("append", "more.jsonl", *SMALL_SEGMENTS), rows_of(ROWS[:8]), rows_of(ROWS)
        )
        delete = ("delete", "--filter", '{"n": {"$lt": 4}}')
        kept = rows_of([row for row in ROWS[4:] if row["n"] != 9])
        self.operations = {
            "build": (build, None),
            "append": (append, base),
            "delete": (Operation("delete", delete, remaining, kept), compacted),
            "compact": (
                Operation("compact", ("compact", *NO_GRACE), remaining, remaining),
                compacted,
            ),
            # Deletes nothing, and removes what the grace period has kept.
            "prune": (
                Operation(
                    "prune", ("delete", "--id", "unknown", *NO_GRACE), after_prune, after_prune
                ),
                self._place("prune"),
            ),
        }

    def _write(self, name: str, rows: list[dict[str, object]]) -> None:
        (self.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def _place(self, name: str) -> Path:
        place = self.folder / name / "docs"
        place.parent.mkdir(exist_ok=True)
        return place

    def _copy(self, source: Path, name: str) -> Path:
        return Path(shutil.copytree(source, self._place(name)))

    def command(self, index: Path, name: str, *arguments: str) -> list[str]:
        """The command line."""
        files = [str(self.folder / part) if part.endswith(".jsonl") else part for part in arguments]
        return [str(self.program), "index", name, str(index), *files]

    def run(self, index: Path, name: str, *arguments: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = subprocess.run(
            self.command(index, name, *arguments),
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CrashError(f"index {name}: {done.stderr.strip()}")
        return done.stdout

    @contextmanager
    def started_from(self, name: str) -> Iterator[tuple[Operation, Path]]:
        """An operation, and a fresh copy of the index that it starts from."""
        operation, source = self.operations[name]
        place = self.folder / "work"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if source is not None:
            # With its times, by which versions are pruned.
            shutil.copytree(source, place / "docs")
        yield operation, place / "docs"

    def check(self, operation: Operation, index: Path, *, must_be_new: bool = False) -> str:
        """Check that the index is the old or the new one, whole. Returns which."""
        if not (index / "CURRENT").exists():
            if operation.before is None and not must_be_new:
                return "old"
            raise CrashError("the index is lost")
        self.run(index, "verify")
        lines = self.run(index, "export").splitlines()
        rows = [json.loads(line) for line in lines]
        found = rows_of(rows)
        if len(found) != len(rows):
            raise CrashError("an id is repeated")
        if found == operation.after:
            return "new"
        if found == operation.before and not must_be_new:
            return "old"
        raise CrashError(f"other rows: {sorted(found)}")

    def converge(self, operation: Operation, index: Path) -> None:
        """Run the operation again, and check that it is done and leaves nothing."""
        is_built = operation.before is None and (index / "CURRENT").exists()
        if not is_built:
            self.run(index, *operation.arguments)
        elif "index.exists" not in self._refusal(index, operation):
            raise CrashError("a second build of an index is not refused")
        self.check(operation, index, must_be_new=True)
        left = {path.name for path in (index / ".staging").iterdir()}
        # A build that is refused touches nothing; the next change removes what is left.
        if not is_built and left != {"lock"}:
            raise CrashError(f"left in the staging folder: {sorted(left)}")

    def _refusal(self, index: Path, operation: Operation) -> str:
        done = subprocess.run(
            self.command(index, *operation.arguments),
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr
