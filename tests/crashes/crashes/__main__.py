"""Crash each command on an index at named points, at random moments, and lose unsynced data.

Prints a table. The exit status is 1 if an index was lost, mixed or damaged, or a second run did not
complete the change.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from crashes.corpus import COMMANDS, REPOSITORY, Corpus, CrashError
from crashes.kinds import HEADING, at_points, killed, unsynced

KINDS = ["points", "kills", "losses"]


def main() -> int:
    """Crash everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, default=REPOSITORY / "target/debug/semblance")
    parser.add_argument("--kills", type=int, default=50, help="kills of each command")
    parser.add_argument("--states", type=int, default=1_000, help="states of the disk, at most")
    parser.add_argument("--converging", type=int, default=25, help="second runs of each command")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--command", choices=COMMANDS, action="append", help="only this one")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these crashes")
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(arguments.program, Path(folder))
        print(HEADING)
        for name in arguments.command or COMMANDS:
            crashes = {
                "points": partial(at_points, corpus, name),
                "kills": partial(killed, corpus, name, arguments.kills, arguments.seed),
                "losses": partial(unsynced, corpus, name, arguments.states, arguments.converging),
            }
            for kind in arguments.kind or KINDS:
                try:
                    print(crashes[kind]().row(), flush=True)
                except CrashError as error:
                    failures += 1
                    print(f"| FAILED | {name} | | | | {error} |", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
