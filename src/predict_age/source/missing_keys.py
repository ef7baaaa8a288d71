"""Keys of JSON files that no record has: with a misspelt name in the configuration nobody would have a profile or an age."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.column_names import did_you_mean, letters_of, no_age
from predict_age.source.discovery import SourceFile
from predict_age.source.rejected_rows import too_few_known
from predict_age.source.text_stream import utf8_blocks

TRIED_OBJECTS = 5  # of a file's beginning
LONGEST_BEGINNING = 1 << 20


def keys_of_first_record(file: SourceFile) -> list[str]:
    """Keys of the first record of a JSON file of any layout; empty where none is found in its beginning."""
    text = next(utf8_blocks(file), b"")[:LONGEST_BEGINNING].decode("utf-8", "replace")
    at = -1
    for _ in range(TRIED_OBJECTS):
        at = text.find("{", at + 1)
        if at < 0:
            return []
        try:
            found: Any = json.JSONDecoder().raw_decode(text, at)[0]
        except (ValueError, RecursionError):
            continue
        inner = [v for v in found.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        return list(inner[0][0]) if inner and len(found) == 1 else list(found)
    return []


def check_profile_key(file: SourceFile, source: SourceConfig) -> None:
    """Raise InputError unless the first record of a JSON file, none of whose records has a profile, at least has the key."""
    keys = keys_of_first_record(file) if file.format == "jsonl" and source.profile_json != "*" else [source.profile_json]
    if source.profile_json not in keys:
        raise InputError(
            f"no profile in {file.path}: no record has the key",
            expected=f'the key "{source.profile_json}"' + did_you_mean(source.profile_json, keys),
            found="a first record with the keys " + ", ".join(keys) if keys else "no value in any record",
            fix='name your key under [source], or set profile_json = "*" to use all other keys as the profile',
        )


def check_keys(file: SourceFile, metadata: pq.FileMetaData, groups: range, source: SourceConfig) -> None:
    """Raise InputError when no record of a JSON file has the profile key, or when an age key is written in another way.

    ``groups`` are the row groups made from it in the working file that has the ``metadata``.
    """
    if file.format != "jsonl":
        return
    if not groups:
        return
    names = ("birth_year", "approximate_age", "birth_date", "profile_json")
    empty = {name for name in names if _is_empty(metadata, groups, name)}
    if not empty:
        return
    if "profile_json" in empty:
        check_profile_key(file, source)
    keys = keys_of_first_record(file)
    for column in empty - {"profile_json"}:
        name = getattr(source, column)
        if any(letters_of(key) == letters_of(name) and key not in source.light_columns for key in keys):
            raise no_age(source, file.path, "a first record with the keys " + ", ".join(keys), keys)


def _is_empty(metadata: pq.FileMetaData, groups: range, name: str) -> bool:
    """Whether a column of some row groups of a working file holds nothing but NULL."""
    at = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).name == name)
    chunks = [metadata.row_group(g).column(at).statistics for g in groups]
    return all(s is not None and s.null_count is not None and s.num_values == 0 for s in chunks)


def no_known_age(files: tuple[SourceFile, ...], where: str, source: SourceConfig, least: int) -> InputError:
    """The error of a source whose rows have no value in any age column, when a model is to be trained on ``least`` people."""
    keys = next((keys for file in files if file.format == "jsonl" and (keys := keys_of_first_record(file))), [])
    if not keys or any(name in keys for name in source.age_columns):
        return too_few_known(least, "no value in any age column")
    return no_age(source, where, "a first record with the keys " + ", ".join(keys), keys)
