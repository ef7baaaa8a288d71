"""Text files as a stream of UTF-8 blocks: decompressed, decoded, without a byte order mark."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from predict_age.source.filesystem import cut_short, stream
from predict_age.source.source_file import SourceFile
from predict_age.source.text_encoding import UTF_8, UTF_8_MARKED, Utf8Stream

BLOCK_BYTES = 8 << 20
MARK = b"\xef\xbb\xbf"


def open_bytes(file: SourceFile) -> IO[bytes]:
    """The decompressed content as a binary stream."""
    raw = stream(file.path)
    return pa.CompressedInputStream(raw, file.compression) if file.compression else raw


def utf8_blocks(file: SourceFile) -> Iterator[bytes]:
    """The text in blocks of about ``BLOCK_BYTES``, after a header line that it lacks. Raises InputError where it cannot be read."""
    if file.given_header:
        yield file.given_header
    with open_bytes(file) as opened:
        text = opened if file.encoding in ("", UTF_8, UTF_8_MARKED) else Utf8Stream(opened, file.encoding, file.path)
        first = True
        while True:
            try:
                block = text.read(BLOCK_BYTES)
            except (OSError, pa.ArrowInvalid, EOFError, zlib.error) as error:
                raise cut_short(file.path, file.compression, error) from None
            if not block:
                return
            yield block.removeprefix(MARK) if first else block
            first = False
