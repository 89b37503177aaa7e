"""The targets of this project, and whether a run met them."""

from dataclasses import dataclass

from harness.peer import FASTEMBED, HANDLER, ONNX, TORCH, US
from harness.result import Result


@dataclass(frozen=True)
class Target:
    """One row: the measurement, its target, its figure, and whether the target is met."""

    what: str
    bound: str
    figure: str
    is_met: bool


def targets(result: Result) -> list[Target]:
    """All rows, in the order of a request's steps."""
    return [
        _cold(result),
        *_memory_of_one_event(result),
        *_seed_event(result),
        *_throughput(result, "throughput-1", "one thread"),
        *_throughput(result, "throughput-2", "two threads"),
        _remembered(result),
        _memory_of_many(result),
    ]


def _at_most(what: str, figure: float, bound: float, unit: str, of: str = "") -> Target:
    digits = 0 if unit == " MB" else 2
    return Target(what, f"<= {bound:g}{unit}{of}", f"{figure:.{digits}f}{unit}", figure <= bound)


def _at_least(what: str, figure: float, bound: float, of: str) -> Target:
    return Target(what, f">= {bound:g} times {of}", f"{figure:.2f} times", figure >= bound)


def _cold(result: Result) -> Target:
    best = min((TORCH, ONNX, HANDLER, FASTEMBED), key=lambda name: _cold_ms(result, name))
    ratio = _cold_ms(result, US) / _cold_ms(result, best)
    what = "process start to first answer, page cache warm"
    return _at_most(what, ratio, 0.2, " times", f" the best peer ({best})")


def _cold_ms(result: Result, peer: str) -> float:
    return result.ms("cold", "seed", peer).median


def _memory_of_one_event(result: Result) -> list[Target]:
    return [
        _at_most(name, result.memory_mb("cold", kind).median, bound, " MB")
        for name, kind, bound in (
            ("anonymous memory after the first event", "anonymous_mb", 25),
            ("peak memory after the first event", "peak_mb", 110),
        )
    ]


def _seed_event(result: Result) -> list[Target]:
    ours = result.ms("warm", "seed").median
    peer = result.ms("warm", "seed", TORCH).median
    floor = result.floor_ms("warm", "seed")
    what = "seed event, warm, one thread"
    return [
        _at_most(what, ours / peer, 0.42, " times", f" {TORCH}"),
        _at_most(what, ours / floor, 1.3, " times", " the floor"),
    ]


def _throughput(result: Result, part: str, threads: str) -> list[Target]:
    ours = result.texts_a_second(part, US).median
    what = f"512 texts of mixed length, {threads}"
    rows = [
        _at_least(what, ours / result.texts_a_second(part, peer).median, bound, peer)
        for peer, bound in ((TORCH, 1.25), (FASTEMBED, 2.2))
    ]
    return [*rows, _at_least(what, ours / result.floor_texts_a_second(part), 0.88, "the floor")]


def _remembered(result: Result) -> Target:
    ratio = result.ms("remembered", "50 seen").median / result.ms("remembered", "alone").median
    what = "50 candidates seen before, a new query"
    return _at_most(what, ratio, 1.3, " times", " the query alone")


def _memory_of_many(result: Result) -> Target:
    more = result.memory_mb("large", "peak_mb").median - result.memory_mb("cold", "peak_mb").median
    what = "peak memory after 500 candidates, over that after one event"
    return _at_most(what, more, 60, " MB")
