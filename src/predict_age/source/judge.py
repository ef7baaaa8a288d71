"""Rows of several splits by the row rules, many at a time: planning the statement takes longer than judging 10,000 rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from predict_age.config import Source
from predict_age.source.rows import RowRules, connect
from predict_age.source.splits import LIGHT_ROWS, Slice, Split, read_split

Piece = tuple[Split, Slice]


def judge(
    splits: list[Split], source: Source, rules: RowRules, only: tuple[str, ...] = ("*",)
) -> Iterator[tuple[Split, Slice, pa.Table]]:
    """The rows of ``splits`` in order, without profiles, each slice with what :meth:`RowRules.canonical` says (``only`` that)."""
    connection = connect()
    waiting: list[Piece] = []

    def judged() -> Iterator[tuple[Split, Slice, pa.Table]]:
        if not waiting:
            return
        table = rules.canonical(connection, pa.concat_tables([piece.raw for _, piece in waiting]), only)
        first = 0
        for split, piece in waiting:
            yield split, piece, table.slice(first, piece.raw.num_rows)
            first += piece.raw.num_rows
        waiting.clear()

    for split in splits:
        for piece in read_split(split, source, with_profile=False):
            if waiting and not _together(waiting, piece):
                yield from judged()
            waiting.append((split, piece))
    yield from judged()


def _together(waiting: list[Piece], piece: Slice) -> bool:
    """Whether ``piece`` is judged together with those: files may have ids of different types."""
    rows = sum(w.raw.num_rows for _, w in waiting) + piece.raw.num_rows
    return rows <= LIGHT_ROWS and piece.raw.schema == waiting[0][1].raw.schema
