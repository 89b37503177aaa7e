"""The interfaces that clients use: the server, and the function URL of the emulator."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

# Time for an interface to start, in seconds. The emulator asks Cargo for the function, and may wait
# for a linter that holds the lock of the target folder.
OPENING_SECONDS = 900.0

# Time for a response, in seconds. Other tests may use the machine at the same time.
ANSWER_SECONDS = 600.0

# Time for the page to show something, in milliseconds.
PAGE_MILLISECONDS = 60_000.0


@dataclass(frozen=True)
class Door:
    """Where a client goes in."""

    name: str
    # The prefix of every route, without a slash at its end.
    url: str


def built(path: str, target: str) -> Path:
    """The path of a make target's output; an error if the output is missing."""
    place = REPOSITORY / path
    if not place.exists():
        raise FileNotFoundError(f"{place} is missing: run `make {target}`")
    return place.resolve()
