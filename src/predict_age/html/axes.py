"""Scales, ticks and the plot area with its axes and marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from predict_age.html import svg

WIDTH = 460.0
RIGHT = 14.0
BOTTOM = 48.0  # tick texts and the axis title
HEADER = 28.0  # a line of text above the plot area: the legend, the title of the vertical axis
MINUS = "\N{MINUS SIGN}"

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Linear map from values ``low`` to ``high`` onto positions ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True)
class Ticks:
    """Equally spaced round values, their texts, and the range from the first to the last."""

    values: tuple[float, ...]
    texts: tuple[str, ...]

    @property
    def range(self) -> Point:
        return self.values[0], self.values[-1]


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that divides ``span`` into at most ``most`` steps."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power * most >= span * (1 - 1e-9))


def nice_ticks(low: float, high: float, most: int = 5, *, inside: bool = False) -> Ticks:
    """Round values around ``low`` to ``high``, or, with ``inside``, only those between them."""
    if not high > low:
        high = low + 1.0
    step = nice_step(high - low, most)
    slack = 1e-9
    if inside:
        first, last = math.ceil(low / step - slack), math.floor(high / step + slack)
    else:
        first, last = math.floor(low / step + slack), math.ceil(high / step - slack)
    decimals = max(0, -math.floor(math.log10(step)))
    values = tuple(i * step for i in range(first, last + 1))
    return Ticks(values, tuple(f"{value:.{decimals}f}".replace("-", MINUS) for value in values))


def finite(values: Iterable[float]) -> list[float]:
    """The numbers among ``values``: neither NaN nor infinite."""
    return [v for v in values if math.isfinite(v)]


def in_two_lines(name: str) -> list[str]:
    """``name`` cut at the space that leaves the shorter longest line; whole if it has none."""
    words = name.split()
    cuts = [[" ".join(words[:i]), " ".join(words[i:])] for i in range(1, len(words))]
    return min(cuts, key=lambda lines: max(map(len, lines)), default=[name])


class Plot:
    """A plot area between axes; the marks stand in the order in which they are added, above the grid."""

    def __init__(
        self,
        x: Point,
        y: Point,
        *,
        height: float = 270,
        left: float = 46,
        right: float = RIGHT,
        header: int = 1,
        bottom: float = BOTTOM,
    ) -> None:
        self.height = height
        self.x = Scale(*x, left, WIDTH - right)
        self.y = Scale(*y, height - bottom, 6 + HEADER * header)
        self._grid: list[str] = []
        self._marks: list[str] = []
        self._texts: list[str] = []

    # axes

    def x_axis(self, ticks: Ticks, name: str) -> None:
        """Grid lines, tick texts and a title below the plot area."""
        for value, text in zip(ticks.values, ticks.texts, strict=True):
            self._grid_line(self.x(value), self.x(value), self.y.start, self.y.end)
            self._texts.append(svg.svg_text(text, self.x(value), self.y.start + 18, text_anchor="middle"))
        self.x_title(name)

    def x_names(self, names: Sequence[str], name: str) -> None:
        """A name below each of the places 0, 1, 2, ...: on two lines, then in smaller type, where they would touch."""
        room = (self.x.end - self.x.start) / max(len(names), 1)
        lines = [in_two_lines(text) if len(text) * svg.LETTER > room else [text] for text in names]
        longest = max((len(line) for text in lines for line in text), default=1)
        size = min(svg.FONT, svg.FONT * room / (longest * svg.LETTER))
        for i, text in enumerate(lines):
            for row, line in enumerate(text):
                y = self.y.start + 18 + 15 * row
                self._texts.append(svg.svg_text(line, self.x(i), y, text_anchor="middle", font_size=size))
        self.x_title(name)

    def x_title(self, name: str) -> None:
        """The title of the horizontal axis."""
        self._texts.append(svg.svg_text(name, (self.x.start + self.x.end) / 2, self.height - 8, text_anchor="middle"))

    def y_axis(self, ticks: Ticks, name: str) -> None:
        """Grid lines, tick texts on the left, and a title above them."""
        for value, text in zip(ticks.values, ticks.texts, strict=True):
            self._grid_line(self.x.start, self.x.end, self.y(value), self.y(value))
            self._texts.append(svg.svg_text(text, self.x.start - 7, self.y(value) + 5, text_anchor="end"))
        self._texts.append(svg.svg_text(name, 2, self.y.end - 16))

    def y_names(self, names: Sequence[str]) -> None:
        """A name on the left of each of the places 0, -1, -2, ...: the first on top."""
        for i, text in enumerate(names):
            self._texts.append(svg.svg_text(text, self.x.start - 7, self.y(-i) + 5, text_anchor="end"))

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """A line of (colour, name) at the top."""
        x = 2.0
        for colour, name in entries:
            self._texts.append(svg.element("rect", x=x, y=5, width=12, height=12, rx=2, fill=colour))
            self._texts.append(svg.svg_text(name, x + 18, 16))
            x += 18 + len(name) * svg.LETTER + 18

    def _grid_line(self, x1: float, x2: float, y1: float, y2: float) -> None:
        self._grid.append(svg.element("line", x1=x1, x2=x2, y1=y1, y2=y2))

    # marks

    def bar(self, x: Point, y: Point, colour: str, hint: str = "", **style: str | float) -> None:
        """A filled rectangle over two ranges; nothing where an end is no number."""
        if len(finite((*x, *y))) < 4:
            return
        (x1, x2), (y1, y2) = sorted(map(self.x, x)), sorted(map(self.y, y))
        self._marks.append(svg.element("rect", svg.title(hint), x=x1, y=y1, width=x2 - x1, height=y2 - y1, fill=colour, **style))

    def line(self, points: Sequence[Point], colour: str, **style: str | float) -> None:
        """A line through the points that are numbers."""
        self._marks.append(
            svg.element(
                "path",
                d=svg.path(self._places(points)),
                fill="none",
                stroke=colour,
                stroke_width=2,
                stroke_linejoin="round",
                **style,
            )
        )

    def area(self, points: Sequence[Point], colour: str) -> None:
        """A tinted area with ``points`` as its outline."""
        self._marks.append(svg.element("path", d=svg.path(self._places(points), closed=True), fill=colour, fill_opacity=0.15))

    def dot(self, point: Point, radius: float, colour: str, hint: str = "", **style: str | float) -> None:
        """A filled circle; nothing where a coordinate is no number."""
        for x, y in self._places([point]):
            self._marks.append(svg.element("circle", svg.title(hint), cx=x, cy=y, r=radius, fill=colour, **style))

    def rule(self, *, x: float | None = None, y: float | None = None, dashed: bool = True) -> None:
        """A grey line across the plot area at ``x`` or at ``y``."""
        x1, x2 = (self.x.start, self.x.end) if x is None else (self.x(x),) * 2
        y1, y2 = (self.y.start, self.y.end) if y is None else (self.y(y),) * 2
        self._marks.append(
            svg.element("line", x1=x1, x2=x2, y1=y1, y2=y2, stroke=svg.GREY, **({"stroke_dasharray": "5 4"} if dashed else {}))
        )

    def note(self, text: str, point: Point, dx: float = 0.0, dy: float = 5.0, **style: str | float) -> None:
        """Text at a point of the plot area, moved by ``dx`` and ``dy`` units."""
        self._marks.append(svg.svg_text(text, self.x(point[0]) + dx, self.y(point[1]) + dy, **style))

    def _places(self, points: Sequence[Point]) -> list[Point]:
        return [(self.x(x), self.y(y)) for x, y in points if len(finite((x, y))) == 2]

    def picture(self, label: str) -> str:
        """The finished SVG text; ``label`` is what a screen reader says."""
        grid = [svg.element("g", "".join(self._grid), stroke=svg.LINE_COLOUR)] if self._grid else []
        return svg.picture([*grid, *self._marks, *self._texts], WIDTH, self.height, label)
