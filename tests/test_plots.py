"""The plots of the report: what is drawn is what was counted, every text is readable, nothing leaves the picture."""

from __future__ import annotations

import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predict_age.html import plots, svg
from predict_age.html.axes import Scale, in_two_lines, nice_ticks

BANDS = ["under 25", "25–34", "35–44", "45–54", "55–64", "65 and over"]
KNOWN = [0] * 18 + [5, 30, 80, 120, 90, 60, 20, 4] + [0] * 75
PREDICTED = [0] * 19 + [9, 60, 160, 190, 100, 30] + [0] * 76
PICTURES = {
    "ages": plots.ages(KNOWN, PREDICTED),
    "bands": plots.bands(BANDS, [2.1, 2.4, 3.0, 3.4, 3.9, 7.2], [1.6, 0.6, -0.7, -1.3, -2.9, -7.0]),
    "coverage": plots.coverage(BANDS, [0.89, 0.93, 0.91, 0.89, 0.88, 0.69], [False] * 5 + [True], 0.9),
    "true": plots.true_against_predicted(
        [([0, 24], [0, 29], 40), ([25, 64], [0, 29], 25), ([25, 64], [30, 120], 90), ([65, 120], [0, 120], 30)]
    ),
    "confidence": plots.confidence([1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 120, 160, 200, 170, 90, 40, 9, 4, 0, 0], 60),
    "error": plots.error_by_confidence([0, 10, 20, 30], [6.8, 5.0, 4.0, 2.0], [15.0, 11.0, 8.0, 4.0]),
    "importance": plots.horizontal(
        ["title_seniority", "a_name_that_is_longer_than_the_room"], [0.231, 0.07], "share of the gain, %"
    ),
    "biases": plots.biases(["Germany", "France"], [-0.4, 0.3], [[-0.6, -0.2], [-0.1, 0.7]], -0.1),
    "known": plots.known_ages(KNOWN),
}
EMPTY = {
    "ages": plots.ages([0] * 101, [0] * 101),
    "bands": plots.bands([], [], []),
    "coverage": plots.coverage([], [], [], 0.9),
    "true": plots.true_against_predicted([]),
    "confidence": plots.confidence([0] * 20, 60),
    "error": plots.error_by_confidence([], [], []),
    "importance": plots.horizontal([], [], "share of the gain, %"),
    "biases": plots.biases([], [], [], math.nan),
    "known": plots.known_ages([0] * 101),
}


def read(picture: str) -> ElementTree.Element:
    """The picture as a tree, which only well-formed XML gives."""
    return ElementTree.fromstring(picture)


def numbers(element: ElementTree.Element, *names: str) -> list[float]:
    """Attributes of an element as numbers."""
    return [float(element.attrib[name]) for name in names]


def extent(text: ElementTree.Element) -> tuple[float, float]:
    """The left and right ends of a line of text, by the mean width of a letter."""
    width = len(text.text or "") * svg.LETTER * float(text.get("font-size", svg.FONT)) / svg.FONT
    x = float(text.attrib["x"])
    return {"start": (x, x + width), "middle": (x - width / 2, x + width / 2), "end": (x - width, x)}[
        text.get("text-anchor", "start")
    ]


def bars(picture: str, colour: str) -> list[tuple[float, float, float, float]]:
    """x, y, width and height of the bars of one colour; squares of the legend are no bars."""
    found = [e for e in read(picture).iter("rect") if e.get("fill") == colour and e.get("rx") is None]
    return [tuple(numbers(e, "x", "y", "width", "height")) for e in found]  # type: ignore[misc]


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_labelled_and_stays_inside_its_frame(name: str) -> None:
    """role and label for a screen reader; every mark and every text inside the view box; type of 10 units and more."""
    tree = read(PICTURES[name])
    assert tree.get("role") == "img"
    assert tree.get("aria-label")
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    texts = list(tree.iter("text"))
    assert len(texts) >= 4
    for text in texts:
        left, right = extent(text)
        assert left >= 0, text.text
        assert right <= width + 1, text.text
        assert 10 <= float(text.attrib["y"]) <= height - 3, text.text
        assert float(text.get("font-size", svg.FONT)) >= 10, text.text
    for rect in tree.iter("rect"):
        x, y, w, h = numbers(rect, "x", "y", "width", "height")
        assert x >= 0
        assert y >= 0
        assert w >= 0
        assert h >= 0
        assert x + w <= width
        assert y + h <= height
    for path in tree.iter("path"):
        points = [tuple(map(float, p.split())) for p in re.findall(r"[-\d.]+ [-\d.]+", path.attrib["d"])]
        assert points
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


