"""What was measured, part by part, so that a part can be measured again alone."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from report import Report


class Results:
    """Calls of methods of a report, in a file for each part."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.calls: list[tuple[str, list[Any]]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, method: str, *arguments: Any) -> None:
        """Add a result: a method of the report and its arguments."""
        self.calls.append((method, list(arguments)))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Write what is added within, with the load of the machine before and after."""
        self.calls = []
        before = os.getloadavg()[0]
        yield
        loads = [before, os.getloadavg()[0]]
        content = json.dumps({"loads": loads, "calls": self.calls}, indent=1)
        self._file(name).write_text(content)

    def replay(self, names: list[str], report: Report) -> None:
        """Give a report the results of the parts that were measured."""
        for name in names:
            if not self._file(name).exists():
                report.skipped(f"part `{name}`", "it was not run")
                continue
            content = json.loads(self._file(name).read_text())
            report.loads[name] = content["loads"]
            for method, arguments in content["calls"]:
                getattr(report, method)(*arguments)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"
