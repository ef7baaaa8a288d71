"""Profile of a source for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from predict_age.cli.console import grid, stdout_console, styled
from predict_age.proposal.profile_page import missing_in_words
from predict_age.runtime.progress import size
from predict_age.tally import counted, percent

if TYPE_CHECKING:
    from predict_age.proposal.profile_contents import FieldProfile, ProfileContents

BLOCKS = " ▁▂▃▄▅▆▇█"
BAR_WIDTH = 20
SHOWN_VALUES = 3
BARS = 12  # that fit into a line
BARS_WITH_ENDS = 19  # characters
WIDE = 100  # characters of a line; fewer need narrower columns
SHORT = 14  # characters of a value


def show_profile(profile: ProfileContents) -> None:
    """Print a profile: what to know first, known ages, and a line for each field."""
    console = stdout_console()
    rows = "rows not counted" if profile.rows is None else ("" if profile.exact_rows else "about ") + counted(profile.rows, "row")
    files = f"{counted(profile.files, 'file')} ({', '.join(profile.formats)}), {size(profile.bytes)}"
    sample = f"a sample of {counted(profile.records, 'record')}, " if profile.is_sample else ""
    people = counted(profile.people, "person")
    heading = styled("\n", (profile.source, "bold"), f"  {rows} in {files}; {sample}{people} looked at\n")
    console.print(heading, soft_wrap=True)
    for sentence in profile.findings:
        console.print(f"  {sentence}")
    if profile.ages and any(profile.ages.years):
        _show_ages(profile.ages.years, profile.as_of)
    for title, nested in (("Columns", False), ("Inside the profiles", True)):
        if found := [f for f in profile.fields if f.nested is nested]:
            _show_fields(title, found)


def _show_ages(years: Sequence[float], as_of: str) -> None:
    """Known ages in bands of five years."""
    bands = {low: sum(years[low : low + 5]) for low in range(0, len(years), 5)}
    shown = [low for low, people in bands.items() if people]
    table = grid(f"Known ages at {as_of}", ["years", "people", ""])
    table.columns[2].justify = "left"
    top = max(bands.values())
    for low in range(shown[0], shown[-1] + 1, 5):
        band = f"{low} to {low + 4}"
        if len(shown) > 1:  # fewer than 20 people at either end are counted in the next band
            band = f"under {low + 5}" if low == shown[0] else f"{low} and over" if low == shown[-1] else band
        table.add_row(band, f"{bands[low]:,.0f}", _bar(bands[low] / top))
    stdout_console().print(table)


def _bar(share: float) -> str:
    """Bar of up to 20 cells, in eighths of a cell."""
    eighths = round(share * BAR_WIDTH * 8)
    return "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]


def _show_fields(title: str, fields: Sequence[FieldProfile]) -> None:
    table = grid(title, ["field", "kind", "missing", "distinct", "shape", "note"])
    for at, (justify, most) in enumerate((("left", 24), ("left", 13), ("right", 7), ("right", 8), ("left", 30), ("left", None))):
        column = table.columns[at]
        column.justify, column.max_width = justify, most  # type: ignore[assignment]
        column.overflow = "ellipsis" if at == 0 else "fold"
    table.columns[0].no_wrap = True
    table.collapse_padding = True
    console = stdout_console()
    table.columns[4].min_width = BARS_WITH_ENDS
    if console.width < WIDE:
        table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
        for column, most in zip(table.columns, (12, 13, 7, 8, BARS_WITH_ENDS, max(9, console.width - 70)), strict=True):
            column.max_width = most
    for field in fields:
        note = field.role or field.note or ", ".join(field.proposed)
        colour = "red" if field.protected else "yellow" if field.identity else "cyan" if field.role else ""
        table.add_row(
            field.name,
            field.kind,
            missing_in_words(field),
            f"{field.distinct:,}",
            _shape(field),
            styled((note, colour)),
        )
    console.print(table)


def _shape(field: FieldProfile) -> str:
    """Small bars between two ends, or the commonest values with their shares."""
    shape = field.shape
    if shape.bins:
        top = max(_narrower(shape.bins)) or 1
        bars = "".join(BLOCKS[max(1, round(h / top * 8)) if h else 0] for h in _narrower(shape.bins))
        return f"{shape.low} {bars} {shape.high}"
    texts = [v.value if len(v.value) <= SHORT else v.value[: SHORT - 1] + "…" for v in shape.values[:SHOWN_VALUES]]
    return ", ".join(f"{text} {percent(v.people / field.people, 0)}" for text, v in zip(texts, shape.values, strict=False))


def _narrower(bins: Sequence[float]) -> list[float]:
    """Bins two by two, where there are many."""
    return [sum(bins[at : at + 2]) for at in range(0, len(bins), 2)] if len(bins) > BARS else list(bins)
