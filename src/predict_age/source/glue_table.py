"""A table of the Glue catalogue as a source: ``glue://database/table`` stands for the files that the catalogue says it has.

The catalogue decides where the files lie, what they are, and which partitions belong to the table. Imports boto3 only, when it is
used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from predict_age.errors import ConfigError, InputError, ResourceError, install_extra
from predict_age.storage.service_errors import code_or_message, is_unanswered

GLUE = "glue://"
TableFormat = Literal["parquet", "json", "csv"]
SERDES: dict[str, TableFormat] = {
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe": "parquet",
    "org.apache.hive.hcatalog.data.JsonSerDe": "json",
    "org.apache.hadoop.hive.serde2.JsonSerDe": "json",
    "org.openx.data.jsonserde.JsonSerDe": "json",
    "org.apache.hadoop.hive.serde2.OpenCSVSerde": "csv",
    "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe": "csv",
}
READABLE = "Parquet, JSON (Hive, OpenX), CSV or Iceberg"
TO_PARQUET = "write it as Parquet with CREATE TABLE ... WITH (format = 'PARQUET') AS SELECT, and name that table"
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_ADDRESS = re.compile(r"glue://([^/\s]+)/([^/\s]+)/?")
_CSV_DELIMITERS = {",", ";", "\t", "|"}
_HIVE_DELIMITER = "\x01"  # of LazySimpleSerDe, where the table names none
_WRITTEN_DELIMITERS = {"\\001": _HIVE_DELIMITER, "\\u0001": _HIVE_DELIMITER, "1": _HIVE_DELIMITER, "\\t": "\t", "9": "\t"}


@dataclass(frozen=True)
class TablePart:
    """A folder of the table, and the columns that its partition adds to the rows of its files."""

    location: str
    partition: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True)
class HeaderlessText:
    """CSV whose files begin with a record: names of its ``columns``, and what separates and quotes fields (empty: nothing)."""

    columns: tuple[str, ...]
    delimiter: str
    quote: str


@dataclass(frozen=True)
class GlueTable:
    """Entry of a table in the catalogue. ``version`` changes with it. ``headerless``: how text without a header line is read.

    ``metadata`` is the file that names the data files of an Iceberg table, which has no parts.
    """

    name: str
    format: TableFormat
    parts: tuple[TablePart, ...]
    version: str
    headerless: HeaderlessText | None = None
    metadata: str = ""


def in_glue(source: str) -> bool:
    """Whether ``source`` names a table of the Glue catalogue."""
    return source.startswith(GLUE)


def glue_table(source: str) -> GlueTable:
    """Ask the catalogue for the table ``glue://database/table``.

    Raises ConfigError for an address that is none, InputError for a table that is not there or cannot be read as files.
    """
    address = _ADDRESS.fullmatch(source)
    if address is None:
        raise ConfigError("the source names no table", expected="glue://database/table", found=source, fix="correct it")
    database, name = address[1], address[2]
    client = _client()
    try:
        table = client.get_table(DatabaseName=database, Name=name)["Table"]
        pages = client.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=name)
        partitions = [p for page in pages for p in page["Partitions"]] if table.get("PartitionKeys") else []
    except Exception as error:
        if is_unanswered(error):
            raise ResourceError(
                f"the Glue catalogue does not answer about the table {database}.{name}",
                expected="an answer",
                found=code_or_message(error),
                fix="try again",
            ) from error
        raise InputError(
            f"the table {database}.{name} cannot be read from the Glue catalogue",
            expected="a table that these credentials may look at (glue:GetTable, glue:GetPartitions)",
            found=code_or_message(error),
            fix="correct the names, the region or the rights",
        ) from error
    full = f"{database}.{name}"
    version = f"{table.get('VersionId', '')}:{table.get('UpdateTime', '')}"
    if _is_iceberg(table):
        metadata = _metadata_location(full, table)
        return GlueTable(full, "parquet", (), f"{version}:{metadata}", metadata=metadata)
    kind = _format(full, table, table.get("StorageDescriptor", {}))
    keys = [key["Name"] for key in table.get("PartitionKeys", [])]
    parts = tuple(_part(full, kind, table, keys, p) for p in partitions) if keys else (_whole(full, table),)
    if not parts:
        raise InputError(
            f"the table {full} has no partitions",
            expected="partitions in the catalogue",
            found=f"none, though it is partitioned by {', '.join(keys)}",
            fix="MSCK REPAIR TABLE, or ALTER TABLE ... ADD PARTITION",
        )
    headerless = _headerless(full, table) if kind == "csv" and not _has_header(table) else None
    return GlueTable(full, kind, parts, version, headerless)


def _client() -> Any:
    try:
        import boto3
    except ImportError:
        raise ConfigError("a table of the Glue catalogue needs boto3", expected="the extra aws", fix=install_extra("aws")) from None
    return boto3.client("glue")


def _whole(full: str, table: Mapping[str, Any]) -> TablePart:
    return TablePart(_location(full, table["StorageDescriptor"]))


def _part(full: str, kind: TableFormat, table: Mapping[str, Any], keys: list[str], partition: Mapping[str, Any]) -> TablePart:
    storage = partition["StorageDescriptor"]
    mine = _format(full, table, storage)
    if mine != kind:
        raise InputError(
            f"partitions of the table {full} have different formats",
            expected=kind,
            found=f"{mine} in the partition {'/'.join(partition['Values'])}",
            fix=TO_PARQUET,
        )
    values = [None if value == NO_VALUE else str(value) for value in partition["Values"]]
    return TablePart(_location(full, storage), tuple(zip(keys, values, strict=True)))


def _location(full: str, storage: Mapping[str, Any]) -> str:
    """Folder of the files: below a slash, so that "people" does not take in "people2"."""
    location = str(storage.get("Location", ""))
    if not re.match(r"(s3[an]?|file)://", location):
        raise InputError(f"the table {full} has no files", expected="a location in S3", found=location or "none", fix=TO_PARQUET)
    return local_path(location).rstrip("/") + "/"


def local_path(address: str) -> str:
    """The address of a file as it is opened: ``s3://...`` whatever Hadoop calls it, or a path of this machine."""
    return re.sub(r"^s3[an]://", "s3://", address).removeprefix("file://")


