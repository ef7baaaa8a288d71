"""Gzip files as a stream of their content, also those that a tape or an archive has padded with zero bytes."""

from __future__ import annotations

import io
import zlib
from typing import Any

GZIP_MAGIC = b"\x1f\x8b"
INPUT_BYTES = 1 << 18
_GZIP_HEADER = 31  # window bits for which zlib reads the header and checks length and CRC


class TrailingBytesError(OSError):
    """Bytes follow the compressed content that belong to nothing."""


class GzipStream(io.RawIOBase):
    """The content of all members of the gzip file ``packed``; zero bytes between and behind them are passed over.

    gzip and Python's gzip module do the same. Closing it closes ``packed``.
    """

    def __init__(self, packed: Any) -> None:
        super().__init__()
        self._packed, self._input = packed, b""
        self._member: Any = None  # that is being read

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._packed.close()
        super().close()

    def read(self, size: int = -1, /) -> bytes:
        """The next ``size`` bytes, fewer only at the end. Raises zlib.error, EOFError or TrailingBytesError for a damaged file."""
        if size < 0:
            return self.readall()
        blocks, wanted = [], size
        while wanted and self._more():
            blocks.append(self._member.decompress(self._input, wanted))
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            wanted -= len(blocks[-1])
        return b"".join(blocks)

    def _more(self) -> bool:
        """Whether there is input for the member, or for a further one."""
        if (self._member is None or self._member.eof) and not self._begin_member():
            return False
        if not self._input and not self._fill():
            raise EOFError("the file ends before the compressed content does")
        return True

    def _begin_member(self) -> bool:
        while not self._input.strip(b"\x00"):
            if not self._fill():
                return False
        self._input = self._input.lstrip(b"\x00")
        if len(self._input) == 1:
            self._input += self._packed.read(1)
        if not GZIP_MAGIC.startswith(self._input[:2]):
            raise TrailingBytesError("bytes behind its compressed content that are no gzip")
        self._member = zlib.decompressobj(_GZIP_HEADER)
        return True

    def _fill(self) -> bool:
        self._input = self._packed.read(INPUT_BYTES)
        return bool(self._input)
