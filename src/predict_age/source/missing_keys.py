"""Keys of JSON files that no record has: with a misspelt name in the configuration nobody would have a profile or an age."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.letters import letters_of
from predict_age.source.column_names import did_you_mean, no_age, with_folders
from predict_age.source.file_kind import exclusion_of
from predict_age.source.rejected_rows import too_few_known
from predict_age.source.source_file import SourceFile
from predict_age.source.text_stream import utf8_blocks
from predict_age.tally import fewest_sharing

TRIED_OBJECTS = 5  # that are none, of a file's beginning
USUAL_FILES = 20  # whose keys others are compared with
FIRST_RECORDS = 40  # whose keys are compared
LONGEST_BEGINNING = 1 << 20
PROFILE_COLUMN = "profile_json"  # column of a working file, as those of ages
AGE_KEYS = frozenset({"birth_year", "approximate_age", "birth_date"})


def keys_of_first_records(file: SourceFile) -> list[str]:
    """Keys that most of the first records of a JSON file of any layout have; empty where no record is found in its beginning.

    A key of a single person may be their id, or another value.
    """
    text = next(utf8_blocks(file), b"")[:LONGEST_BEGINNING].decode("utf-8", "replace")
    counts: Counter[str] = Counter()
    records, at, failed = 0, 0, 0
    while records < FIRST_RECORDS and failed < TRIED_OBJECTS and (at := text.find("{", at)) >= 0:
        try:
            found, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            failed, at = failed + 1, at + 1
            continue
        inner = [v for v in found.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        objects: list[Any] = inner[0][:FIRST_RECORDS] if inner and len(found) == 1 else [found]
        counts.update(key for one in objects if isinstance(one, dict) for key in one)
        records, at = records + len(objects), end
    return [key for key, number in counts.items() if number >= fewest_sharing(records)]


@dataclass(frozen=True)
class EmptyKeys:
    """A JSON file that has records, and the ``columns`` (birth_year ..., profile_json) in which none of them has a value.

    ``records`` is their number; 0: only some of them were seen.
    """

    file: SourceFile
    columns: frozenset[str]
    records: int


def empty_keys(file: SourceFile, metadata: pq.FileMetaData, groups: range) -> EmptyKeys:
    """Columns without a value among the row ``groups`` made from a file in the working file that has the ``metadata``."""
    empty = frozenset(name for name in (*AGE_KEYS, PROFILE_COLUMN) if _is_empty(metadata, groups, name))
    return EmptyKeys(file, empty, sum(metadata.row_group(g).num_rows for g in groups))


def columns_without_value(rows: pa.Table, profiles: pa.ChunkedArray) -> frozenset[str]:
    """Columns in which none of the ``rows`` of a JSON file has a value."""
    columns = {name: rows[name] for name in AGE_KEYS if name in rows.column_names} | {PROFILE_COLUMN: profiles}
    return frozenset(name for name, values in columns.items() if values.null_count == len(values))


def suspects(file: SourceFile, source: SourceConfig) -> frozenset[str]:
    """Columns that a JSON file may have under another key, by the keys of its first records."""
    keys = with_folders(keys_of_first_records(file), file.partition)
    own = [key for key in keys if key not in source.light_columns]
    ages = {column for column in AGE_KEYS if (name := getattr(source, column)) not in keys and did_you_mean(name, own)}
    ages |= {column for column in AGE_KEYS if any(letters_of(key) == letters_of(getattr(source, column)) for key in own)}
    return frozenset(ages | ({PROFILE_COLUMN} if source.profile_json not in ("*", *keys) else set()))


def id_hint(path: str, files: Sequence[SourceFile], source: SourceConfig) -> str:
    """A hint at the key that records of the JSON file at ``path`` may have their ids under; without a path, of any file."""
    for file in files:
        if file.format != "jsonl" or path not in ("", file.path):
            continue
        keys = keys_of_first_records(file)
        own = [key for key in keys if key not in source.light_columns]
        slips = [key for key in own if letters_of(key) == letters_of(source.pid)] if source.pid in keys else own
        if hint := did_you_mean(source.pid, slips):
            return hint
    return ""


def check_keys(files: Sequence[EmptyKeys], where: str, source: SourceConfig) -> None:
    """Raise InputError when JSON files of a source have no profile key, or write that or an age key in another way.

    ``files`` are all that have records. Many writers leave keys without a value out: a file of few people (at most
    ``max_set_aside_floor``) without a profile, and a file of any size without an age, is no fault.
    """
    if source.profile_json != "*":
        _check_profile_key(files, where, source)
    usual = _usual_keys([empty for empty in files if not empty.columns >= AGE_KEYS])
    for empty in files:
        if not (columns := empty.columns - {PROFILE_COLUMN}):
            continue
        keys = with_folders(keys_of_first_records(empty.file), empty.file.partition)
        own = [key for key in keys if key not in source.light_columns]
        names = [getattr(source, column) for column in sorted(columns)]
        slip = any(letters_of(key) == letters_of(name) for name in names for key in own)
        if usual and empty.columns >= AGE_KEYS and not any(name in keys for name in source.age_columns):
            slip = slip or any(did_you_mean(name, [key for key in own if key not in usual]) for name in names)
        if slip:
            raise no_age(source, empty.file.path, _first_record(keys), keys)


def _check_profile_key(files: Sequence[EmptyKeys], where: str, source: SourceConfig) -> None:
    """``check_keys`` of the profile, whose key a file may have without a value."""
    name = source.profile_json
    empty = {file: keys_of_first_records(file.file) for file in files if PROFILE_COLUMN in file.columns}
    without = {file: keys for file, keys in empty.items() if name not in keys}
    if without and len(without) == len(files):
        keys = next(filter(None, without.values()), [])
        raise _no_profile(files[0].file.path if len(files) == 1 else where, keys, source, is_file=len(files) == 1)
    usual = _usual_keys([file for file in files if file not in without]) if without else set()
    for file, keys in without.items():
        if keys and (file.records > source.max_set_aside_floor or did_you_mean(name, [key for key in keys if key not in usual])):
            raise _no_profile(file.file.path, keys, source, is_file=True)


def _usual_keys(files: Sequence[EmptyKeys]) -> set[str]:
    """Keys of the first of ``files``; empty where there is none."""
    return {key for file in files[:USUAL_FILES] for key in keys_of_first_records(file.file)}


def _no_profile(where: str, keys: list[str], source: SourceConfig, *, is_file: bool) -> InputError:
    return InputError(
        f"no profile in {where}: no record has the key",
        expected=f'the key "{source.profile_json}"' + did_you_mean(source.profile_json, keys),
        found=_first_record(keys) if keys else "no value in any record",
        fix='name your key under [source], or set profile_json = "*" to use all other keys as the profile'
        + (f"; {exclusion_of(where, source.exclude)}" if is_file and source.pid not in keys else ""),
    )


def _first_record(keys: list[str]) -> str:
    return "records with the keys " + ", ".join(keys)


def _is_empty(metadata: pq.FileMetaData, groups: range, name: str) -> bool:
    """Whether a column of some row groups of a working file holds nothing but NULL."""
    at = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).name == name)
    chunks = [metadata.row_group(g).column(at).statistics for g in groups]
    return all(s is not None and s.null_count is not None and s.num_values == 0 for s in chunks)


def no_known_age(files: tuple[SourceFile, ...], where: str, source: SourceConfig, least: int) -> InputError:
    """The error of a source whose rows have no value in any age column, when a model is to be trained on ``least`` people."""
    found = [keys for file in files if file.format == "jsonl" and (keys := keys_of_first_records(file))]
    if not found or any(name in keys for keys in found for name in source.age_columns):
        return too_few_known(least, "no value in any age column")
    return no_age(source, where, _first_record(found[0]), found[0])
