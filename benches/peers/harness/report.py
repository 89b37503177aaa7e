"""The document that a run writes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import place, plot
from harness.measure import NEW_QUERY, ONE_CPU
from harness.peer import FASTEMBED, HANDLER, ONNX, TORCH, US
from harness.result import Result
from harness.target import targets

PEERS = (US, HANDLER, FASTEMBED, ONNX, TORCH)
TEI = "text-embeddings-inference"
NOT_MEASURED = "not measured"
AVX2_COLUMNS = ("one short text", "seed event", "one short text, two threads", "seed event, two")


def write() -> Path:
    """Writes the document and its plots from the stored parts, and returns its path."""
    result = Result()
    plot.draw(result, place.DOCUMENTS / result.name)
    sections = [
        _head(result),
        _targets(result),
        _cold(result),
        _events(result),
        _throughput(result),
        _memory(result),
        _scores(result),
        _how(result),
    ]
    document = place.DOCUMENTS / f"{result.name}.md"
    document.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return document


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def _ratio(figure: float, ours: float) -> str:
    return "1" if figure == ours else f"{figure / ours:.2f}"


def _head(result: Result) -> str:
    last = result.parts["cold"]
    versions = last["versions"]
    rounds = ", ".join(f"{name} {part['rounds']}" for name, part in result.parts.items())
    commits = {part["machine"]["commit"]: None for part in result.parts.values()}
    facts = last["machine"] | {
        "commit": ", ".join(commits),
        "command": "`make bench-peers`",
        "rounds": rounds,
        "measured in": f"{sum(part['seconds'] for part in result.parts.values()) / 60:.1f} minutes",
        TORCH: f"{versions['main sentence-transformers']}, torch {versions['main torch']}, "
        f"transformers {versions['main transformers']}",
        ONNX: f"sentence-transformers {versions['onnx sentence-transformers']}, "
        f"transformers {versions['onnx transformers']}, "
        f"onnxruntime {versions['onnx onnxruntime']}",
        HANDLER: f"onnxruntime {versions['main onnxruntime']}, "
        f"tokenizers {versions['main tokenizers']}, Python {versions['python']}",
        FASTEMBED: f"{versions['fastembed']}, on the same libonnxruntime.so as {US}",
    }
    facts = {name: fact for name, fact in facts.items() if fact}
    title = "Benchmarks" if result.has_avx2_parts else "Benchmarks on a processor without AVX-512"
    return (
        f"# {title}\n\n"
        "Time and memory of this project and its peers for the same work: the same texts, weights "
        "(all-MiniLM-L6-v2, fp32), machine and number of threads, measured alternately. Generated "
        "by `make bench-peers`; do not edit. Tables show medians and, in parentheses, the range; "
        "*times* is the ratio of a median to that of semblance. MB are 1e6 bytes.\n\n"
        + _table(("", ""), [(name, str(fact)) for name, fact in facts.items()]).replace(
            "---:", "---"
        )
    )


def _targets(result: Result) -> str:
    rows = [
        (row.what, row.bound, row.figure, "met" if row.is_met else "**not met**")
        for row in targets(result)
    ]
    return "## Targets\n\n" + _table(("", "target", "measured", ""), rows)


def _cold(result: Result) -> str:
    rows: list[Sequence[str]] = []
    ours = result.ms("cold", "seed")
    for peer in PEERS:
        time = result.ms("cold", "seed", peer)
        peak, anonymous = (
            result.memory_mb("cold", kind, peer).shown(0) for kind in ("peak_mb", "anonymous_mb")
        )
        rows.append((peer, time.shown(0), _ratio(time.median, ours.median), peak, anonymous))
    rows.append((TEI, *[NOT_MEASURED] * 4))
    head = ("", "ms", "times", "peak memory, MB", "anonymous, MB")
    return (
        "## Cold start\n\n"
        "From the start of the process to its first response, for "
        "[the example event](../tests/events/london.json), which is already waiting; page cache "
        "warm, one thread for the forward pass, all CPUs visible. Memory after that response.\n\n"
        + _table(head, rows)
        + f"\n\n![Cold start]({result.name}/cold.svg)"
    )


def _events(result: Result) -> str:
    sizes = [
        ("one short text", "warm", "short"),
        ("seed event", "warm", "seed"),
        ("10 candidates", "warm", "10 candidates"),
        ("50 candidates", "warm", "50 candidates"),
        ("500 candidates", "large", "500 candidates"),
    ]
    rows = []
    for peer in PEERS:
        row = [peer]
        for _, part, what in sizes:
            time = result.ms(part, what, peer)
            ratio = _ratio(time.median, result.ms(part, what).median)
            row += [time.shown(1 if part == "warm" else 0), ratio]
        rows.append(row)
    rows.append([TEI, *[NOT_MEASURED] * 2 * len(sizes)])
    floor = ["floor"]
    for _, part, what in sizes:
        time_ms = result.floor_ms(part, what)
        floor += [f"{time_ms:,.1f}", f"{time_ms / result.ms(part, what).median:.2f}"]
    rows.append(floor)
    seen, alone = result.ms("remembered", "50 seen"), result.ms("remembered", "alone")
    tokens = result.parts["large"]["tokens"]
    lengths = ", ".join(f"{what} {tokens[what]:,}" for _, _, what in sizes)
    head = ["", *[cell for name, *_ in sizes for cell in (f"{name}, ms", "times")]]
    return (
        "## Events\n\n"
        "One query against candidates of 5 to 50 words, warm, one thread, cache off "
        f"(`SEMBLANCE_CACHE_BYTES=0`). Tokens without padding: {lengths}.\n\n"
        + _table(head, rows)
        + f"\n\n![Events]({result.name}/warm.svg)\n\n"
        "With the cache on, a new query against the same 50 candidates: "
        f"{seen.shown(1)} ms; new queries of the same length against one known candidate, "
        f"alternating with these: {alone.shown(1)} ms; {seen.median / alone.median:.2f} times. All "
        "products of the model for the tokens of such a query: "
        f"{result.products_ms('remembered', NEW_QUERY):.1f} ms.\n\n"
        + _table(("two threads, ms", *(name for name, *_ in sizes[:2])), _two_cpus(result))
        + (_avx2(result) if result.has_avx2_parts else "")
    )


def _two_cpus(result: Result) -> list[Sequence[str]]:
    return [
        (peer, *(result.ms("two-cpus", what, peer).shown(1) for what in ("short", "seed")))
        for peer in (*PEERS, ONE_CPU)
    ]


def _avx2(result: Result) -> str:
    rows: list[Sequence[str]] = [
        (
            peer,
            *(
                result.ms(part, what, peer).shown(1)
                for part in ("avx2", "avx2-two-cpus")
                for what in ("short", "seed")
            ),
        )
        for peer in (US, FASTEMBED, TORCH)
    ]
    floor = result.floor_ms("avx2", "seed")
    rows.append(("floor", "", f"{floor:.1f}", "", ""))
    return (
        "\n\nWith AVX2 instead of AVX-512, for the peers that can be restricted: torch by its "
        "environment, ONNX Runtime of fastembed-rs by a copy of the library "
        "(`scripts/avx2_only.py`), semblance by `SEMBLANCE_INSTRUCTION_SET=avx2`.\n\n"
        + _table(("AVX2, ms", *AVX2_COLUMNS), rows)
    )


def _throughput(result: Result) -> str:
    rows = []
    parts = ("throughput-1", "throughput-2")
    for peer in PEERS:
        row = [peer]
        for part in parts:
            found = result.texts_a_second(part, peer)
            row += [found.shown(0), _ratio(found.median, result.texts_a_second(part, US).median)]
        rows.append(row)
    rows.append([TEI, *[NOT_MEASURED] * 4])
    floor = ["floor"]
    for part in parts:
        peak = result.floor_texts_a_second(part)
        floor += [f"{peak:,.0f}", f"{peak / result.texts_a_second(part, US).median:.2f}"]
    rows.append(floor)
    head = ("", "1 thread, texts/s", "times", "2 threads, texts/s", "times")
    machine = "; ".join(
        f"{result.gflops(part).shown(0)} GFLOP/s ({result.best_product(part)}) on {threads}"
        for part, threads in zip(parts, ("one thread", "two threads"), strict=True)
    )
    tokens = result.parts["throughput-1"]["tokens"]["512 texts"]
    return (
        "## Throughput\n\n"
        f"512 different texts of 5 to 50 words, {tokens:,} tokens, as one event of a query and 511 "
        "candidates. Every peer reads, embeds and scores the same texts through its own "
        "interface.\n\n"
        + _table(head, rows)
        + f"\n\n![Throughput]({result.name}/throughput.svg)\n\n"
        "The floor is the number of tokens without padding times 21.2 MFLOP, divided by the "
        "machine's fp32 peak, measured in the same rounds as the best of `torch.mm`, ONNX "
        "Runtime's `MatMul` and the product kernel of this project: "
        f"{machine}."
    )


def _memory(result: Result) -> str:
    rows: list[Sequence[str]] = []
    for peer in PEERS:
        many = result.memory_mb("large", "peak_mb", peer).median
        one = result.memory_mb("cold", "peak_mb", peer).median
        rows.append((peer, f"{one:,.0f}", f"{many:,.0f}", f"{many - one:,.0f}"))
    rows.append((TEI, *[NOT_MEASURED] * 3))
    head = ("peak memory, MB", "one event", "500 candidates", "more")
    return "## Memory\n\n" + _table(head, rows) + f"\n\n![Memory]({result.name}/memory.svg)"


def _scores(result: Result) -> str:
    rows = [(peer, f"{result.score_difference(peer):.1e}") for peer in PEERS]
    export = result.export
    return (
        "## Scores\n\n"
        f"Largest absolute difference of a score, or of an element of an embedding, from {TORCH}, "
        "over all events above; the run fails above 1e-3.\n\n"
        + _table(("", "difference"), rows)
        + "\n\nPeers that need an `.onnx` file use the export of the same weights by "
        'sentence-transformers (`SentenceTransformer(folder, backend="onnx")`, with optimum-onnx). '
        f"Over {export['texts']:.0f} texts, the largest difference of an element of its embeddings "
        f"from those of torch is {export['max_abs_difference']:.1e}."
    )


def _how(result: Result) -> str:
    onnx = result.parts["cold"]["versions"]["onnx sentence-transformers"]
    return (
        "## How the peers are run\n\n"
        "- All are Lambda functions under the same Runtime API, which measures the times. They "
        "include HTTP.\n"
        f"- **{US}**: `bootstrap` of the package. Its times include logging.\n"
        f"- **{HANDLER}**: a straightforward handler: dynamic padding, batches of 32 in input "
        "order, mean pooling in numpy. Like the other two in Python, it calls the Runtime API with "
        "`http.client` over one connection.\n"
        f"- **{FASTEMBED}**: `UserDefinedEmbeddingModel` from local files, its default batch of "
        "256, behind `lambda_runtime`.\n"
        f"- **{TORCH}**, **{ONNX}**: `SentenceTransformer.encode` and `similarity`, defaults. The "
        f"ONNX back end is {onnx}, the newest that installs: optimum-onnx needs transformers below "
        "4.58, sentence-transformers 6 needs 5.0.\n"
        f"- **{TEI}** was not available: its router is not published on crates.io, PyPI or npm.\n"
        "- Threads: `SEMBLANCE_THREADS`, `intra_op_num_threads`, `torch.set_num_threads`, and "
        "`OMP_NUM_THREADS`, `RAYON_NUM_THREADS` for all; no process is pinned to a CPU."
    )