def _is_iceberg(table: Mapping[str, Any]) -> bool:
    return str(table.get("Parameters", {}).get("table_type", "")).upper() == "ICEBERG"


def _metadata_location(full: str, table: Mapping[str, Any]) -> str:
    location = str(table["Parameters"].get("metadata_location", ""))
    if not location:
        raise _unreadable(full, "an Iceberg table whose entry names no metadata (metadata_location)")
    return local_path(location)


def _format(full: str, table: Mapping[str, Any], storage: Mapping[str, Any]) -> TableFormat:
    """Format of the files that ``storage`` describes. Raises InputError where they are none that can be read."""
    parameters = table.get("Parameters", {})
    serde = storage.get("SerdeInfo", {})
    library, settings = str(serde.get("SerializationLibrary", "")), serde.get("Parameters", {})
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise _unreadable(full, "a view")
    if (
        str(parameters.get("table_type", "")).upper() in {"DELTA", "HUDI"}
        or parameters.get("spark.sql.sources.provider") == "delta"
    ):
        raise _unreadable(
            full, f"a table of {parameters.get('table_type') or 'Delta Lake'}, whose folder also holds rows that were deleted"
        )
    if str(parameters.get("projection.enabled", "")).lower() == "true":
        raise _unreadable(full, "partition projection: the catalogue does not list its partitions")
    kind = SERDES.get(library)
    if kind is None:
        raise _unreadable(full, library or "no SerDe")
    if renamed := sorted(k for k in settings if k.lower().startswith("mapping.")):
        raise _unreadable(full, f"columns that are renamed while they are read ({renamed[0]})")
    if kind == "csv":
        if str(parameters.get("skip.header.line.count", "0")) not in {"0", "1"}:
            raise _unreadable(
                full, "CSV without a header line, but with other lines to skip (skip.header.line.count is not 0 or 1)"
            )
        delimiter = _delimiter(storage)
        if delimiter not in _CSV_DELIMITERS | (set() if _has_header(table) else {_HIVE_DELIMITER}):
            raise _unreadable(full, f"columns separated by {delimiter!r}")
    return kind


def _has_header(table: Mapping[str, Any]) -> bool:
    return str(table.get("Parameters", {}).get("skip.header.line.count", "0")) == "1"


def _delimiter(storage: Mapping[str, Any]) -> str:
    settings = storage.get("SerdeInfo", {}).get("Parameters", {})
    written = str(
        settings.get("separatorChar") or settings.get("field.delim") or ("," if _is_open_csv(storage) else _HIVE_DELIMITER)
    )
    return _WRITTEN_DELIMITERS.get(written, written)


def _is_open_csv(storage: Mapping[str, Any]) -> bool:
    return str(storage.get("SerdeInfo", {}).get("SerializationLibrary", "")).endswith("OpenCSVSerde")


def _headerless(full: str, table: Mapping[str, Any]) -> HeaderlessText:
    """Columns and separators of files without a header line, from the catalogue."""
    storage = table["StorageDescriptor"]
    settings = storage.get("SerdeInfo", {}).get("Parameters", {})
    columns = tuple(str(column["Name"]) for column in storage.get("Columns", []))
    if not columns:
        raise _unreadable(full, "CSV without a header line, and no columns in the catalogue")
    if len(set(columns)) < len(columns) or any(re.search(r"[^\w .#-]", name) for name in columns):
        raise _unreadable(full, "CSV without a header line, and columns whose names are equal or hold signs")
    if settings.get("escape.delim"):
        raise _unreadable(full, "separators that are escaped (escape.delim)")
    return HeaderlessText(columns, _delimiter(storage), str(settings.get("quoteChar") or '"') if _is_open_csv(storage) else "")


def _unreadable(full: str, found: str) -> InputError:
    return InputError(f"the table {full} cannot be read", expected=READABLE, found=found, fix=TO_PARQUET)
