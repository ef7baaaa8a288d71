"""Which files make up the source, of which format, and whether they are still the ones the run began with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from predict_age.errors import InputError
from predict_age.source.filesystem import in_s3, objects, stat

Format = Literal["parquet", "jsonl", "csv"]
_SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
KNOWN = ", ".join(_SUFFIXES) + " (text also with .gz or .zst)"


@dataclass(frozen=True)
class SourceFile:
    """One file of the source. ``size`` in bytes and ``mtime_ns`` tell whether it changed since."""

    path: str
    format: Format
    compression: str  # "", "gzip" or "zstd"
    size: int
    mtime_ns: int

    def check_unchanged(self) -> None:
        """Raise InputError when the file is gone or not the one that was found at the start of the run."""
        try:
            now = stat(self.path)
        except OSError as error:
            raise InputError(f"a source file cannot be read any more: {self.path}: {error.strerror or error}") from None
        if (now.size, now.mtime_ns) != (self.size, self.mtime_ns):
            raise InputError(
                f"a source file changed during the run: {self.path}",
                expected=f"{self.size:,} bytes, modified at {self.mtime_ns} ns",
                found=f"{now.size:,} bytes, modified at {now.mtime_ns} ns",
                fix="start a new run on a source that nobody writes to",
            )


def _glob(pattern: str) -> list[Path]:
    absolute = Path(pattern).absolute()
    return list(Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor))))


def _format(path: Path) -> tuple[Format, str] | None:
    suffixes = [s.lower() for s in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    kind = _SUFFIXES.get(suffixes[-2] if compression and len(suffixes) > 1 else suffixes[-1]) if suffixes else None
    return None if kind is None or (compression and kind == "parquet") else (kind, compression)


def discover(source: str) -> list[SourceFile]:
    """The files of ``source`` (a file, a folder searched in depth, a glob, or an ``s3://`` address), sorted by path.

    Names that begin with "." or "_" are passed over, as data lakes do; so are files of other kinds inside a folder.
    Raises InputError when nothing usable is there.
    """
    if in_s3(source):
        return _objects(source)
    root = Path(source)
    if root.is_dir():
        found = [p for p in root.rglob("*") if p.is_file()]
        paths = [p for p in found if not any(part[0] in "._" for part in p.relative_to(root).parts)]
    elif root.exists():
        paths = found = [root]
    else:
        paths = found = [p for p in _glob(source) if p.is_file()]
        if not paths:
            raise InputError(f"the source {source} does not exist", expected="a file, a folder or a glob that matches files")
    files = []
    for path in sorted(paths):
        if kind := _format(path):
            now = stat(str(path))
            files.append(SourceFile(str(path.resolve()), *kind, now.size, now.mtime_ns))
    if not files:
        what = "an empty folder" if not found else f"{len(found)} file(s) of other kinds, the first is {found[0].name}"
        raise InputError(f"the source {source} holds no data files", expected=KNOWN, found=what)
    return files


def _objects(source: str) -> list[SourceFile]:
    root = source.rstrip("/")
    found = [f for f in objects(source) if not any(p[:1] in "._" for p in f.path.removeprefix(root).split("/") if p)]
    files = [SourceFile(f.path, *kind, f.size, f.mtime_ns) for f in found if (kind := _format(Path(f.path)))]
    if not files:
        what = "no object" if not found else f"{len(found)} object(s) of other kinds, the first is {found[0].path}"
        raise InputError(f"the source {source} holds no data files", expected=KNOWN, found=what)
    return files
