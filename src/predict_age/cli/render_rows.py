"""Rows of a query as a table for people, cut to the width of a terminal."""

from __future__ import annotations

from itertools import islice
from typing import IO, TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table

from predict_age.cli.console import PlainConsole
from predict_age.terminal_text import one_line

if TYPE_CHECKING:
    import duckdb


WIDEST_CELL = 40
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
GAP = 3  # characters between two columns


def show_rows(relation: duckdb.DuckDBPyRelation, stream: IO[str], most: int = 1000) -> None:
    """Print the first ``most`` rows as a table. On a terminal, only columns that fit are shown, and long cells are cut."""
    from predict_age.query.tables import rows_of

    rows = list(islice(rows_of(relation), most + 1))
    columns = [[one_line(name), *(_text(row[i]) for row in rows[:most])] for i, name in enumerate(relation.columns)]
    console = PlainConsole(stream)
    shown = list(range(len(columns)))
    if stream.isatty():
        shown = _columns_that_fit([min(max(map(cell_len, cells)), WIDEST_CELL) for cells in columns], console.width)
    else:
        console.width = sum(max(map(cell_len, cells)) + GAP for cells in columns)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i in shown:
        table.add_column(columns[i][0] if i >= 0 else ELLIPSIS, no_wrap=True, max_width=WIDEST_CELL if stream.isatty() else None)
    for number in range(1, min(len(rows), most) + 1):
        table.add_row(*(columns[i][number] if i >= 0 else ELLIPSIS for i in shown))
    console.print(table)
    if -1 in shown:
        console.print(
            f"{len(shown) - 1} of {len(columns)} columns fit; name the columns you need, or use --format csv", soft_wrap=True
        )
    if len(rows) > most:
        console.print(f"first {most:,} rows; use --format csv for all", soft_wrap=True)


def _text(value: object) -> str:
    """Text of a cell: NULL is empty, truth values are true and false, and a float has at most ten digits; one line."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else one_line(str(value))


def _columns_that_fit(widths: list[int], width: int) -> list[int]:
    """Numbers of the columns to show in ``width`` characters, in order; -1 stands for the columns left out of the middle."""
    if sum(widths) + GAP * len(widths) <= width:
        return list(range(len(widths)))
    left: list[int] = []
    right: list[int] = []
    room = width - len(ELLIPSIS) - GAP
    for turn in range(len(widths)):
        number = turn // 2 if turn % 2 == 0 else len(widths) - 1 - turn // 2
        if widths[number] + GAP > room:
            break
        room -= widths[number] + GAP
        (left if turn % 2 == 0 else right).append(number)
    return [*(left or [0]), -1, *reversed(right)]
