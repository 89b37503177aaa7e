"""The plots of the report, as SVG."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.peer import FASTEMBED, HANDLER, ONNX, TORCH, US
from harness.result import Result, Spread

ORDER = (US, HANDLER, FASTEMBED, ONNX, TORCH)
# Okabe and Ito, "Color universal design" (2008): told apart with any kind of colour vision.
COLOURS = {
    US: "#D55E00",
    HANDLER: "#0072B2",
    FASTEMBED: "#009E73",
    ONNX: "#E69F00",
    TORCH: "#56B4E9",
}
MARKERS = {US: "o", HANDLER: "s", FASTEMBED: "^", ONNX: "D", TORCH: "v"}


def draw(result: Result, folder: Path) -> list[Path]:
    """Draws all plots and returns their files."""
    mpl.rcParams.update({"svg.hashsalt": "semblance", "font.size": 10, "svg.fonttype": "path"})
    folder.mkdir(parents=True, exist_ok=True)
    plots: dict[str, tuple[tuple[float, float], Callable[[Figure, Result], None]]] = {
        "cold": ((7.5, 3.0), _cold),
        "warm": ((7.5, 4.5), _warm),
        "throughput": ((7.5, 3.6), _throughput),
        "memory": ((7.5, 3.8), _memory),
    }
    files = []
    for name, (size, plot) in plots.items():
        figure = Figure(figsize=size, layout="constrained")
        plot(figure, result)
        file = folder / f"{name}.svg"
        figure.savefig(file, metadata={"Date": None})
        files.append(file)
    return files


def _cold(figure: Figure, result: Result) -> None:
    axes = figure.subplots()
    spreads = {peer: result.ms("cold", "seed", peer) for peer in ORDER}
    axes.barh(
        range(len(ORDER)),
        [spreads[peer].median for peer in ORDER],
        xerr=_errors(spreads),
        color=[COLOURS[peer] for peer in ORDER],
        capsize=3,
    )
    for row, peer in enumerate(ORDER):
        label = f"  {spreads[peer].median:,.0f} ms"
        axes.text(spreads[peer].most * 1.05, row, label, va="center")
    axes.set_xscale("log")
    axes.set_xlim(right=max(found.most for found in spreads.values()) * 3)
    axes.set_yticks(range(len(ORDER)), ORDER)
    axes.invert_yaxis()
    axes.set_xlabel("process start to first answer, ms (logarithmic)")
    _open(axes)


def _warm(figure: Figure, result: Result) -> None:
    axes = figure.subplots()
    sizes = {2: "seed", 10: "10 candidates", 50: "50 candidates", 500: "500 candidates"}
    parts = {what: "large" if count == 500 else "warm" for count, what in sizes.items()}
    for peer in ORDER:
        times = [result.ms(parts[what], what, peer).median for what in sizes.values()]
        axes.plot(
            list(sizes), times, color=COLOURS[peer], marker=MARKERS[peer], label=peer, linewidth=1.6
        )
    floor = [result.floor_ms(parts[what], what) for what in sizes.values()]
    axes.plot(list(sizes), floor, color="black", linestyle="--", label="floor (sgemm peak)")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(list(sizes), [str(count) for count in sizes])
    axes.minorticks_off()
    axes.set_xlabel("candidates of the event")
    axes.set_ylabel("time of the event, ms (logarithmic)")
    axes.legend(frameon=False)
    _open(axes)


def _throughput(figure: Figure, result: Result) -> None:
    axes = figure.subplots()
    width = 0.8 / len(ORDER)
    parts = ("throughput-1", "throughput-2")
    for index, peer in enumerate(ORDER):
        spreads = {part: result.texts_a_second(part, peer) for part in parts}
        places = [group + (index - 2) * width for group in range(2)]
        axes.bar(
            places,
            [found.median for found in spreads.values()],
            width * 0.92,
            yerr=_errors(spreads),
            color=COLOURS[peer],
            capsize=2,
            label=peer,
        )
    for group, part in enumerate(parts):
        floor = result.floor_texts_a_second(part)
        label = "floor (sgemm peak)" if group == 0 else None
        axes.hlines(floor, group - 0.45, group + 0.45, "black", "--", label=label)
    axes.set_xticks(range(2), ["1 thread", "2 threads"])
    axes.set_ylabel("texts a second")
    axes.legend(frameon=False)
    _open(axes)


def _memory(figure: Figure, result: Result) -> None:
    axes = figure.subplots()
    series = (
        ("anonymous, after the first event", "cold", "anonymous_mb", "#0072B2"),
        ("peak, after the first event", "cold", "peak_mb", "#E69F00"),
        ("peak, after 500 candidates", "large", "peak_mb", "#D55E00"),
    )
    for index, (label, part, kind, colour) in enumerate(series):
        values = [result.memory_mb(part, kind, peer).median for peer in ORDER]
        places = [row + (index - 1) * 0.27 for row in range(len(ORDER))]
        axes.barh(places, values, 0.25, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            axes.text(value, place, f" {value:,.0f}", va="center", fontsize=8)
    axes.set_yticks(range(len(ORDER)), ORDER)
    axes.invert_yaxis()
    axes.set_xlabel("resident memory, MB")
    axes.legend(frameon=False, loc="upper right")
    _open(axes)


def _errors(spreads: dict[str, Spread]) -> list[list[float]]:
    """Distances of the range's ends from the medians."""
    found = spreads.values()
    return [
        [each.median - each.least for each in found],
        [each.most - each.median for each in found],
    ]


def _open(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
