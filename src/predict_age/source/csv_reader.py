"""CSV: records are found and checked in the bytes, Arrow reads the fields of the good ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import chain

import pyarrow as pa
import pyarrow.csv as pacsv

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.column_names import check_columns
from predict_age.source.csv_dialect import DELIMITERS, MOST_COLUMNS, Dialect, declared_delimiter, dialect_of
from predict_age.source.csv_framing import Framer, Records
from predict_age.source.csv_header import FirstLine, classify_first_line, is_record, no_header
from predict_age.source.csv_records import spellings_of
from predict_age.source.profile_json import flat_profile
from predict_age.source.row_group_reader import repeated_text
from predict_age.source.source_file import SourceFile
from predict_age.source.text_encoding import masked
from predict_age.source.text_stream import utf8_blocks
from predict_age.source.value_form import form_of
from predict_age.source.working_rows import LONGEST_RECORD, TextChunk, check_count, chunk_of, partition_columns, records_lost

_POSITION = re.compile(r"#([1-9][0-9]{0,5})")
INDEX_RECORDS = 1_000  # looked at to tell an index from another column without a name


def read_csv(
    file: SourceFile, source: SourceConfig, *, ages_needed: bool = True, profile_columns: Collection[str] | None = None
) -> Iterator[TextChunk]:
    """Stream a CSV file with a header line. Raises InputError when columns are missing or quoting is not right.

    Flat profiles are made of the ``profile_columns`` alone, where these are given.
    """
    dialect = dialect_of(file)
    blocks = utf8_blocks(file)
    head, names, taken = _header(blocks, dialect, file)
    if not names and not head.strip():
        return  # an empty file, as programs write it for an empty part
    _check_delimiter(names, source, file)
    written, names = names, with_positions(names, source)
    added = partition_columns(file, names)
    if source.pid not in names and _is_index(names, head[taken:], dialect):
        raise InputError(
            f"no person identifier in {file.path}",
            expected=f'a column "{source.pid}"',
            found="a first column without a name, with another value in each row, such as the index that pandas and R write",
            fix='write source.pid = "#1" (pid = "#1" under [source]), or name another column: ' + ", ".join(filter(None, names)),
        )
    if (source.pid not in names or len(set(names)) < len(names)) and is_record(names, _first_records(head[taken:], dialect)):
        raise no_header(file.path)
    shown = names if source.pid in names else _shown(names, _first_records(head[taken:], dialect))
    check_columns([n for n in shown if n] + list(added), source, file.path, ages_needed=ages_needed)
    pid = names.index(source.pid) if source.pid in names else 0
    header = head[:taken].strip(b"\r\n").removeprefix(head[: declared_delimiter(head)]).lstrip(b"\r\n")
    headers = spellings_of(header, written, dialect) if len(names) > 1 else ()
    framer = Framer(file.path, dialect, len(names), pid, source.csv_line_breaks == "checked", headers)
    if not file.given_header:
        framer.byte, framer.line = taken, head.count(dialect.line_end, 0, taken)
    for records in framer.frame(chain([head[taken:]], blocks)):
        needed = [str(i) for i, name in enumerate(names) if name and _is_needed(name, source, profile_columns)]
        added = {name: value for name, value in added.items() if _is_needed(name, source, profile_columns)}
        yield _chunk(_parse(records, names, needed, dialect, source, file.path), names, records, added, source)


def _shown(names: list[str], records: list[list[str]]) -> list[str]:
    """Names for a message: forms in their place where nothing says that the line is no record."""
    doubtful = classify_first_line(names, records) is FirstLine.DOUBTFUL
    return [f"{form_of(name)} ({number})" if doubtful else name for number, name in enumerate(names, 1)]


def _check_delimiter(names: list[str], source: SourceConfig, file: SourceFile) -> None:
    """Raise InputError when a delimiter of the configuration leaves one column, and another would make the id one of several."""
    if source.csv_delimiter == "auto" or len(names) != 1 or source.pid in names:
        return
    for other in DELIMITERS:
        if source.pid in [name.strip(" '\"") for name in names[0].split(other)]:
            raise InputError(
                f"the first line of {file.path} is one column",
                expected=f'columns divided by source.csv_delimiter = "{source.csv_delimiter}"',
                found=f"columns divided by {other!r}",
                fix="leave csv_delimiter out of [source]: it is detected",
            )


def _is_needed(name: str, source: SourceConfig, profile_columns: Collection[str] | None) -> bool:
    if source.profile_json != "*":
        return name in (*source.light_columns, source.profile_json)
    return profile_columns is None or name in profile_columns or name in source.light_columns


def with_positions(names: list[str], source: SourceConfig) -> list[str]:
    """Names of columns, where a column that the configuration addresses as "#1", "#2" ... is called that."""
    called = list(names)
    for name in (*source.light_columns, source.profile_json):
        if name not in names and (match := _POSITION.fullmatch(name)) and int(match[1]) <= len(names):
            called[int(match[1]) - 1] = name
    return called


def _first_records(beginning: bytes, dialect: Dialect) -> list[list[str]]:
    """Values of the first records in the ``beginning`` of a file behind its header."""
    records: list[list[str]] = []
    at = 0
    while len(records) < INDEX_RECORDS and (match := dialect.record.match(beginning, at)) and match.end() < len(beginning):
        if match.group().strip():
            records.append([value.decode("utf-8", "replace") for value in dialect.fields(match.group())])
        at = match.end() + 1
    return records


def _is_index(names: list[str], beginning: bytes, dialect: Dialect) -> bool:
    """Whether the first column has no name, and each of the first records another value in it."""
    if len(names) < 2 or names[0]:
        return False
    values = [record[0] for record in _first_records(beginning, dialect)]
    return len(values) > 1 and len(set(values)) == len(values) and all(values)


def classified_header(file: SourceFile) -> tuple[list[str], FirstLine]:
    """Values of the first line of a CSV file, and whether they are names; those that the catalogue gives always are.

    Raises InputError when the line is wrongly quoted.
    """
    blocks, dialect = utf8_blocks(file), dialect_of(file)
    head, names, taken = _header(blocks, dialect, file)
    if file.given_header:
        return names, FirstLine.NAMES
    return names, classify_first_line(names, _first_records(head[taken:], dialect))


def header_of(file: SourceFile) -> list[str]:
    """Names in the header line of a CSV file, empty where a column has none. Raises InputError when it is wrongly quoted."""
    return _header(utf8_blocks(file), dialect_of(file), file)[1]


def _header(blocks: Iterator[bytes], dialect: Dialect, file: SourceFile) -> tuple[bytes, list[str], int]:
    """The blocks that the header lies in, its names, and where the first record begins."""
    head = b""
    while True:
        block = next(blocks, b"")
        head += block
        at = declared_delimiter(head)
        while head[at : at + 1] in (b"\r", b"\n"):
            at += 1
        match = dialect.record.match(head, at)
        if not block or (match and match.end() < len(head)) or len(head) > LONGEST_RECORD:
            break
    if match is None or len(head) > LONGEST_RECORD:
        raise InputError(
            f"the header of {file.path} is wrongly quoted",
            expected="names of columns, every quoted one closed by a quote",
            found=masked(head[at : at + 60]),
            fix="mend the first line",
        )
    if not match.group():
        return head, [], len(head)
    if (columns := match.group().count(dialect.delimiter.encode()) + 1) > MOST_COLUMNS:
        raise InputError(
            f"the first line of {file.path} has {columns:,} columns",
            expected=f"a header of {MOST_COLUMNS:,} columns at most",
            found=f"a line of {len(match.group()):,} bytes that begins like {masked(match.group()[:60])}",
            fix="separate records by line feeds, or name the right delimiter under [source]: csv_delimiter",
        )
    try:
        names = [name.decode() for name in dialect.fields(match.group())]
    except UnicodeDecodeError:
        raise InputError(
            f"the header of {file.path} is not {file.encoding or 'UTF-8'}",
            expected="text in that encoding",
            found=masked(match.group()[:60]),
            fix='name the encoding under [source]: encoding = "..."',
        ) from None
    return head, names, min(match.end() + 1, len(head))


def _parse(records: Records, names: list[str], needed: list[str], dialect: Dialect, source: SourceConfig, path: str) -> pa.Table:
    """The ``needed`` columns of the good records, called by their numbers: names may be equal, or empty."""
    rows = len(records.positions)
    if not rows:
        return pa.table({n: pa.chunked_array([], pa.string()) for n in needed})
    numbers = [str(i) for i in range(len(names))]
    try:
        table = pacsv.read_csv(
            pa.BufferReader(records.text),
            read_options=pacsv.ReadOptions(use_threads=False, block_size=len(records.text) + 1, column_names=numbers),
            parse_options=pacsv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote or False,
                double_quote=True,
                escape_char=False,  # the framer has written escaped quotes twice
                newlines_in_values=True,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(numbers, pa.string()),
                include_columns=needed,
                null_values=list(source.missing_values),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:  # whose text quotes the record
        raise records_lost(path, rows, "others") from None
    check_count(path, rows, table.num_rows)
    return table


def _chunk(table: pa.Table, names: list[str], records: Records, added: dict[str, str | None], source: SourceConfig) -> TextChunk:
    rows = table.num_rows
    columns = {names[int(number)]: table[number] for number in table.column_names}
    columns |= {name: repeated_text(value, rows) for name, value in added.items()}
    if source.profile_json == "*":
        profile = flat_profile(pa.table(columns).select([n for n in columns if n not in source.light_columns]))
    else:
        profile = columns[source.profile_json]
    records_read = len(records.positions) + len(records.rejected)
    return chunk_of(records.positions, columns, profile, records.rejected, source, records_read)
