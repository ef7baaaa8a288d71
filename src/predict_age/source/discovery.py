"""The files of a source: each is used or passed over with a reason, and known again when it changes during the run."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.file_names import did_you_mean_file
from predict_age.source import file_kind, text_encoding
from predict_age.source.csv_dialect import detect_dialect
from predict_age.source.file_kind import KNOWN, Format
from predict_age.source.filesystem import FileStatus, head, in_s3, objects
from predict_age.source.glue_files import files_of_table
from predict_age.source.glue_table import HeaderlessText, glue_table, in_glue
from predict_age.source.headerless_csv import begins_with_profile, headerless_csv
from predict_age.source.json_layout import detect_layout
from predict_age.source.path_partition import PathPartition, partition_of
from predict_age.source.source_file import PassedOver, SourceFile, SourceListing
from predict_age.source.source_walk import Walk, is_glob, status

LISTED = 5  # names shown of what was passed over for one reason
REQUESTS_TOGETHER = 16


@dataclass(frozen=True)
class _Entry:
    """A file that was reached at the path ``below`` the source, which a link may have given it; its folders may add columns."""

    file: FileStatus
    below: str
    partition: PathPartition

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.below.rpartition("/")[2]


def discover(source: str, settings: SourceConfig | None = None) -> list[SourceFile]:
    """The files of ``source``, sorted by path: those of :func:`list_source`."""
    return list(list_source(source, settings or SourceConfig()).files)


def list_source(source: str, settings: SourceConfig, headerless: HeaderlessText | None = None) -> SourceListing:
    """Find the files of ``source``: a file, a folder searched in depth, a glob, an ``s3://`` address, or a ``glue://`` table.

    ``headerless``: what text is that shows no format of its own, as a catalogue says.

    Raises InputError when nothing usable is there, or when a part of it cannot be read.
    """
    if in_glue(source):
        table = glue_table(source)
        passed_over: list[PassedOver] = []
        if table.metadata:
            from predict_age.source.iceberg_table import iceberg_files

            found = iceberg_files(table, settings)
            files = [SourceFile(f.path, "parquet", "", f.size, f.mtime_ns, partition=f.partition) for f in found]
        else:
            files, passed_over = files_of_table(table, settings, list_source)
        for file in files:
            _check_folders(file, settings)
        return SourceListing(tuple(files), tuple(passed_over))
    passed: list[tuple[str, str]] = []
    entries = _objects(source, passed) if in_s3(source) else _local_files(source, passed)
    with ThreadPoolExecutor(REQUESTS_TOGETHER if in_s3(source) else 1) as requests:
        described = list(requests.map(lambda entry: _describe(entry, settings, headerless), entries))
    files = [f for f in described if isinstance(f, SourceFile)]
    passed += [(entry.file.path, reason) for entry, reason in zip(entries, described, strict=True) if isinstance(reason, str)]
    for file in files:
        _check_name(file)
        _check_folders(file, settings)
    if not files:
        raise InputError(
            f"the source {source} holds no data files",
            expected=KNOWN,
            found=_nothing(passed, source),
            fix="name the path of the people; where their files are of another kind, write them as one of these: unpack archives, "
            "compress with gzip or Zstandard, save sheets as CSV",
        )
    return SourceListing(tuple(sorted(files, key=lambda f: f.path)), _by_reason(passed))


def _nothing(passed: list[tuple[str, str]], source: str) -> str:
    if not passed:
        return "no object" if in_s3(source) else "an empty folder"
    counts = Counter(reason for _, reason in passed)
    kinds = ", ".join(f"{n:,} {reason}" for reason, n in counts.most_common())
    return f"{len(passed)} file(s) of other kinds ({kinds}), the first is {Path(sorted(passed)[0][0]).name}"


def _by_reason(passed: Iterable[tuple[str, str]]) -> tuple[PassedOver, ...]:
    reasons: dict[str, list[str]] = {}
    for path, reason in sorted(passed):
        reasons.setdefault(reason, []).append(path.encode("utf-8", "backslashreplace").decode())
    return tuple(PassedOver(reason, len(paths), tuple(paths[:LISTED])) for reason, paths in sorted(reasons.items()))


def _local_files(source: str, passed: list[tuple[str, str]]) -> list[_Entry]:
    root = Path(source)
    walk = Walk()
    if os.path.lexists(root):
        walk.add(root)
        base = root if root.is_dir() else root.parent
    elif is_glob(source):
        walk.glob(source)
        base = Path(source[: re.search(r"[*?\[]", source).start()]).parent  # type: ignore[union-attr]
        if not walk.files and not walk.passed:
            raise _no_source(source)
    else:
        raise _no_source(source)
    passed += walk.passed
    found = []
    for path in walk.files:
        now = status(path)
        real = FileStatus(os.path.realpath(path), now.st_size, now.st_mtime_ns)
        below = os.path.relpath(path.absolute(), base.absolute())
        found.append(_Entry(real, below, partition_of(path.absolute(), base.absolute())))
    return found


def _no_source(source: str) -> InputError:
    fix = did_you_mean_file(Path(source))
    return InputError(f"the source {source} does not exist", expected="a file, a folder or a glob that matches files", fix=fix)


def _check_name(file: SourceFile) -> None:
    """Raise InputError when the name of a file, which libraries and records have to write, is not UTF-8."""
    name = "/".join((file.path, *(f"{key}={value}" for key, value in file.partition)))
    shown = name.encode("utf-8", "backslashreplace").decode()
    if shown != name:
        raise InputError(
            f"the name of a source file is not UTF-8: {shown}", expected="names in UTF-8", found=Path(shown).name, fix="rename it"
        )


def _check_folders(file: SourceFile, settings: SourceConfig) -> None:
    """Raise InputError when a folder's name is somebody's id or date of birth: records outside tables hold the paths of files."""
    for name, _ in file.partition:
        if name in (settings.pid, settings.birth_date):
            raise InputError(
                f"folders are named by {'the ids' if name == settings.pid else 'the dates of birth'} of people: {name}=...",
                expected="names of folders that tell nothing about a single person: records and reports name the files of a source",
                found=f'the column "{name}" in the name of a folder',
                fix=f'write "{name}" as a column into the files, and rename the folders',
            )


def _objects(source: str, passed: list[tuple[str, str]]) -> list[_Entry]:
    root = source.rstrip("/")
    found = []
    for entry in objects(source):
        inner = [part for part in entry.path.removeprefix(root).split("/") if part]
        if any(file_kind.is_hidden(part) for part in inner):
            passed.append((entry.path, file_kind.HIDDEN))
        else:
            below = "/".join(inner) or entry.path.rpartition("/")[2]
            found.append(_Entry(entry, below, partition_of(Path(entry.path), Path(root))))
    return found


def _describe(entry: _Entry, settings: SourceConfig, headerless: HeaderlessText | None) -> SourceFile | str:
    """The file as its content shows it, or the reason why it is passed over."""
    found, name, partition = entry.file, entry.name, entry.partition
    named, compressed = file_kind.named_kind(name)
    if file_kind.is_excluded(entry.below, settings.exclude):
        return file_kind.EXCLUDED
    if file_kind.is_temporary(name):
        return file_kind.BACKUP_FILE
    if settings.format != "auto":
        named = file_kind.FORMATS[settings.format]
    plain = SourceFile(found.path, named or "csv", "", found.size, found.mtime_ns, partition=partition)
    if found.size == 0:
        return replace(plain, compression=compressed) if named else file_kind.EMPTY
    if in_s3(found.path) and named == "parquet" and not compressed:
        return plain  # opening it tells the rest, without a request more
    first = head(found.path, file_kind.MAGIC_BYTES if named == "parquet" else file_kind.HEAD_BYTES)
    compression = file_kind.compression_of(first)
    if compressed and not compression:
        raise _lies(found.path, f"a {compressed} file", "no compressed data", "if it is unpacked already, give it its right name")
    if compression:
        first = head(found.path, file_kind.HEAD_BYTES, compression)
        if twice := file_kind.compression_of(first):
            if named or compressed:
                raise _lies(found.path, f"text inside {compression}", f"{twice} inside {compression}", "unpack it once")
            return _passed_over(entry, f"{twice} inside {compression}", settings.exclude)
    if file_kind.is_parquet(first):
        if compression:
            raise _lies(found.path, "Parquet or compressed text", f"Parquet inside {compression}", "unpack it")
        return replace(plain, format="parquet")
    if kind := file_kind.binary_kind(first):
        if named:
            raise _lies(
                found.path, named, kind, f"save it as CSV, JSON lines or Parquet; {file_kind.exclusion_of(name, settings.exclude)}"
            )
        return _passed_over(entry, kind, settings.exclude)
    if named == "parquet":
        return replace(plain, compression=compression)  # opening it says why it is none
    described = _text(replace(plain, compression=compression), name, named, first, settings, headerless)
    return described or _passed_over(entry, file_kind.NOT_DATA, settings.exclude)


def _passed_over(entry: _Entry, reason: str, exclude: Sequence[str]) -> str:
    """The ``reason`` for passing over a file. Raises InputError when its name is that of a part of a data set."""
    if file_kind.is_part_name(entry.name):
        raise InputError(
            f"{entry.file.path} is named like a part of a data set, and its content does not tell its format",
            expected="Parquet, JSON objects, or CSV whose first line names the column of ids",
            found=reason,
            fix='name the format under [source]: format = "csv", "json" or "parquet"; '
            + file_kind.exclusion_of(entry.name, exclude),
        )
    return reason


def _text(
    file: SourceFile, name: str, named: Format | None, first: bytes, settings: SourceConfig, headerless: HeaderlessText | None
) -> SourceFile | None:
    """The text file with its format, encoding and dialect; None where nothing says that it holds people."""
    claimed = settings.encoding if settings.encoding != "auto" else ""
    text = text_encoding.decode_head(first, claimed or text_encoding.detect(first, western=False), file.path)
    kind = named if settings.format != "auto" else file_kind.text_format(text, None if headerless else named, settings.pid)
    if headerless and (kind is None or begins_with_profile(text, headerless.delimiter)):
        return headerless_csv(file, name, first, settings, headerless)
    if kind is None:
        return None
    encoding = text_encoding.detect(first, western=kind == "csv")
    if claimed:
        text_encoding.check_claim(file.path, claimed, encoding)
        encoding = claimed
    file = replace(file, format=kind, encoding=encoding)
    if kind == "csv":
        text = text_encoding.decode_head(first, encoding, file.path)
        dialect = detect_dialect(text.encode("utf-8", "replace"), settings, name, cut=len(first) >= file_kind.HEAD_BYTES)
        file = replace(file, delimiter=dialect.delimiter, quote=dialect.quote, escape=dialect.escape, layout=dialect.lines)
    else:
        own = {*settings.light_columns, settings.profile_json}
        file = replace(file, layout=detect_layout(text_encoding.decode_head(first, encoding, file.path), own))
    return file


def _lies(path: str, expected: str, found: str, fix: str) -> InputError:
    return InputError(f"{path} is not what its name says", expected=expected, found=found, fix=fix)
