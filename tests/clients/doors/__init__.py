"""The doors that clients use: the server, and the function URL of the emulator."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

# How long a door has to open, in seconds; the emulator may still compile.
OPENING_SECONDS = 300.0


@dataclass(frozen=True)
class Door:
    """Where a client goes in."""

    name: str
    # The prefix of every route, without a slash at its end.
    url: str


def built(path: str, target: str) -> Path:
    """What a make target leaves at this path of the repository; an error if it is not there."""
    place = REPOSITORY / path
    if not place.exists():
        raise FileNotFoundError(f"{place} is missing: run `make {target}`")
    return place.resolve()
