"""Files of a source whose columns are not those of the others: a readme or an export that lies in the folder by mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from predict_age.errors import ConfigError, PredictAgeError
from predict_age.source.csv_reader import header_of
from predict_age.source.filesystem import in_s3
from predict_age.source.missing_keys import keys_of_first_records
from predict_age.source.parquet_file import open_parquet
from predict_age.source.source_file import SourceFile

MOST_FILES = 500  # whose columns are compared
MOST_STRAY = 3  # named


def stray_files(files: Sequence[SourceFile], needed: Collection[str]) -> list[str]:
    """Sentences about files without one of the ``needed`` columns, or, where none is known, without most of the usual ones.

    Only where most files have them: otherwise the columns are wrong, not the files.
    """
    if not 2 <= len(files) <= MOST_FILES or any(in_s3(file.path) for file in files):
        return []
    columns = {file.path: set(names) for file, names in _columns(files)}
    usual = {name for name, number in Counter(n for names in columns.values() for n in names).items() if 2 * number > len(columns)}
    wanted = set(needed) & usual if needed else usual
    lacking = {path: sorted(wanted - names) for path, names in columns.items()}
    stray = [path for path, missing in lacking.items() if missing and (needed or 2 * len(missing) > len(wanted))]
    named = [f"{Path(path).name} has no column {' and no column '.join(lacking[path][:MOST_STRAY])}" for path in stray[:MOST_STRAY]]
    more = [f"and {len(stray) - MOST_STRAY:,} files more"] if len(stray) > MOST_STRAY else []
    return [f"{'; '.join(named + more)}: most other files of the source have; does it belong here?"] if stray else []


def with_stray_files(error: ConfigError, files: Sequence[SourceFile]) -> ConfigError:
    """The ``error`` of columns that were not found, which names files that do not belong to the source."""
    found = "; ".join([error.found, *stray_files(files, ())])
    return ConfigError(error.message, expected=error.expected, found=found, fix=error.fix)


def _columns(files: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, Sequence[str]]]:
    """Names of the columns, or keys of the first records, of each file that has any."""
    for file in files:
        try:
            if file.format == "parquet":
                names: Sequence[str] = open_parquet(file.path).schema_arrow.names
            else:
                names = header_of(file) if file.format == "csv" else keys_of_first_records(file)
        except PredictAgeError:
            continue  # reading the file says so
        if names:
            yield file, [*names, *(name for name, _ in file.partition)]
