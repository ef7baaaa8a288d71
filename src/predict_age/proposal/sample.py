"""Sample of a source whose columns are not configured yet: whole records, as JSON has them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from predict_age.config import SourceConfig
from predict_age.source.discovery import SourceFile, list_source
from predict_age.source.whole_records import sample_records
from predict_age.tally import fewest_sharing

ROWS_SAMPLED = 20_000

Record = dict[str, object]


@dataclass(frozen=True)
class SourceSample:
    """Records of a source. ``columns``: keys at the top of 20 records or more, in order; ``texts_only``: all values are text."""

    files: tuple[SourceFile, ...]
    records: list[Record]
    columns: list[str]
    texts_only: bool


def sample_source(source: str, most: int = ROWS_SAMPLED) -> SourceSample:
    """Read up to ``most`` records spread over the files. Raises InputError for a source that cannot be read."""
    files = list_source(source, SourceConfig()).files
    values = (json_object(text) for piece in sample_records(files, most) for text in piece.texts.to_pylist())
    records = [value for value in values if value is not None]
    return SourceSample(files, records, shared_keys(records), all(file.format == "csv" for file in files))


def shared_keys(records: Sequence[Record]) -> list[str]:
    """Keys at the top of at least 20 of the ``records``, in their order."""
    counts = Counter(name for record in records for name in record)
    return [name for name, number in counts.items() if number >= fewest_sharing(len(records))]


def json_object(value: object) -> Record | None:
    """The JSON object that ``value`` is or, as text, holds; None where it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None
