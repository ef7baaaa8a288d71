"""The plots of the report and of the model card as SVG text."""

from __future__ import annotations

from collections.abc import Sequence

from predict_age.html.axes import WIDTH, Plot, Point, finite, nice_ticks
from predict_age.html.svg import BLUE, GREY, LETTER, LINE_COLOUR, ORANGE, PAPER, RED
from predict_age.tally import DASH, percent

LONGEST_NAME = 24  # letters
TWO_LINES = 64.0  # below a plot area: names on two lines and the title of the axis
YOUNGEST_DRAWN, OLDEST_DRAWN = 15, 84  # ends of open ranges of ages
TOO_OLD = "bias (+ = predicted too old)"


def _percentages(counts: Sequence[float]) -> list[float]:
    total = sum(counts) or 1
    return [count / total * 100 for count in counts]


def _occupied(counts: Sequence[float]) -> Point:
    """The range of the bins that are not empty, with one more on each side; everything if all are."""
    shown = [i for i, count in enumerate(counts) if count]
    return (shown[0] - 1, shown[-1] + 1) if shown else (0, max(len(counts), 1))


def _outline(heights: Sequence[float], shown: Point) -> list[Point]:
    """Corners of a histogram whose bins are one wide and centred at whole numbers."""
    low, high = int(shown[0]), int(shown[1])
    inside = [(i, heights[i] if 0 <= i < len(heights) else 0.0) for i in range(low, high + 1)]
    corners = [(min(max(i + side, low), high), height) for i, height in inside for side in (-0.5, 0.5)]
    return [(float(x), y) for x, y in corners]


def _named(names: Sequence[str]) -> tuple[list[str], float]:
    """Names short enough to stand on the left of a plot area, and the width that they need."""
    short = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in names]
    return short, 14 + LETTER * max((len(name) for name in short), default=1)


def ages(known: Sequence[float], predicted: Sequence[float]) -> str:
    """Distribution of known against predicted ages; both are counts over whole years."""
    both = [a + b for a, b in zip(known, predicted, strict=True)]
    shown = _occupied(both)
    heights = [_percentages(known), _percentages(predicted)]
    y = nice_ticks(0, max(map(max, heights), default=0))
    plot = Plot(shown, y.range, header=2)
    plot.y_axis(y, "% of people")
    plot.x_axis(nice_ticks(*shown, 8, inside=True), "age, years")
    for values, colour in zip(heights, (BLUE, ORANGE), strict=True):
        outline = _outline(values, shown)
        plot.area([(shown[0], 0), *outline, (shown[1], 0)], colour)
        plot.line(outline, colour)
    plot.legend([(BLUE, "known"), (ORANGE, "predicted")])
    return plot.picture("Ages known and predicted")


def bands(names: Sequence[str], error: Sequence[float], bias: Sequence[float]) -> str:
    """Mean absolute error and bias by band of true age."""
    y = nice_ticks(min([0, *finite(bias)]), max([0, *finite(error), *finite(bias)]), 6)
    plot = Plot((-0.5, max(len(names), 1) - 0.5), y.range, height=290, header=2, bottom=TWO_LINES)
    plot.y_axis(y, "years")
    plot.x_names(names, "true age")
    for i, name in enumerate(names):
        plot.bar((i - 0.38, i), (0, error[i]), BLUE, f"{name}: mean absolute error {error[i]:.2f} years")
        plot.bar((i, i + 0.38), (0, bias[i]), ORANGE, f"{name}: bias {bias[i]:+.2f} years")
    plot.rule(y=0, dashed=False)
    plot.legend([(BLUE, "mean absolute error"), (ORANGE, TOO_OLD)])
    return plot.picture("Error and bias by age band")


def coverage(names: Sequence[str], share: Sequence[float], short: Sequence[bool], target: float) -> str:
    """Share of people inside their interval by band of true age; the bars of ``short`` bands are red."""
    y = nice_ticks(0, 100)
    plot = Plot((-0.5, max(len(names), 1) - 0.5), (0, 104), bottom=TWO_LINES)
    plot.y_axis(y, "% inside the interval")
    plot.x_names(names, "true age")
    for i, (name, inside, red) in enumerate(zip(names, share, short, strict=True)):
        plot.bar((i - 0.36, i + 0.36), (0, inside * 100), RED if red else BLUE, f"{name}: {percent(inside)}")
        if inside >= 0.14:
            plot.note(f"{inside * 100:.0f}", (i, 7), text_anchor="middle", fill=PAPER, font_weight="bold")
        else:  # no room inside the bar, or no bar
            known = bool(finite([inside]))
            plot.note(f"{inside * 100:.0f}" if known else DASH, (i, inside * 100 if known else 0), dy=-6, text_anchor="middle")
    plot.rule(y=target * 100)
    return plot.picture("Coverage by age band")


def true_against_predicted(cells: Sequence[tuple[Sequence[int], Sequence[int], int]]) -> str:
    """Held-out people by true and predicted age: the darker a cell, the more people for each year of its sides.

    ``cells``: range of the true age, range of the predicted age, people.
    """
    inner = [(_inside(true), _inside(predicted), people) for true, predicted, people in cells]
    every = [age for true, predicted, _ in inner for age in (*true, *predicted)]
    shown = (min(every) - 1, max(every) + 2) if every else (0, 100)
    ticks = nice_ticks(*shown, 8, inside=True)
    plot = Plot(shown, shown, height=420)
    plot.y_axis(ticks, "predicted age")
    plot.x_axis(ticks, "true age")
    density = [people / ((t[1] - t[0] + 1) * (p[1] - p[0] + 1)) for t, p, people in inner]
    most = max(density, default=1)
    for (true, predicted, people), dark in zip(inner, density, strict=True):
        hint = f"true age {true[0]} to {true[1]}, predicted {predicted[0]} to {predicted[1]}: {people:,} people"
        opacity = 0.06 + 0.84 * (dark / most) ** 0.5
        plot.bar((true[0], true[1] + 1), (predicted[0], predicted[1] + 1), BLUE, hint, fill_opacity=opacity)
    plot.line([(shown[0],) * 2, (shown[1],) * 2], GREY, stroke_dasharray="5 4")
    return plot.picture("Predicted against true age on held-out people")