@pytest.mark.parametrize("name", PICTURES)
def test_texts_of_a_line_do_not_touch(name: str) -> None:
    """No text overlaps another one on the same line."""
    lines: dict[float, list[tuple[float, float]]] = {}
    for text in read(PICTURES[name]).iter("text"):
        lines.setdefault(float(text.attrib["y"]), []).append(extent(text))
    for found in lines.values():
        ordered = sorted(found)
        assert all(a[1] <= b[0] + 2 for a, b in itertools.pairwise(ordered)), ordered


@pytest.mark.parametrize("name", EMPTY)
def test_nobody_to_show_is_still_a_picture(name: str) -> None:
    """No data: axes and label, no mark, no NaN."""
    tree = read(EMPTY[name])
    assert tree.get("aria-label") == read(PICTURES[name]).get("aria-label")
    assert "nan" not in EMPTY[name]
    assert not list(tree.iter("circle"))
    assert all(float(e.attrib["height"]) == 0 for e in tree.iter("rect") if e.get("rx") is None)


def test_bars_are_as_long_as_their_values() -> None:
    """Lengths are proportional to the values, upwards and downwards; bars stand on the same zero."""
    error = bars(PICTURES["bands"], svg.BLUE)
    bias = bars(PICTURES["bands"], svg.ORANGE)
    zero = error[0][1] + error[0][3]
    unit = error[0][3] / 2.1
    assert [round(h / unit, 1) for _, _, _, h in error] == [2.1, 2.4, 3.0, 3.4, 3.9, 7.2]
    assert all(y + h == pytest.approx(zero, abs=0.02) for _, y, _, h in error)
    signed = [round((zero - y if y < zero - 0.02 else -h) / unit, 1) for _, y, _, h in bias]
    assert signed == [1.6, 0.6, -0.7, -1.3, -2.9, -7.0]
    widths = [w for _, _, w, _ in bars(PICTURES["importance"], svg.BLUE)]
    assert widths[0] / widths[1] == pytest.approx(0.231 / 0.07, rel=1e-3)


def test_short_coverage_is_red_and_written_on_its_bar() -> None:
    """Red from more than three points short; the numbers are whole per cent."""
    assert len(bars(PICTURES["coverage"], svg.RED)) == 1
    assert len(bars(PICTURES["coverage"], svg.BLUE)) == 5
    texts = [t.text for t in read(PICTURES["coverage"]).iter("text") if t.get("font-weight")]
    assert texts == ["89", "93", "91", "89", "88", "69"]
    unknown = plots.coverage(["under 25"], [math.nan], [False], 0.9)
    assert not bars(unknown, svg.BLUE) + bars(unknown, svg.RED)
    assert "–" in [t.text for t in read(unknown).iter("text")]
    short = plots.coverage(["under 25"], [0.02], [True], 0.9)
    [(_, top, _, _)] = bars(short, svg.RED)
    [text] = [t for t in read(short).iter("text") if t.text == "2"]
    assert float(text.attrib["y"]) < top
    assert text.get("fill") is None


def test_confidence_marks_the_usable_share() -> None:
    """Bars from prediction.usable_from_pct on are blue, those below are light; each is as high as its count."""
    light, blue = bars(PICTURES["confidence"], svg.LINE_COLOUR), bars(PICTURES["confidence"], svg.BLUE)
    assert (len(light), len(blue)) == (12, 8)
    assert blue[0][3] / light[0][3] == pytest.approx(200, rel=0.02)


@pytest.mark.parametrize("usable_from", [0, 40, 47, 100])
def test_confidence_is_dark_from_where_predictions_are_usable(usable_from: int) -> None:
    """The line stands at the percentage, no dark bar begins before it and no light one ends behind it; a bar around it has both."""
    drawn = plots.confidence([10] * 20, usable_from)
    [line] = [e for e in read(drawn).iter("line") if e.get("stroke-dasharray")]
    x = float(line.attrib["x1"])
    light, dark = bars(drawn, svg.LINE_COLOUR), bars(drawn, svg.BLUE)
    assert all(bar[0] >= x - 0.01 for bar in dark)
    assert all(bar[0] + bar[2] <= x + 0.01 for bar in light)
    assert len(light) + len(dark) == (21 if usable_from == 47 else 20)
    assert len(dark) == {0: 20, 40: 12, 47: 11, 100: 0}[usable_from]


