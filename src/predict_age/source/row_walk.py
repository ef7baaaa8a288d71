"""The rows of a source, whole or a sample: ids, ages and profiles of every format with the same names, file by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.config import SourceConfig
from predict_age.source.column_names import check_columns, with_folders
from predict_age.source.column_types import check_types
from predict_age.source.parquet_file import open_parquet
from predict_age.source.row_group_reader import LIGHT, Split, read_split, source_splits
from predict_age.source.source_file import SourceFile
from predict_age.source.spread import in_turn, spread_sample
from predict_age.source.text_readers import read_text


@dataclass(frozen=True)
class RowPiece:
    """Some consecutive records of one file. ``rows`` (n) have the columns ``LIGHT``, and ``profile`` where it was asked for.

    ``file`` is the number of the file in the source, ``first`` that of the first row in the file. ``records`` are those that the
    file has here, with the ``broken`` ones, which are no rows. ``profiles`` reads the profiles (n,) VARCHAR of the rows.
    """

    file: int
    first: int
    rows: pa.Table
    records: int
    broken: Counter[str]
    profiles: Callable[[], pa.ChunkedArray]

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def place(self) -> tuple[int, int]:
        """Number of the file, and of the first row there."""
        return self.file, self.first

    def part(self, first: int, records: int) -> RowPiece:
        """At most ``records`` of its rows from ``first`` on; broken records belong to the first part."""
        if first == 0 and records >= len(self):
            return self
        mine = self.rows.slice(first, records)
        broken = Counter[str]() if first else self.broken
        profiles = lambda: self.profiles().slice(first, records)  # noqa: E731
        return RowPiece(self.file, self.first + first, mine, mine.num_rows + broken.total(), broken, profiles)


@dataclass(frozen=True)
class RowWalk:
    """Walk over the rows of ``files`` with the columns that ``source`` names.

    ``with_profile`` reads profiles along with ids and ages, ``with_ids=False`` leaves ids and ages of Parquet unread. Flat profiles
    are made of the ``profile_columns`` alone, where these are given. ``ages_needed``: a CSV file must have an age column.
    """

    files: Sequence[SourceFile]
    source: SourceConfig
    with_profile: bool = False
    with_ids: bool = True
    ages_needed: bool = False
    profile_columns: Collection[str] | None = None

    def all(self) -> Iterator[RowPiece]:
        """Every row, in order. Raises InputError for a file that cannot be read."""
        for number in range(len(self.files)):
            yield from self.of_file(number)

    def of_file(self, number: int) -> Iterator[RowPiece]:
        """The rows of one file, in order."""
        if self.files[number].format != "parquet":
            yield from self._of_text(number)
            return
        for split in source_splits(self.files[number], number):
            yield from self._of_split(split)

    def sample(self, most: int) -> list[RowPiece]:
        """Up to ``most`` rows spread over the files and their row groups, in the order of the source.

        Large files give the rows at their beginning, and at the beginning of some row groups; small ones all they have, as many of
        them as it takes.
        """
        return spread_sample([partial(self._spread_over, number) for number in range(len(self.files))], most)

    def _spread_over(self, number: int, most: int) -> Iterator[RowPiece]:
        """The rows of a file, beginning with ``most`` that are spread over its row groups."""
        if self.files[number].format != "parquet":
            return self._of_text(number)
        return in_turn([partial(self._of_split, split) for split in source_splits(self.files[number], number)], most)

    def _of_text(self, number: int) -> Iterator[RowPiece]:
        file, first = self.files[number], 0
        for chunk in read_text(file, self.source, ages_needed=self.ages_needed, profile_columns=self.profile_columns):
            names = ["profile" if name == "profile_json" else name for name in chunk.rows.column_names]
            rows = chunk.rows.rename_columns(names)
            broken = Counter(reason for _, reason in chunk.broken)
            kept = rows.select([*LIGHT, "profile"] if self.with_profile else LIGHT)
            yield RowPiece(number, first, kept, chunk.records, broken, partial(rows.column, "profile"))
            first += rows.num_rows

    def _of_split(self, split: Split, most_rows: int | None = None) -> Iterator[RowPiece]:
        """Rows of some row groups, at most ``most_rows`` together."""
        pieces = read_split(
            split,
            self.source,
            with_profile=self.with_profile,
            with_ids=self.with_ids,
            most_rows=most_rows,
            whole=most_rows is None,
            profile_columns=self.profile_columns,
        )
        for piece in pieces:
            rows = piece.raw
            profiles = (
                partial(rows.column, "profile") if self.with_profile else partial(self._profiles, split, piece.first, rows.num_rows)
            )
            yield RowPiece(split.file, split.first_row + piece.first, rows, rows.num_rows, Counter(), profiles)

    def _profiles(self, split: Split, first: int, rows: int) -> pa.ChunkedArray:
        """Profiles of some rows of a split whose ids and ages were read."""
        walk, chunks, last = replace(self, with_profile=True, with_ids=False), list[pa.Array](), first + rows
        for piece in walk._of_split(split, last if last < split.rows else None):
            chunks += piece.rows["profile"].chunks
            if piece.first - split.first_row + len(piece) >= last:
                break
        return pa.chunked_array(chunks, pa.string()).slice(first, rows)


def checked_footer(file: SourceFile, source: SourceConfig, *, ages_needed: bool) -> pq.FileMetaData:
    """Footer of a Parquet file. Raises InputError unless it has the configured columns, of types that can be read."""
    parquet = open_parquet(file.path)
    check_columns(with_folders(parquet.schema_arrow.names, file.partition), source, file.path, ages_needed=ages_needed)
    check_types(parquet.schema_arrow, source, file.path)
    return parquet.metadata
