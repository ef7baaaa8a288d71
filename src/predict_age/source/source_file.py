"""One file of a source, and the list of those that are used and passed over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from predict_age.errors import InputError
from predict_age.source.file_kind import Format
from predict_age.source.filesystem import gone, stat
from predict_age.source.path_partition import PathPartition


@dataclass(frozen=True)
class SourceFile:
    """One file of the source. ``size`` in bytes and ``mtime_ns`` tell whether it changed since.

    ``partition`` are the columns that its folders (``key=value``) add. Text has an ``encoding``, CSV a dialect;
    ``layout`` says where records of a text end. ``columns`` are those of CSV without a header line, whose catalogue names them.
    """

    path: str
    format: Format
    compression: str  # "", "gzip" or "zstd"
    size: int
    mtime_ns: int
    encoding: str = ""
    delimiter: str = ""
    quote: str = ""
    escape: str = ""
    layout: str = ""
    partition: PathPartition = ()
    columns: tuple[str, ...] = ()

    @property
    def given_header(self) -> bytes:
        """The line that is read before the file, where it has no header line of its own."""
        return (self.delimiter.join(self.columns) + ("\r" if self.layout == "CR" else "\n")).encode() if self.columns else b""

    def as_json(self) -> dict[str, object]:
        """The file as records have it; ``columns`` only where there are some."""
        return {name: value for name, value in asdict(self).items() if name != "columns" or value}

    def check_unchanged(self) -> None:
        """Raise InputError when the file is gone or not the one that was found at the start of the run."""
        try:
            now = stat(self.path)
        except OSError as error:
            raise gone(self.path, error) from None
        if (now.size, now.mtime_ns) != (self.size, self.mtime_ns):
            raise InputError(
                f"a source file changed during the run: {self.path}",
                expected=f"{self.size:,} bytes, modified at {self.mtime_ns} ns",
                found=f"{now.size:,} bytes, modified at {now.mtime_ns} ns",
                fix="start a new run on a source that nobody writes to",
            )


def source_file_from_json(partition: Iterable[tuple[str, Any]] = (), columns: Iterable[str] = (), **fields: Any) -> SourceFile:
    """A source file from its JSON object, in which the pairs of ``partition`` are lists; earlier versions wrote fewer keys."""
    return SourceFile(**fields, partition=tuple((str(k), v) for k, v in partition), columns=tuple(columns))


@dataclass(frozen=True)
class PassedOver:
    """Files and folders that are not read, for one ``reason``; ``first`` names some of them."""

    reason: str
    files: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class SourceListing:
    """The files to read, sorted by path, and what was passed over by reason."""

    files: tuple[SourceFile, ...]
    passed_over: tuple[PassedOver, ...] = ()
