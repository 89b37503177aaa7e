"""The measurements, in parts that can be repeated separately.

Every part measures the peers in rounds, so a slow minute of the machine affects all of them. A part
is stored as JSON: `times_ms[what][peer]` has one number per round.
"""

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness import place, scores, texts
from harness.function import Function
from harness.peer import AVX2, TORCH, US, avx2_peers, floor, function, kernel_floor, peers
from harness.process import LineProcess, Memory

Events = dict[str, dict[str, object]]
Found = dict[str, Any]
Times = defaultdict[str, dict[str, list[float]]]

THROUGHPUT_TEXTS = texts.THROUGHPUT_TEXTS
SMALL = ("short", "seed", "10 candidates", "50 candidates")
REPEATS = {"short": 20, "seed": 10, "10 candidates": 4, "50 candidates": 1}
# This project on one CPU, where the others have two.
ONE_CPU = "semblance, one CPU"
KERNEL = "semblance kernel 512x384x1536"
# A new query with a number, against known candidates.
NEW_QUERY = "new query"


@dataclass(frozen=True)
class Part:
    """A part: its function, its rounds, and its rounds in a quick run."""

    measure: Callable[[Events, int], Found]
    rounds: int
    quick_rounds: int
    # Measures AVX2 where the processor has AVX-512. Without AVX-512, every part measures AVX2.
    needs_avx512: bool = False


def cold(events: Events, rounds: int) -> Found:
    """Process start to the first response; the first round only fills the page cache."""
    event = _bytes(events["seed"])
    times = _times()
    memory: dict[str, list[dict[str, float]]] = defaultdict(list)
    answers = {}
    for turn in range(rounds + 1):
        for peer in peers():
            running = peer.start(1)
            try:
                answer = running.first(event)
                held = running.memory()
            finally:
                running.stop()
            answers[peer.name] = answer.body
            if turn > 0:
                times["seed"].setdefault(peer.name, []).append(answer.elapsed_ms)
                memory[peer.name].append(_memory(held))
    return {
        "times_ms": times,
        "memory": memory,
        "score_differences": {"seed": scores.differences(answers, TORCH)},
    }


def warm(events: Events, rounds: int) -> Found:
    """Events of one query and up to 50 candidates, warm, one thread, cache off."""
    return _in_turn({name: events[name] for name in SMALL}, rounds, threads=1)


def two_cpus(events: Events, rounds: int) -> Found:
    """One short text and the seed event on two CPUs, and this project also on one."""
    chosen = {name: events[name] for name in ("short", "seed")}
    return _in_turn(chosen, rounds, threads=2, more={ONE_CPU: lambda: function(1, cache_bytes=0)})


def avx2(events: Events, rounds: int) -> Found:
    """One short text and the seed event, one thread, with AVX2 instead of AVX-512 everywhere."""
    chosen = {name: events[name] for name in ("short", "seed")}
    return _in_turn(chosen, rounds, threads=1, instruction_set=AVX2)


def avx2_two_cpus(events: Events, rounds: int) -> Found:
    """The same on two CPUs, and this project also on one."""
    chosen = {name: events[name] for name in ("short", "seed")}
    more = {ONE_CPU: lambda: function(1, 0, AVX2)}
    return _in_turn(chosen, rounds, threads=2, more=more, instruction_set=AVX2)


def large(events: Events, rounds: int) -> Found:
    """500 candidates, one thread; memory at the end."""
    name = "500 candidates"
    return _in_turn({name: events[name]}, rounds, threads=1)


def throughput_1(events: Events, rounds: int) -> Found:
    """512 texts of mixed length as one event, one thread."""
    return _in_turn({"512 texts": events["512 texts"]}, rounds, threads=1)


def throughput_2(events: Events, rounds: int) -> Found:
    """The same on two threads."""
    return _in_turn({"512 texts": events["512 texts"]}, rounds, threads=2)


def remembered(events: Events, rounds: int) -> Found:
    """A new query against 50 known candidates, and against one of them, alternating."""
    query = str(events["50 candidates"]["query_from_app"])
    candidates = events["50 candidates"]["actual_queries"]
    assert isinstance(candidates, list)
    times = _times()
    products: list[dict[str, float]] = []
    running = function(1, cache_bytes=None)
    kernel = kernel_floor(1)
    try:
        running.first(_bytes(events["50 candidates"]))
        for turn in range(rounds):
            if turn % 20 == 0:
                products.append(json.loads(kernel.ask(b"{}"))["products_ms"])
            for offset, name, asked in ((0, "50 seen", candidates), (1, "alone", candidates[:1])):
                new = _new_query(query, 2 * turn + offset)
                answer = running.ask(_bytes({"query_from_app": new, "actual_queries": asked}))
                times[name].setdefault(US, []).append(answer.elapsed_ms)
    finally:
        running.stop()
        kernel.stop()
    return {"times_ms": times, "products_ms": products}


