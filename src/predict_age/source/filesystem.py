"""Where source files lie: on this machine, or in S3 (``s3://bucket/key``). Everything that reads a source opens it here."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from predict_age.errors import InputError, PredictAgeError, ResourceError
from predict_age.source.gzip_stream import GzipStream, TrailingBytesError
from predict_age.storage import durable_files

S3 = "s3://"
ATTEMPTS = 8  # botocore's and the SDK's three attempts do not outlive a burst of 503
CHUNK_BYTES = 8 << 20
_NO_ANSWER = re.compile(  # in the SDK's messages
    "AWS Error (NETWORK_CONNECTION|SLOW_DOWN|THROTTLING|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|REQUEST_TIMEOUT)|"
    "HTTP status (5[0-9]{2}|429)"
)
ZSTD_TRAILING = "Unknown frame descriptor"  # in Arrow's message about bytes behind the last frame


@dataclass(frozen=True)
class FileStatus:
    """A file that is there: ``size`` in bytes, ``mtime_ns`` since 1970."""

    path: str
    size: int
    mtime_ns: int


def in_s3(path: str) -> bool:
    """Whether ``path`` names an object of S3."""
    return path.startswith(S3)


@lru_cache(maxsize=1)
def _s3(_process: int) -> Any:
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        connect_timeout=10,
        request_timeout=60,
    )


def unanswered(path: str, error: BaseException) -> ResourceError | None:
    """The error where S3 gave no answer about ``path``, which says nothing about what lies there; None for any other error."""
    if not (in_s3(path) and _NO_ANSWER.search(str(error))):
        return None
    return ResourceError(
        f"S3 does not hand out {path}", expected=f"an answer within {ATTEMPTS} tries", found=_line(error), fix="try again later"
    )


def gone(path: str, error: OSError) -> PredictAgeError:
    """The error for a source file that was found and can no longer be opened."""
    return unanswered(path, error) or InputError(f"a source file cannot be read any more: {path}: {error.strerror or _line(error)}")


def _failed(path: str, error: Exception) -> PredictAgeError:
    return unanswered(path, error) or InputError(
        f"the source {path} cannot be read", expected="an object that this role may read", found=_line(error)
    )


def _line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def random_access(path: str) -> Any:
    """The file for a reader that seeks. OSError when it is not there."""
    import pyarrow as pa

    return _s3(os.getpid()).open_input_file(path.removeprefix(S3)) if in_s3(path) else pa.OSFile(path)


def stream(path: str) -> Any:
    """The bytes of the file from its beginning."""
    import pyarrow as pa

    if in_s3(path):  # as it is: Arrow would decompress by the ending
        return _s3(os.getpid()).open_input_stream(path.removeprefix(S3), compression=None)
    return pa.OSFile(path)


def head(path: str, size: int, compression: str = "") -> bytes:
    """The first ``size`` bytes of a file, decompressed. Raises InputError when they cannot be read."""
    taken = b""
    try:
        with stream_for_head(path, compression) as opened:
            while len(taken) < size and (block := opened.read(size - len(taken))):
                taken += block
    except (OSError, EOFError, zlib.error) as error:
        if compression and getattr(error, "errno", None) is None:
            raise cut_short(path, compression, error) from None
        raise unanswered(path, error) or InputError(
            f"a part of the source cannot be read: {path}",
            expected="a file that may be read",
            found=getattr(error, "strerror", None) or _line(error),
            fix="allow reading it, or remove it from the source",
        ) from None
    return taken


@contextmanager
def stream_for_head(path: str, compression: str) -> Iterator[Any]:
    """The decompressed bytes of a file, opened without Arrow where that is possible: importing it takes longer than a look."""
    with stream(path) if in_s3(path) else Path(path).open("rb") as opened:
        if compression == "gzip":
            yield GzipStream(opened)
        elif compression:
            import pyarrow as pa

            with pa.CompressedInputStream(opened, compression) as unpacked:
                yield unpacked
        else:
            yield opened


def cut_short(path: str, compression: str, error: Exception) -> PredictAgeError:
    """The error for a compressed file that does not go to its end, or that goes on behind it."""
    goes_on = isinstance(error, TrailingBytesError) or ZSTD_TRAILING in str(error)
    return unanswered(path, error) or InputError(
        f"{path} cannot be decompressed to its end",
        expected=f"a complete {compression or 'plain'} file" + (" and nothing behind it" if goes_on else ""),
        found=_line(error),
        fix="take away the bytes that follow its compressed content, or compress it again"
        if goes_on
        else "copy the file again; it was probably cut short",
    )


def stat(path: str) -> FileStatus:
    """Size and time of one file. OSError when it is not there."""
    if not in_s3(path):
        found = Path(path).stat()
        return FileStatus(path, found.st_size, found.st_mtime_ns)
    from pyarrow import fs

    info = _s3(os.getpid()).get_file_info(path.removeprefix(S3))
    if info.type != fs.FileType.File:
        raise FileNotFoundError(2, "No such object", path)
    return FileStatus(path, info.size, info.mtime_ns)


def objects(source: str) -> list[FileStatus]:
    """The objects at or below an ``s3://`` address, sorted by key. Raises InputError when they cannot be listed."""
    from pyarrow import fs

    root = source.removeprefix(S3).rstrip("/")
    try:
        # A folder's own name is no object, and a role that may read what is below it may not even ask for it.
        infos = [] if source.endswith("/") else _s3(os.getpid()).get_file_info([root])
        if not infos or infos[0].type != fs.FileType.File:
            infos = _s3(os.getpid()).get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    except OSError as error:
        raise _failed(source, error) from None
    found = [FileStatus(S3 + i.path, i.size, i.mtime_ns) for i in infos if i.type == fs.FileType.File]
    return sorted(found, key=lambda f: f.path)


def content_sha256(path: str) -> str:
    """Hex SHA-256 of a file, read once as a stream."""
    if not in_s3(path):
        return durable_files.file_sha256(Path(path))
    digest = hashlib.sha256()
    with stream(path) as opened:
        while block := opened.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()
