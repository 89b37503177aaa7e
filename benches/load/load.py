"""`semblance serve` under load: throughput, latencies, errors and memory, as a markdown table.

wrk runs on the same machine with one thread and keeps every connection busy, so the
measured server shares its CPUs with its clients.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher import ROOT, Launched

SCRIPT = Path(__file__).with_name("requests.lua")

CASES = {
    "event": "`POST /`, query and 2 candidates, all new",
    "embed": "`POST /embed`, one text, new",
    "cached": "`POST /`, the README's event, cached",
}

# More texts than a run can send, so no run repeats a text of another.
TEXTS_A_RUN = 200_000

# Longer than any request waits in the longest measured queue.
_REQUEST_SECONDS = 30


class Server(Launched):
    """The release server for the block; it must exit with status 0."""

    def __init__(self, arguments: Sequence[str]):
        program = str(ROOT / "target/release/semblance")
        # A line for each request: more than fits in memory.
        log = Path(os.devnull)
        super().__init__("server", "--program", program, "--", *arguments, log=log)

    def memory_mb(self) -> tuple[float, float]:
        """Resident memory, and its anonymous part."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        resident, anonymous = (int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon"))
        return resident / 1000, anonymous / 1000


@dataclass(frozen=True)
class Run:
    """The result of a run of wrk."""

    case: str
    connections: int
    seconds: float
    requests: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    # Responses by status.
    statuses: dict[str, int]
    # Connections and requests without a response, by failure.
    failures: dict[str, int]
    # Resident and anonymous memory before and after.
    before_mb: tuple[float, float]
    after_mb: tuple[float, float]

    def row(self) -> str:
        """A row of the table."""
        refused = {status: n for status, n in self.statuses.items() if not status.startswith("2")}
        failed = {name: n for name, n in self.failures.items() if n}
        errors = ", ".join(f"{name}: {n:,}" for name, n in sorted((refused | failed).items()))
        before, after = (f"{own[0]:.0f} / {own[1]:.0f}" for own in (self.before_mb, self.after_mb))
        cells = (
            CASES[self.case],
            f"{self.connections}",
            f"{self.requests:,}",
            f"{self.requests / self.seconds:,.0f}",
            f"{self.p50_ms:.2f}",
            f"{self.p99_ms:.2f}",
            f"{self.max_ms:.1f}",
            errors or "none",
            before,
            after,
        )
        return "| " + " | ".join(cells) + " |"


HEADER = (
    "| request | connections | answers | a second | p50 ms | p99 ms | max ms | errors "
    "| RSS / anonymous MB before | after |\n|---|" + "---:|" * 6 + "---|---:|---:|"
)


def wrk(server: Server, case: str, connections: int, seconds: int, first_text: int) -> Run:
    """One run."""
    command = ["wrk", "--threads", "1", "--connections", str(connections)]
    command += ["--duration", f"{seconds}s", "--timeout", f"{_REQUEST_SECONDS}s"]
    command += ["--script", str(SCRIPT), server.url, "--", case, str(first_text)]
    before = server.memory_mb()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"wrk failed: {ran.stdout}{ran.stderr}")
    measured = json.loads(ran.stdout.splitlines()[-1])
    statuses: dict[str, int] = measured["statuses"]
    refused = sum(count for status, count in statuses.items() if int(status) >= 400)
    assert refused == measured["status"], "wrk counts the same errors"
    return Run(
        case=case,
        connections=connections,
        seconds=measured["duration"] / 1e6,
        requests=measured["requests"],
        p50_ms=measured["p50"] / 1000,
        p99_ms=measured["p99"] / 1000,
        max_ms=measured["max"] / 1000,
        statuses=statuses,
        failures={name: measured[name] for name in ("connect", "read", "write", "timeout")},
        before_mb=before,
        after_mb=server.memory_mb(),
    )


def get(url: str) -> Any:
    """The JSON at a URL."""
    with urllib.request.urlopen(url, timeout=_REQUEST_SECONDS) as answer:
        return json.load(answer)


def machine(server: Server) -> str:
    """The machine and the versions."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in cpuinfo if line.startswith("model name")), "")
    about = get(f"{server.url}/info")
    lines = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} cores of {model}, Linux {platform.release().split('-')[0]}",
        "semblance": f"{about['version']} ({said('git', 'rev-parse', '--short', 'HEAD')})",
        "model": about["model_id"],
        "compiler": said("rustc", "--version"),
        "wrk": said("wrk", "-v").partition(" Copyright")[0],
    }
    return "\n".join(f"- {name}: {value}" for name, value in lines.items())


def said(*command: str) -> str:
    """The first line that a command prints. The status is ignored: `wrk -v` exits with 1."""
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return next(iter((ran.stdout + ran.stderr).splitlines()), "unknown")


def main() -> int:
    """Measure every case at every number of connections; 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="length of a run")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("server", nargs="*", help="arguments of `semblance serve`, after `--`")
    arguments = parser.parse_args()

    runs: list[Run] = []
    with Server(arguments.server) as server:
        print(machine(server), end=f"\n- a run: {arguments.seconds} s\n\n{HEADER}\n", flush=True)
        # Memory before the first run includes the first requests.
        for case in arguments.cases:
            wrk(server, case, 1, 1, 0)
        for case in arguments.cases:
            for connections in arguments.connections:
                first_text = (len(runs) + 1) * TEXTS_A_RUN
                runs.append(wrk(server, case, connections, arguments.seconds, first_text))
                print(runs[-1].row(), flush=True)
    bad = [run for run in runs if set(run.statuses) != {"200"} or any(run.failures.values())]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
