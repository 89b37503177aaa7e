"""The three kinds of crashes. Each returns how often the old and the new state were found."""

import random
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crashes.corpus import ENVIRONMENT, Corpus, CrashError
from crashes.file_system import FileSystem, Node, Tree, write
from crashes.trace import traced

# The points of `semblance::corpus::POINTS`.
POINTS = [
    *("staging", "shard", "segment_files", "segment_renamed", "tombstones"),
    *("manifest", "manifest_synced", "current_written", "current_renamed", "prune"),
]


@dataclass
class Result:
    """Crashes of an operation: the states that they left, and where they were."""

    kind: str
    operation: str
    states: Counter[str] = field(default_factory=Counter)
    where: str = ""

    def row(self) -> str:
        """A row of the table."""
        crashes = sum(self.states.values())
        old, new = self.states["old"], self.states["new"]
        return f"| {self.kind} | {self.operation} | {crashes} | {old} | {new} | {self.where} |"


HEADING = "| crash | command | crashes | old state | new state | where |\n|---|---|---|---|---|---|"


def at_points(corpus: Corpus, name: str) -> Result:
    """Crash at each named point that the operation reaches. Debug builds only."""
    result = Result("named point", name)
    reached = []
    for point in POINTS:
        with corpus.started_from(name) as (operation, index):
            done = subprocess.run(
                corpus.command(index, *operation.arguments),
                env={**ENVIRONMENT, "SEMBLANCE_TEST_CRASH_AT": point},
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                continue  # not reached
            reached.append(point)
            result.states[corpus.check(operation, index)] += 1
            corpus.converge(operation, index)
    result.where = ", ".join(reached)
    return result


def killed(corpus: Corpus, name: str, times: int, seed: int) -> Result:
    """Kill the operation with SIGKILL at random moments."""
    result = Result("kill -9", name)
    with corpus.started_from(name) as (operation, index):
        started = time.monotonic()
        corpus.run(index, *operation.arguments)
        seconds = time.monotonic() - started
    moments = random.Random(seed)
    misses = 0
    while sum(result.states.values()) < times:
        with corpus.started_from(name) as (operation, index):
            process = subprocess.Popen(
                corpus.command(index, *operation.arguments),
                env=ENVIRONMENT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                process.wait(moments.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            else:
                # It was faster than the first run.
                misses += 1
                if misses > 10 * times:
                    raise CrashError("the command is never killed before it ends")
                continue
            result.states[corpus.check(operation, index)] += 1
            corpus.converge(operation, index)
    result.where = f"random moments of {seconds * 1e3:.0f} ms"
    return result


def unsynced(
    corpus: Corpus,
    name: str,
    states_limit: int,
    converging: int,
    ignored: type[Node] | None = None,
) -> Result:
    """Lose what was not synced, before each call that syncs something and after the last one.

    Distinct states are checked, at most `states_limit`, spread over all; in `converging` of them,
    the operation is repeated. Syncs of nodes of the kind `ignored` do nothing, to show that
    they are needed.
    """
    result = Result("loss of unsynced data", name)
    with corpus.started_from(name) as (operation, index):
        root = index.parent
        disk = FileSystem(root)
        calls = traced(corpus.command(index, *operation.arguments), ENVIRONMENT)
        states: dict[int, tuple[Tree, bool]] = {}
        syncs = 0
        for call in calls:
            if call.name in {"fsync", "fdatasync"}:
                for tree in disk.crashes():
                    states.setdefault(fingerprint(tree), (tree, False))
                if ignored is not None and disk.is_of(call, ignored):
                    continue
            syncs += disk.apply(call)
        # The command has reported success: nothing of the new state may be lost.
        for tree in disk.crashes():
            states[fingerprint(tree)] = (tree, True)
    # The model must be the truth: with nothing lost it is what is on the disk.
    complete = [tree for tree, _ in states.values() if tree == on_disk(root)]
    if not complete:
        raise CrashError("the model of the file system differs from the disk")
    every = -(-len(states) // states_limit)
    chosen = list(states.values())[::-1][::every]
    step = -(-len(chosen) // converging)
    for number, (tree, must_be_new) in enumerate(chosen):
        shutil.rmtree(root)
        root.mkdir()
        write(tree, root)
        result.states[corpus.check(operation, index, must_be_new=must_be_new)] += 1
        if number % step == 0:
            corpus.converge(operation, index)
    result.where = f"{len(chosen)} of {len(states)} distinct states, {syncs} syncs"
    return result


def fingerprint(tree: Tree) -> int:
    """Equal for equal trees."""
    return hash(frozenset(tree.items()))


def on_disk(root: Path) -> Tree:
    """The files below a root."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in root.rglob("*")
    }
