"""Sample of a source whose columns are not configured yet: whole records, as JSON has them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.csv_header import FirstLine
from predict_age.source.csv_reader import classified_header
from predict_age.source.discovery import list_source
from predict_age.source.json_members import outer_members, python_integer, simple_value
from predict_age.source.json_nesting import is_table_by_id
from predict_age.source.source_file import SourceFile
from predict_age.source.value_form import form_of
from predict_age.source.whole_records import sample_records
from predict_age.tally import MIN_SHOWN_PEOPLE, fewest_sharing

ROWS_SAMPLED = 20_000

Record = dict[str, object]


@dataclass(frozen=True)
class SourceSample:
    """Records of a source. ``columns``: keys at the top of 20 records or more, in order; ``texts_only``: all values are text.

    ``doubtful``: names of columns from first lines of CSV files of which nothing says that they are no records. ``read``: records
    that were read, those that are no objects included; ``whole``: there are no others.
    """

    files: tuple[SourceFile, ...]
    records: list[Record] = field(repr=False)
    columns: list[str]
    texts_only: bool
    doubtful: frozenset[str] = frozenset()
    read: int = 0
    whole: bool = False

    def without_doubtful_names(self) -> SourceSample:
        """Copy of the sample in which forms stand for the ``doubtful`` names: they may be values of a person."""
        if not self.doubtful:
            return self
        names, shown = dict.fromkeys(name for record in self.records for name in record), dict[str, str]()
        used = Counter(name for name in names if name not in self.doubtful)
        for name in names:
            form = form_of(name) if name in self.doubtful else name
            used[form] += name in self.doubtful
            shown[name] = form if used[form] <= 1 else f"{form} ({used[form]})"
        records = [{shown[name]: value for name, value in record.items()} for record in self.records]
        return replace(self, records=records, columns=[shown[name] for name in self.columns])


def sample_source(source: str, most: int = ROWS_SAMPLED) -> SourceSample:
    """Read up to ``most`` records spread over the files. Raises InputError for a source that cannot be read."""
    files = list_source(source, SourceConfig()).files
    pieces = sample_records(files, most)
    values = (json_object(text) for piece in pieces for text in piece.texts.to_pylist())
    records = [value for value in values if value is not None]
    if len(records) < MIN_SHOWN_PEOPLE and any(is_table_by_id(record, alone=len(records) == 1) for record in records):
        raise InputError(
            f"a record of {source} holds several people",
            expected="one JSON object for each person",
            found="an object whose members have one form, by their ids",
            fix="write the file again as JSON lines (one person a line), or as one array of objects",
        )
    doubtful = _doubtful_names([files[number] for number in dict.fromkeys(piece.place[0] for piece in pieces)])
    read = sum(map(len, pieces))
    texts_only = all(file.format == "csv" for file in files)
    return SourceSample(files, records, shared_keys(records), texts_only, doubtful, read, read < most)


def _doubtful_names(files: Sequence[SourceFile]) -> frozenset[str]:
    """Names in the first lines of ``files`` that may be records; those that several files have, or a line of names, are none."""
    counts, sure, doubtful = Counter[str](), set[str](), set[str]()
    for file in files:
        if file.format == "csv":
            names, first_line = classified_header(file)
            counts.update(set(names))
            (doubtful if first_line is FirstLine.DOUBTFUL else sure).update(names)
    return frozenset(name for name in doubtful - sure if name and counts[name] == 1)


def shared_keys(records: Sequence[Record]) -> list[str]:
    """Keys at the top of at least 20 of the ``records``, in their order."""
    counts = Counter(name for record in records for name in record)
    return [name for name, number in counts.items() if number >= fewest_sharing(len(records))]


def json_object(value: object) -> Record | None:
    """The JSON object that ``value`` is or, as text, holds; None where it is none.

    Numbers of more digits than Python converts are text, and so are the inner values of an object that is too deep for Python.
    """
    if isinstance(value, str):
        try:
            made = json.loads(value, parse_int=python_integer)
        except RecursionError:
            return {name: simple_value(inner, float) for name, inner in outer_members(value)} or None
        except ValueError:
            return None
        return made if isinstance(made, dict) else None
    return value if isinstance(value, dict) else None
