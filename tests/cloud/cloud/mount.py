"""A folder of a file system, as a function sees it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mount:
    """A folder that a function sees at a path, as a user of the access point's choice."""

    source: Path
    target: str
    writable: bool
    uid: int | None
    gid: int | None
