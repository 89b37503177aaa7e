"""The plots of the report, as SVG."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.peer import FASTEMBED, HANDLER, ONNX, TORCH, US
from harness.result import Result, Spread

ORDER = (US, HANDLER, FASTEMBED, ONNX, TORCH)
# Okabe and Ito, "Color universal design" (2008): distinguishable with any kind of color vision.
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
        "cold": ((9.0, 3.0), _cold),
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
    """All peers, and separately those that start within a second."""
    spreads = {peer: result.ms("cold", "seed", peer) for peer in ORDER}
    quick = {peer: found for peer, found in spreads.items() if found.median < 1000}
    left, right = figure.subplots(1, 2)
    _cold_bars(left, spreads)
    _cold_bars(right, quick)
    left.set_title("all")
    right.set_title("under one second")
    figure.supxlabel("process start to first answer, ms", fontsize=10)


def _cold_bars(axes: Axes, spreads: dict[str, Spread]) -> None:
    axes.barh(
        range(len(spreads)),
        [found.median for found in spreads.values()],
        xerr=_errors(spreads),
        color=[COLOURS[peer] for peer in spreads],
        capsize=3,
    )
    most = max(found.most for found in spreads.values())
    for row, found in enumerate(spreads.values()):
        axes.text(found.most + most * 0.02, row, f"{found.median:,.0f}", va="center")
    axes.set_xlim(right=most * 1.25)
    axes.set_yticks(range(len(spreads)), list(spreads))
    axes.invert_yaxis()
    _open(axes)


def _warm(figure: Figure, result: Result) -> None:
    axes = figure.subplots()
    sizes = {2: "seed", 10: "10 candidates", 50: "50 candidates", 500: "500 candidates"}
    parts = {what: "large" if count == 500 else "warm" for count, what in sizes.items()}
    floor_ms = {what: result.floor_ms(part, what) for what, part in parts.items()}
    for peer in ORDER:
        times = [
            result.ms(parts[what], what, peer).median / floor_ms[what] for what in sizes.values()
        ]
        axes.plot(
            list(sizes), times, color=COLOURS[peer], marker=MARKERS[peer], label=peer, linewidth=1.6
        )
    axes.axhline(1, color="black", linestyle="--", label="floor (sgemm peak)")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    ticks = [f"{count}\n({floor_ms[what]:,.0f} ms)" for count, what in sizes.items()]
    axes.set_xticks(list(sizes), ticks)
    axes.minorticks_off()
    axes.set_xlabel("candidates of the event (and the floor's time for it)")
    axes.set_ylabel("time of the event, in floors")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
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
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
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
    """Distances from the medians to the ends of the ranges."""
    found = spreads.values()
    return [
        [each.median - each.least for each in found],
        [each.most - each.median for each in found],
    ]


def _open(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