PARTS = {
    "cold": Part(cold, rounds=7, quick_rounds=2),
    "warm": Part(warm, rounds=7, quick_rounds=2),
    "two-cpus": Part(two_cpus, rounds=7, quick_rounds=2),
    "avx2": Part(avx2, rounds=7, quick_rounds=2, needs_avx512=True),
    "avx2-two-cpus": Part(avx2_two_cpus, rounds=7, quick_rounds=2, needs_avx512=True),
    "remembered": Part(remembered, rounds=200, quick_rounds=50),
    "large": Part(large, rounds=2, quick_rounds=1),
    "throughput-1": Part(throughput_1, rounds=3, quick_rounds=1),
    "throughput-2": Part(throughput_2, rounds=4, quick_rounds=1),
}


def parts_of(*, has_avx512: bool) -> list[str]:
    """The parts for a processor."""
    return [name for name, part in PARTS.items() if has_avx512 or not part.needs_avx512]


def tokens(events: Events) -> dict[str, int]:
    """Tokens of each event without padding, including special tokens, truncated to the limit."""
    program = (
        "import json, sys\nfrom tokenizers import Tokenizer\n"
        "tokenizer = Tokenizer.from_file(sys.argv[1])\ntokenizer.no_padding()\n"
        "tokenizer.enable_truncation(256)\nevents = json.load(sys.stdin)\n"
        "count = lambda texts: [len(row.ids) for row in tokenizer.encode_batch(texts)]\n"
        "print(json.dumps({name: count(texts) for name, texts in events.items()}))"
    )
    query = str(events["50 candidates"]["query_from_app"])
    counted_texts = {name: texts.of_event(event) for name, event in events.items()}
    counted_texts[NEW_QUERY] = [_new_query(query, n) for n in range(2 * PARTS["remembered"].rounds)]
    command = [str(place.PYTHON), "-c", program, str(place.MODEL / "tokenizer.json")]
    ran = subprocess.run(
        command, input=json.dumps(counted_texts), capture_output=True, text=True, check=True
    )
    counted: dict[str, list[int]] = json.loads(ran.stdout)
    of_query = counted.pop(NEW_QUERY)
    if len(set(of_query)) != 1:
        raise ValueError(f"new queries have {min(of_query)} to {max(of_query)} tokens")
    return {name: sum(tokens) for name, tokens in counted.items()} | {NEW_QUERY: of_query[0]}


def _in_turn(
    events: Events,
    rounds: int,
    threads: int,
    more: Mapping[str, Callable[[], Function]] | None = None,
    instruction_set: str | None = None,
) -> Found:
    """Each event through each peer and the floor, alternating; first responses are not timed."""
    times = _times()
    gflops: list[dict[str, float]] = []
    first_answers: dict[str, dict[str, bytes]] = defaultdict(dict)
    products: list[dict[str, float]] = []
    with _running(threads, more or {}, instruction_set) as (machine, kernel, running):
        for name, process in running.items():
            for what, event in events.items():
                first_answers[what][name] = process.ask(_bytes(event)).body
        for _ in range(rounds):
            found = json.loads(kernel.ask(b"{}"))
            gflops.append(json.loads(machine.ask(b"{}")) | {KERNEL: found["gflops"]})
            products.append(found["products_ms"])
            for what, event in events.items():
                asked = _bytes(event)
                for name, process in running.items():
                    for _ in range(REPEATS.get(what, 1)):
                        answer = process.ask(asked)
                        times[what].setdefault(name, []).append(answer.elapsed_ms)
        memory = {name: [_memory(process.memory())] for name, process in running.items()}
    differences = {
        what: scores.differences(answers, TORCH) for what, answers in first_answers.items()
    }
    return {
        "times_ms": times,
        "gflops": gflops,
        "products_ms": products,
        "memory": memory,
        "score_differences": differences,
    }


@contextmanager
def _running(
    threads: int, more: Mapping[str, Callable[[], Function]], instruction_set: str | None
) -> Iterator[tuple[LineProcess, LineProcess, dict[str, Function]]]:
    """Both floors and every peer, started and stopped together."""
    started: dict[str, Function] = {}
    machine = floor(threads, instruction_set)
    kernel = kernel_floor(threads, instruction_set)
    try:
        for peer in peers() if instruction_set is None else avx2_peers():
            started[peer.name] = peer.start(threads)
        for name, start in more.items():
            started[name] = start()
        yield machine, kernel, started
    finally:
        for measured in (machine, kernel):
            measured.stop()
        for process in started.values():
            process.stop()


def _new_query(query: str, number: int) -> str:
    # Each of these numbers is one token, so every query is new and has as many tokens.
    return f"{query} {1900 + number // 100} {100 + number % 100}"


def _times() -> Times:
    return defaultdict(dict)


def _bytes(event: dict[str, object]) -> bytes:
    return json.dumps(event).encode()


def _memory(held: Memory) -> dict[str, float]:
    return {"peak_mb": held.peak_mb, "anonymous_mb": held.anonymous_mb}
