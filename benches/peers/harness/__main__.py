"""`python -m harness`: measures the requested parts, then reports all stored parts."""

import argparse
import json
import sys
import time

from harness import machine, measure, model, place, report, texts


def main() -> int:
    """Returns the exit status."""
    parts = measure.parts_of(has_avx512=machine.has_avx512())
    options = arguments(parts)
    if not options.only_report:
        _measure(options.part or parts, quick=options.quick)
    missing = [name for name in parts if not place.part(name).exists()]
    if missing:
        print(f"no report: these parts are not measured: {', '.join(missing)}", file=sys.stderr)
        return 0
    print(report.write())
    return 0


def _measure(parts: list[str], *, quick: bool) -> None:
    """Measures parts and stores their results."""
    events = texts.write()
    candidates = events["50 candidates"]["actual_queries"]
    assert isinstance(candidates, list)
    model.prepare(candidates)
    for name in parts:
        part = measure.PARTS[name]
        rounds = part.quick_rounds if quick else part.rounds
        print(f"{name}: {rounds} rounds", file=sys.stderr, flush=True)
        started = time.monotonic()
        found = part.measure(events, rounds)
        found |= {
            "rounds": rounds,
            "seconds": time.monotonic() - started,
            "tokens": measure.tokens(events),
            "machine": machine.describe(),
            "versions": machine.versions(),
        }
        place.part(name).write_text(json.dumps(found, indent=1), encoding="utf-8")


def arguments(parts: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="harness", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument(
        "--part",
        action="append",
        choices=parts,
        help="measure only this part; may be repeated",
    )
    parser.add_argument(
        "--only-report", action="store_true", help="measure nothing, report the stored parts"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
