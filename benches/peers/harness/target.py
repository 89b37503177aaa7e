"""The targets of this project, and whether a run met them."""

from dataclasses import dataclass

from harness.measure import NEW_QUERY, ONE_CPU
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
        _short(result),
        *_seed_event(result),
        *_two_cpus(result),
        *(_avx2(result) if result.has_avx2_parts else []),
        *_throughput(result, "throughput-1", "one thread", 0.93),
        *_throughput(result, "throughput-2", "two threads", 0.9),
        _remembered(result),
        _memory_of_many(result),
    ]


def _at_most(what: str, figure: float, bound: float, unit: str, of: str = "") -> Target:
    digits = 0 if unit == " MB" else 2
    return Target(what, f"<= {bound:g}{unit}{of}", f"{figure:.{digits}f}{unit}", figure <= bound)


def _at_least(what: str, figure: float, bound: float, of: str) -> Target:
    return Target(what, f">= {bound:g} times {of}", f"{figure:.2f} times", figure >= bound)


def _best_peer(result: Result, part: str, what: str) -> str:
    measured = result.parts[part]["times_ms"][what]
    others = [name for name in (TORCH, ONNX, HANDLER, FASTEMBED) if name in measured]
    return min(others, key=lambda name: result.ms(part, what, name).median)


def _to_best_peer(what: str, result: Result, part: str, event: str, bound: float) -> Target:
    best = _best_peer(result, part, event)
    ratio = result.ms(part, event).median / result.ms(part, event, best).median
    return _at_most(what, ratio, bound, " times", f" the best peer ({best})")


def _cold(result: Result) -> Target:
    what = "process start to first answer, page cache warm"
    return _to_best_peer(what, result, "cold", "seed", 0.2)


def _memory_of_one_event(result: Result) -> list[Target]:
    return [
        _at_most(name, result.memory_mb("cold", kind).median, bound, " MB")
        for name, kind, bound in (
            ("anonymous memory after the first event", "anonymous_mb", 12.5),
            ("peak memory after the first event", "peak_mb", 110),
        )
    ]


def _short(result: Result, part: str = "warm", suffix: str = "") -> Target:
    what = f"one short text, warm, one thread{suffix}"
    return _to_best_peer(what, result, part, "short", 0.65)


def _seed_event(result: Result, part: str = "warm", suffix: str = "") -> list[Target]:
    what = f"seed event, warm, one thread{suffix}"
    floor = result.ms(part, "seed").median / result.floor_ms(part, "seed")
    return [
        _to_best_peer(what, result, part, "seed", 0.78),
        _at_most(what, floor, 1.25, " times", " the floor"),
    ]


def _avx2(result: Result) -> list[Target]:
    suffix = ", AVX2"
    return [
        _short(result, "avx2", suffix),
        *_seed_event(result, "avx2", suffix),
        *_two_cpus(result, "avx2-two-cpus", suffix),
    ]


def _two_cpus(result: Result, part: str = "two-cpus", suffix: str = "") -> list[Target]:
    rows = []
    for event, name in (("short", "one short text"), ("seed", "seed event")):
        one = result.ms(part, event, ONE_CPU).median
        ratio = result.ms(part, event).median / one
        what = f"{name} alone, warm, two threads{suffix}"
        rows.append(_at_most(what, ratio, 0.62, " times", " itself on one thread"))
    return rows


def _throughput(result: Result, part: str, threads: str, bound: float) -> list[Target]:
    ours = result.texts_a_second(part, US).median
    what = f"512 texts of mixed length, {threads}"
    rows = [
        _at_least(what, ours / result.texts_a_second(part, peer).median, bound, peer)
        for peer, bound in ((TORCH, 1.25), (FASTEMBED, 2.2))
    ]
    return [*rows, _at_least(what, ours / result.floor_texts_a_second(part), bound, "the floor")]


def _remembered(result: Result) -> Target:
    products = result.products_ms("remembered", NEW_QUERY)
    ratio = result.ms("remembered", "50 seen").median / products
    what = "50 candidates seen before, a new query"
    return _at_most(what, ratio, 1.3, " times", " the products of the query")


def _memory_of_many(result: Result) -> Target:
    more = result.memory_mb("large", "peak_mb").median - result.memory_mb("cold", "peak_mb").median
    what = "peak memory after 500 candidates, over that after one event"
    return _at_most(what, more, 60, " MB")