def _inside(ages: Sequence[int]) -> tuple[int, int]:
    """An open range of ages (0 to 24, 65 to 120) as it is drawn."""
    low, high = ages
    return max(low, min(YOUNGEST_DRAWN, high)), min(high, max(OLDEST_DRAWN, low))


def confidence(counts: Sequence[int], usable_from: float) -> str:
    """Distribution of confidence_pct of predicted people, in steps of 5; dark from the percentage ``usable_from`` on."""
    heights = _percentages(counts)
    y = nice_ticks(0, max(heights, default=0))
    plot = Plot((0, 100), y.range)
    plot.y_axis(y, "% of predicted people")
    plot.x_axis(nice_ticks(0, 100), "confidence, %")
    for i, height in enumerate(heights):
        low = i * 5
        start, end = low + 0.3, low + 4.7
        dark_from = min(max(usable_from, start), end) if low < usable_from else start
        hint = f"confidence {low} to {low + 5} %: {height:.1f} % of the predicted people"
        for part, colour in (((start, dark_from), LINE_COLOUR), ((dark_from, end), BLUE)):
            if part[0] < part[1]:
                plot.bar(part, (0, height), colour, hint, stroke=BLUE, stroke_width=0.8)
    plot.rule(x=usable_from)
    return plot.picture("Confidence of the predictions")


def error_by_confidence(starts: Sequence[int], error: Sequence[float], p90: Sequence[float]) -> str:
    """Years of error by confidence: the mean, and the error that 90 % stay below."""
    y = nice_ticks(0, max([0, *finite(error), *finite(p90)]))
    plot = Plot((0, 100), y.range, header=2)
    plot.y_axis(y, "years")
    plot.x_axis(nice_ticks(0, 100), "confidence, %")
    for values, colour, name in ((p90, ORANGE, "90 % err by at most"), (error, BLUE, "mean error")):
        points = [(start + 5.0, value) for start, value in zip(starts, values, strict=True)]
        plot.line(points, colour)
        for (x, value), start in zip(points, starts, strict=True):
            plot.dot((x, value), 3.5, colour, f"confidence {start} to {start + 10} %: {name} {value:.2f} years")
    plot.legend([(BLUE, "mean error"), (ORANGE, "90 % err by at most")])
    return plot.picture("Error by confidence")


def horizontal(names: Sequence[str], values: Sequence[float], label: str, colour: str = BLUE) -> str:
    """Percentages as horizontal bars with their numbers, the first on top."""
    short, left = _named(names)
    rows = max(len(names), 1)
    largest = max([0, *finite(values)]) * 100 or 1
    plot = Plot((0, largest), (0.6 - rows, 0.6), height=42 + 25 * rows, left=left, right=52, header=0, bottom=32)
    plot.y_names(short)
    plot.x_title(label)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        plot.bar((0, value * 100), (-i - 0.34, -i + 0.34), colour, f"{name}: {percent(value, 2)}")
        if finite([value]):
            plot.note(f"{value * 100:.1f}", (value * 100, -i), dx=6)
    plot.rule(x=0, dashed=False)
    return plot.picture(label)


def biases(names: Sequence[str], bias: Sequence[float], interval: Sequence[Sequence[float]], everybody: float) -> str:
    """Bias of each group with its 95 % interval, as dots; the first group on top."""
    short, left = _named(names)
    rows = max(len(names), 1)
    every = finite([everybody, *bias, *(end for ends in interval for end in ends)]) or [0.0]
    x = nice_ticks(min(every), max(every), max(2, int((WIDTH - left) / 55)))
    plot = Plot(x.range, (0.6 - rows, 0.6), height=66 + 27 * rows, left=left, right=24, header=0)
    plot.x_axis(x, "bias, years (+ = predicted too old)")
    plot.y_names(short)
    if finite([everybody]):
        plot.rule(x=everybody)
    for i, (name, value, ends) in enumerate(zip(names, bias, interval, strict=True)):
        plot.line([(ends[0], -i), (ends[1], -i)], BLUE)
        plot.dot((value, -i), 5, BLUE, f"{name}: {value:+.2f} years, 95 % interval {ends[0]:+.2f} to {ends[1]:+.2f}")
    return plot.picture("Bias by group")


def known_ages(counts: Sequence[float]) -> str:
    """Distribution of the ages that were learned from; counts over whole years."""
    shown = _occupied(counts)
    heights = _percentages(counts)
    y = nice_ticks(0, max(heights, default=0), 4)
    plot = Plot(shown, y.range, height=220)
    plot.y_axis(y, "% of people")
    plot.x_axis(nice_ticks(*shown, 8, inside=True), "known age, years")
    for age, height in enumerate(heights):
        if height:
            plot.bar((age - 0.45, age + 0.45), (0, height), BLUE, f"{age} years: {height:.2f} %")
    return plot.picture("Ages of the people learned from")