def test_cells_stand_where_the_people_are() -> None:
    """One rectangle a cell, the darker the more people for each year of its sides; equal ages lie on the diagonal."""
    cells = [e for e in read(PICTURES["true"]).iter("rect") if e.get("fill") == svg.BLUE]
    assert len(cells) == 4
    (x0, _, w0, _), (x25, y25, w25, _), _, _ = (numbers(e, "x", "y", "width", "height") for e in cells)
    assert x0 + w0 == pytest.approx(x25, abs=0.02)
    assert w25 / w0 == pytest.approx(40 / 10, abs=0.02)
    dark = [numbers(e, "fill-opacity")[0] for e in cells]
    assert dark[0] > dark[1] > dark[3]
    assert "true age 25 to 64, predicted 15 to 29: 25 people" in PICTURES["true"]
    diagonal = re.findall(r"[-\d.]+", next(read(PICTURES["true"]).iter("path")).attrib["d"])
    x1, y1, x2, y2 = map(float, diagonal)
    year = w0 / 10
    assert y1 + (y2 - y1) * (x25 + 5 * year - x1) / (x2 - x1) == pytest.approx(y25, abs=0.05)


def test_bias_dots_lie_within_their_intervals() -> None:
    """Each dot at its bias, each line from end to end of the interval: all on one scale."""
    tree = read(PICTURES["biases"])
    dots = [numbers(e, "cx")[0] for e in tree.iter("circle")]
    ends = [[float(p.split()[0]) for p in re.findall(r"[-\d.]+ [-\d.]+", e.attrib["d"])] for e in tree.iter("path")]
    unit = (dots[1] - dots[0]) / 0.7
    assert [b - a for a, b in ends] == pytest.approx([0.4 * unit, 0.8 * unit], abs=0.05)
    assert [d - a for d, (a, _) in zip(dots, ends, strict=True)] == pytest.approx([0.2 * unit, 0.4 * unit], abs=0.05)


def test_histogram_outline_shows_the_percentages() -> None:
    """The outline's highest corner is the largest share, on the scale that the ticks give."""
    tree = read(PICTURES["ages"])
    lines = [e for e in tree.iter("path") if e.get("fill") == "none"]
    assert [e.get("stroke") for e in lines] == [svg.BLUE, svg.ORANGE]
    left = {t.text: float(t.attrib["y"]) - 5 for t in tree.iter("text") if t.get("text-anchor") == "end"}
    unit = (left["0"] - left["20"]) / 20
    for line, counts in zip(lines, (KNOWN, PREDICTED), strict=True):
        tops = [float(p.split()[1]) for p in re.findall(r"[-\d.]+ [-\d.]+", line.attrib["d"])]
        assert (left["0"] - min(tops)) / unit == pytest.approx(max(counts) / sum(counts) * 100, abs=0.1)


def test_names_are_escaped() -> None:
    """A group's name is data: it can end no element and open none."""
    evil = "<script>\"&'"
    picture = plots.biases([evil], [0.0], [[-1.0, 1.0]], 0.0)
    assert "<script" not in picture
    assert evil in [t.text for t in read(picture).iter("text")]
    assert read(plots.horizontal(["a"], [0.1], 'x" onload="y')).get("onload") is None


def test_the_same_numbers_give_the_same_bytes() -> None:
    """Another process with another hash seed draws the same picture."""
    code = "import sys, test_plots; sys.stdout.buffer.write(''.join(test_plots.PICTURES.values()).encode())"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode() == "".join(PICTURES.values())


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), most=st.integers(2, 10))
def test_ticks_are_round_and_cover_the_range(low: float, span: float, most: int) -> None:
    """Steps of 1, 2 or 5 times a power of ten, no more of them than asked for, the range inside, distinct texts."""
    high = low + span
    ticks = nice_ticks(low, high, most)
    step = ticks.values[1] - ticks.values[0]
    assert float(f"{step:.1e}"[0]) in {1.0, 2.0, 5.0}
    assert ticks.values[0] <= low + step * 1e-6
    assert ticks.values[-1] >= high - step * 1e-6
    assert len(ticks.values) <= most + 2
    assert len(set(ticks.texts)) == len(ticks.texts)
    inside = nice_ticks(low, high, most, inside=True)
    assert all(low - step * 1e-6 <= v <= high + step * 1e-6 for v in inside.values)


def test_ticks_by_example() -> None:
    """Texts have as many decimals as the step, a real minus sign, and no minus zero."""
    assert nice_ticks(0, 0.7).texts == ("0.0", "0.2", "0.4", "0.6", "0.8")
    assert nice_ticks(-7, 7.2, 6).texts == ("\N{MINUS SIGN}10", "\N{MINUS SIGN}5", "0", "5", "10")
    assert nice_ticks(-0.3, 0.3).texts[1:3] == ("\N{MINUS SIGN}0.2", "0.0")
    assert nice_ticks(5, 5).range == (5, 6)
    assert Scale(0, 10, 100, 0)(2.5) == 75
    assert in_two_lines("65 and over") == ["65 and", "over"]
    assert in_two_lines("whole") == ["whole"]
