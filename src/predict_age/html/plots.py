"""The plots of the report as SVG text. Wide enough for a page, with type large enough for a phone."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREY, LIGHT, RED = "#2563a8", "#d9822b", "#5f6b7a", "#dfe5ec", "#b3403a"
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "predict-age",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.grid": True,
    "grid.color": LIGHT,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


WIDTH = 5.6  # inches
LEFT, RIGHT, BOTTOM, TOP = 0.7, 0.2, 0.52, 0.12  # of which beside the axes: to measure what is there would mean to draw twice
LETTER = 0.074  # of a name beside the axes


def _svg(figure: Figure, label: str) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1)
    text = text.replace("'DejaVu Sans'", "'DejaVu Sans', system-ui")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _axes(height: float = 2.9, names: Sequence[str] = ()) -> tuple[Figure, Axes]:
    """A plot ``height`` inches high, with room for ``names`` on its left."""
    left = max([LEFT, *(0.15 + LETTER * len(name) for name in names)])
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height))
        place = (left / WIDTH, BOTTOM / height, 1 - (left + RIGHT) / WIDTH, 1 - (BOTTOM + TOP) / height)
        return figure, figure.add_axes(place)


def _finish(figure: Figure, label: str) -> str:
    with mpl.rc_context(_STYLE):
        return _svg(figure, label)


def ages(known: Sequence[int], predicted: Sequence[int]) -> str:
    """Distribution of known against predicted ages; both are counts over whole years."""
    figure, axes = _axes()
    x = np.arange(len(known))
    for counts, colour, label in ((known, BLUE, "known"), (predicted, ORANGE, "predicted")):
        total = sum(counts) or 1
        axes.step(x, np.array(counts) / total * 100, where="mid", color=colour, label=label, linewidth=1.8)
        axes.fill_between(x, np.array(counts) / total * 100, step="mid", color=colour, alpha=0.15)
    shown = np.flatnonzero(np.array(known) + np.array(predicted))
    if len(shown):
        axes.set_xlim(shown[0] - 1, shown[-1] + 1)
    axes.set(xlabel="age, years", ylabel="% of people")
    axes.legend()
    return _finish(figure, "Ages known and predicted")


def bands(names: Sequence[str], error: Sequence[float], bias: Sequence[float]) -> str:
    """Mean absolute error and bias by band of true age."""
    figure, axes = _axes()
    x = np.arange(len(names))
    axes.bar(x - 0.2, error, 0.4, color=BLUE, label="mean absolute error")
    axes.bar(x + 0.2, bias, 0.4, color=ORANGE, label="bias (+ = made too old)")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xticks(x, names, fontsize=9)
    axes.set(ylabel="years", xlabel="true age")
    axes.legend(fontsize=9, loc="lower left")
    return _finish(figure, "Error and bias by age band")


def coverage(names: Sequence[str], share: Sequence[float], target: float) -> str:
    """Share of people inside their interval by band of true age."""
    figure, axes = _axes()
    x = np.arange(len(names))
    colours = [RED if s < target - 0.03 else BLUE for s in share]
    axes.bar(x, np.array(share) * 100, 0.6, color=colours)
    axes.axhline(target * 100, color=GREY, linestyle="--", linewidth=1.2)
    for i, s in enumerate(share):
        axes.text(i, max(s * 100 - 5, 2), f"{s:.0%}", ha="center", va="center", fontsize=9, color="white", fontweight="bold")
    axes.set_xticks(x, names, fontsize=9)
    axes.set(ylabel="% inside the interval", xlabel="true age", ylim=(0, 108))
    return _finish(figure, "Coverage by age band")


def true_against_predicted(true: Sequence[int], predicted: Sequence[int]) -> str:
    """A sample of held-out people: size of the mark = number of people."""
    figure, axes = _axes(4.2)
    pairs, counts = np.unique(np.column_stack([true, predicted]), axis=0, return_counts=True)
    if len(pairs):
        low, high = pairs.min() - 1, pairs.max() + 1
        axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle="--")
        axes.scatter(pairs[:, 0], pairs[:, 1], s=4 + 26 * counts / counts.max(), color=BLUE, alpha=0.45, linewidths=0)
        axes.set(xlim=(low, high), ylim=(low, high))
    axes.set(xlabel="true age", ylabel="predicted age")
    return _finish(figure, "Predicted against true age on held-out people")


def confidence(counts: Sequence[int], threshold: int) -> str:
    """Distribution of confidence_pct of predicted people, in steps of 5."""
    figure, axes = _axes()
    x = np.arange(len(counts)) * 5 + 2.5
    share = np.array(counts) / (sum(counts) or 1) * 100
    axes.bar(x, share, 4.4, color=[BLUE if low >= threshold else LIGHT for low in x - 2.5], edgecolor=BLUE, linewidth=0.6)
    axes.axvline(threshold, color=GREY, linestyle="--", linewidth=1.2)
    axes.set(xlabel="confidence, %", ylabel="% of predicted people", xlim=(0, 100))
    return _finish(figure, "Confidence of the predictions")


def error_by_confidence(starts: Sequence[int], error: Sequence[float], p90: Sequence[float]) -> str:
    """What a confidence means in years: mean error, and the error that 90 % stay below."""
    figure, axes = _axes()
    x = np.array(starts) + 5
    axes.plot(x, p90, color=ORANGE, marker="o", markersize=4, label="90 % err by at most")
    axes.plot(x, error, color=BLUE, marker="o", markersize=4, label="mean error")
    axes.set(xlabel="confidence, %", ylabel="years", xlim=(0, 100), ylim=(0, None))
    axes.legend(fontsize=9)
    return _finish(figure, "Error by confidence")


def horizontal(names: Sequence[str], values: Sequence[float], label: str, colour: str = BLUE) -> str:
    """Percentages as horizontal bars, largest on top."""
    figure, axes = _axes(0.7 + 0.26 * max(len(names), 1), names)
    y = np.arange(len(names))[::-1]
    axes.barh(y, np.array(values) * 100, 0.66, color=colour)
    axes.set_yticks(y, names, fontsize=9.5)
    axes.set(xlabel=label, ylim=(-0.7, len(names) - 0.3))
    axes.grid(visible=False, axis="y")
    return _finish(figure, label)


def biases(names: Sequence[str], bias: Sequence[float], interval: Sequence[Sequence[float]], everybody: float) -> str:
    """Bias of each group with its 95 % interval, as dots; the first group on top."""
    names = [n if len(n) <= 22 else n[:21] + "…" for n in names]
    figure, axes = _axes(0.9 + 0.3 * max(len(names), 1), names)
    y = np.arange(len(names))[::-1]
    ends = np.array(interval, float).T
    axes.hlines(y, ends[0], ends[1], color=BLUE, linewidth=2)
    axes.plot(bias, y, "o", color=BLUE, markersize=6)
    axes.axvline(everybody, color=GREY, linestyle="--", linewidth=1.2)
    axes.set_yticks(y, names, fontsize=9.5)
    axes.locator_params(axis="x", nbins=6)
    axes.set(xlabel="bias, years (+ = made too old)", ylim=(-0.7, len(names) - 0.3))
    axes.grid(visible=False, axis="y")
    return _finish(figure, "Bias by group")


def known_ages(counts: Sequence[int]) -> str:
    """Distribution of the ages that were learned from; counts over whole years."""
    figure, axes = _axes(2.2)
    share = np.array(counts) / (sum(counts) or 1) * 100
    axes.bar(np.arange(len(counts)), share, 1.0, color=BLUE, alpha=0.8)
    used = np.flatnonzero(share)
    if len(used):
        axes.set_xlim(used[0] - 1, used[-1] + 1)
    axes.set(xlabel="known age, years", ylabel="% of people")
    return _finish(figure, "Ages of the people learned from")
