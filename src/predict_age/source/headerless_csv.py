"""CSV files whose first line is a record: names of columns, delimiter and quoting come from the catalogue."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source import file_kind, text_encoding
from predict_age.source.csv_dialect import detect_dialect
from predict_age.source.glue_table import HeaderlessText

if TYPE_CHECKING:
    from predict_age.source.source_file import SourceFile


def begins_with_profile(text: str, delimiter: str) -> bool:
    """Whether ``text`` begins with an object of JSON that is a field: a delimiter follows."""
    text = text.lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text[end : end + 1] == delimiter


def headerless_csv(file: SourceFile, name: str, first: bytes, settings: SourceConfig, headerless: HeaderlessText) -> SourceFile:
    """The CSV ``file`` that begins with ``first``. Raises InputError when its first record has other columns than the table."""
    encoding = settings.encoding if settings.encoding != "auto" else text_encoding.detect(first, western=True)
    made = replace(file, format="csv", encoding=encoding, delimiter=headerless.delimiter, columns=headerless.columns)
    text = text_encoding.decode_head(first, encoding, file.path).encode("utf-8", "replace")
    dialect_settings = settings.model_copy(update={"csv_delimiter": headerless.delimiter, "csv_quote": headerless.quote})
    dialect = detect_dialect(made.given_header + text, dialect_settings, name, cut=len(first) >= file_kind.HEAD_BYTES)
    record = dialect.record.match(text, len(text) - len(text.lstrip(b"\r\n")))
    if record and record.group() and (fields := len(dialect.fields(record.group()))) != len(headerless.columns):
        raise InputError(
            f"{file.path} has other columns than its table",
            expected=f"{len(headerless.columns)} columns, as the catalogue has, in each record",
            found=f"{fields} in the first",
            fix="correct the table's columns or separator, or remove the file from the table's folder",
        )
    return replace(made, quote=dialect.quote, escape=dialect.escape, layout=dialect.lines)
