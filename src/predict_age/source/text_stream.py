"""Text files as a stream of UTF-8 blocks: decompressed, decoded, without a byte order mark."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from predict_age.source.filesystem import cut_short, gone, stream
from predict_age.source.gzip_stream import GzipStream
from predict_age.source.source_file import SourceFile
from predict_age.source.text_encoding import UTF_8, UTF_8_MARKED, Utf8Stream

BLOCK_BYTES = 8 << 20
MARK = b"\xef\xbb\xbf"
_MARKS_OF_LINES = re.compile(rb"(?<=[\r\n])(?:%s)+" % MARK)


def open_bytes(file: SourceFile) -> IO[bytes] | GzipStream:
    """The decompressed content as a binary stream."""
    try:
        raw = stream(file.path)
    except OSError as error:
        raise gone(file.path, error) from None
    if file.compression == "gzip":
        return GzipStream(raw)
    return pa.CompressedInputStream(raw, file.compression) if file.compression else raw


def utf8_blocks(file: SourceFile) -> Iterator[bytes]:
    """The text in blocks of about ``BLOCK_BYTES``, after a header line that it lacks, without byte order marks before lines.

    Raises InputError where it cannot be read.
    """
    if file.given_header:
        yield file.given_header
    with open_bytes(file) as opened:
        text = opened if file.encoding in ("", UTF_8, UTF_8_MARKED) else Utf8Stream(opened, file.encoding, file.path)
        yield from _without_marks(_blocks(file, text))


def _blocks(file: SourceFile, text: IO[bytes] | GzipStream | Utf8Stream) -> Iterator[bytes]:
    while True:
        try:
            block = text.read(BLOCK_BYTES)
        except (OSError, pa.ArrowInvalid, EOFError, zlib.error) as error:
            raise cut_short(file.path, file.compression, error) from None
        if not block:
            return
        yield block


def _without_marks(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """``blocks`` without byte order marks at the beginning of the text and of lines, where files were put together."""
    kept, begins = b"", True  # what may be the beginning of a mark, and whether it begins a line
    for read in blocks:
        block = kept + read
        kept = next((MARK[:n] for n in (2, 1) if block.endswith(MARK[:n])), b"")
        block = block.removesuffix(kept)
        while begins and block.startswith(MARK):
            block = block.removeprefix(MARK)
        if MARK[:1] in block and MARK in block:  # a single byte is looked for many times faster
            block = _MARKS_OF_LINES.sub(b"", block)
        if block:
            begins = block[-1:] in (b"\r", b"\n")
            yield block
    if kept:
        yield kept
