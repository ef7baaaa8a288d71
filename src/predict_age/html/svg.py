"""SVG text: elements, escaping, numbers, and the colours that the page's style sheet may replace (dark mode)."""

from __future__ import annotations

from html import escape

# The name is the style sheet's variable; the value serves a picture that is cut out of its page.
BLUE = "var(--blue, #2563a8)"
ORANGE = "var(--orange, #c2701c)"
RED = "var(--red, #b3403a)"
GREY = "var(--soft, #5f6b7a)"
LINE_COLOUR = "var(--line, #dfe5ec)"
PAPER = "var(--paper, #ffffff)"

FONT = 14.0  # units; a picture is WIDTH units wide and as wide as its card on the page
LETTER = 0.56 * FONT  # mean advance of a letter in the usual sans-serif faces


def number(value: float) -> str:
    """A coordinate with at most two decimals; equal values give equal text on every machine."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, content: str = "", /, **attributes: str | float) -> str:
    """An element around ``content``, which is SVG already. ``stroke_width=2`` becomes ``stroke-width="2"``."""
    written = "".join(
        f' {key.replace("_", "-")}="{escape(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def svg_text(content: str, x: float, y: float, **attributes: str | float) -> str:
    """A line of text; ``content`` is escaped."""
    return element("text", escape(content), x=x, y=y, **attributes)


def title(content: str) -> str:
    """The hint that a browser shows over the element around it; none for an empty ``content``."""
    return element("title", escape(content)) if content else ""


def path(points: list[tuple[float, float]], *, closed: bool = False) -> str:
    """Path data through ``points``."""
    steps = [f"{number(x)} {number(y)}" for x, y in points]
    return f"M{'L'.join(steps)}{'Z' if closed else ''}" if steps else ""


def picture(content: list[str], width: float, height: float, label: str) -> str:
    """The whole ``<svg>``; ``label`` is what a screen reader says."""
    return element(
        "svg",
        "\n".join(content),
        role="img",
        aria_label=label,
        viewBox=f"0 0 {number(width)} {number(height)}",
        font_family="system-ui, 'DejaVu Sans', sans-serif",
        font_size=FONT,
        fill=GREY,
    )
