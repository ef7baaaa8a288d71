"""Rows of several splits by the row rules, many at a time: planning the statement takes longer than judging 10,000 rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from predict_age.config import SourceConfig
from predict_age.source.row_group_reader import LIGHT_ROWS, Slice, Split, read_split
from predict_age.source.row_rules import RowRules, connect


def classify_rows(
    splits: list[Split], source: SourceConfig, rules: RowRules, only: tuple[str, ...] = ("*",)
) -> Iterator[tuple[Split, Slice, pa.Table]]:
    """The rows of ``splits`` in order, without profiles, each slice with what :meth:`RowRules.canonical` says (``only`` that)."""
    connection = connect()
    waiting: list[tuple[Split, Slice]] = []
    rows = 0

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
            if waiting and (rows + piece.raw.num_rows > LIGHT_ROWS or piece.raw.schema != waiting[0][1].raw.schema):
                yield from judged()  # files may have ids of different types
                rows = 0
            waiting.append((split, piece))
            rows += piece.raw.num_rows
    yield from judged()
