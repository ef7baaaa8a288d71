"""Encodings of text files: told by a byte order mark and by the bytes, and turned into UTF-8 while a file is read."""

from __future__ import annotations

import codecs
import io
import re
from typing import IO

from predict_age.errors import InputError
from predict_age.source.gzip_stream import GzipStream

UTF_8, UTF_8_MARKED = "utf-8", "utf-8-sig"
_MARKS = (
    (codecs.BOM_UTF8, UTF_8_MARKED),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
ONE_BYTE = ("cp1252", "iso8859-1", "iso8859-15")
FEW_BYTES = 20  # fewer outside ASCII tell nothing
# Characters that European texts in Windows-1252 have outside ASCII: letters, quotes, dashes, signs of money and units.
_WESTERN = re.compile(rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e-\xff]")
_OUTSIDE_ASCII = re.compile(rb"[\x80-\xff]")
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def encoding_of_mark(head: bytes) -> str:
    """The encoding that a byte order mark at the beginning names; "" where there is none."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), "")


def detect(head: bytes, *, western: bool) -> str:
    """The encoding of a text by its first bytes; ``western`` allows Windows-1252, which nothing but its letters tells."""
    if marked := encoding_of_mark(head):
        return marked
    sample = head[: 1 << 16]
    if b"\0" in sample and len(sample) >= 4:
        zeros = [sample[at::4].count(0) * 32 > len(sample) * 7 for at in range(4)]  # which of four bytes are nearly always zero
        if zeros[2:] == [True, True] and not zeros[0]:
            return "utf-32-le"
        if zeros[:2] == [True, True] and not zeros[3]:
            return "utf-32-be"
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        if max(even, odd) > len(sample) // 8 and min(even, odd) * 8 < max(even, odd):
            return "utf-16-le" if odd > even else "utf-16-be"
    if not western or is_utf8_prefix(head):
        return UTF_8
    outside = _OUTSIDE_ASCII.findall(head)
    in_utf8 = sum(len(found) for found in _MULTIBYTE.findall(head))
    damaged = in_utf8 * 50 > len(outside) or not all(_WESTERN.match(byte) for byte in set(outside))
    return UTF_8 if damaged else "cp1252"  # records of damaged UTF-8 are rejected one by one


def check_single_bytes(path: str, block: bytes, encoding: str) -> None:
    """Raise InputError when a block of text in ``encoding``, which has one byte a character, holds UTF-8 instead."""
    if block.isascii():
        return
    outside, in_utf8 = len(_OUTSIDE_ASCII.findall(block)), sum(len(found) for found in _MULTIBYTE.findall(block))
    if in_utf8 * 2 > outside > FEW_BYTES:
        raise InputError(
            f"{path} is not {encoding} throughout: a part of it is UTF-8",
            expected=f"text in {encoding}",
            found=f"{in_utf8:,} of {outside:,} bytes outside ASCII are UTF-8 in one block",
            fix="write the file again in one encoding, or name another one under [source]",
        )


MARKED = ("utf-16", "utf-32")  # begin with a byte order mark


def check_claim(path: str, claimed: str, shown: str) -> None:
    """Raise InputError when a file's byte order mark contradicts the encoding ``claimed`` for it."""
    family = shown.removesuffix("-sig").removesuffix("-le").removesuffix("-be")
    if shown not in (UTF_8, "cp1252") and not codecs.lookup(claimed).name.startswith(family):
        raise InputError(
            f"{path} is not {claimed}", expected=f"{claimed}, as configured", found=shown, fix="correct encoding under [source]"
        )


def is_utf8_prefix(head: bytes) -> bool:
    """Whether ``head`` is valid UTF-8, except that its last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def decode_head(head: bytes, encoding: str, path: str) -> str:
    """``head`` as text for looking at it: what cannot be decoded is replaced, a byte order mark left out.

    Raises InputError where the encoding replaces nothing, such as UTF-16 without a byte order mark.
    """
    try:
        return codecs.getincrementaldecoder(encoding)(errors="replace").decode(head).lstrip("\ufeff")
    except UnicodeError as error:
        raise not_decoded(path, encoding, str(error)) from None


def not_decoded(path: str, encoding: str, found: str) -> InputError:
    """The error of a file that is not in ``encoding`` as a whole."""
    return InputError(
        f"{path} is not {encoding}",
        expected=f"text in {encoding}"
        + (f"; without a byte order mark it is {encoding}-le or {encoding}-be" if encoding in MARKED else ""),
        found=found,
        fix='save the file as UTF-8, or name its encoding under [source]: encoding = "..."',
    )


def masked(text: bytes) -> str:
    """The form of a piece of text, for messages that must show no value of a person: letters become a, digits 9."""
    shown = re.sub(r"[^\W\d_]", "a", text.decode("utf-8", "replace"))
    return re.sub(r"\d", "9", shown).replace("\r", "\\r").replace("\n", "\\n")


class Utf8Stream(io.RawIOBase):
    """The text of ``stream``, which is in ``encoding``, as UTF-8. A byte that the encoding does not know raises InputError."""

    def __init__(self, stream: IO[bytes] | GzipStream, encoding: str, path: str) -> None:
        super().__init__()
        self._stream, self._encoding, self._path = stream, encoding, path
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
        self._read = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        while True:
            block = self._stream.read(size)
            if self._encoding in ONE_BYTE:
                check_single_bytes(self._path, block, self._encoding)
            kept = len(self._decoder.getstate()[0])
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                at = self._read - kept + error.start
                raise InputError(
                    f"{self._path} is not {self._encoding}: byte {at + 1:,} cannot be decoded",
                    expected=f"text in {self._encoding}",
                    found=f"byte 0x{error.object[error.start]:02x}: {error.reason}",
                    fix='save the file as UTF-8, or name its encoding under [source]: encoding = "..."',
                ) from None
            except UnicodeError as error:
                raise not_decoded(self._path, self._encoding, str(error)) from None
            if self._read == 0:
                text = text.removeprefix("\ufeff")
            self._read += len(block)
            if text or not block:
                return self._encoded(text)

    def _encoded(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError as error:  # decoders of some encodings let half a pair pass
            raise not_decoded(self._path, self._encoding, f"U+{ord(text[error.start]):04X}, which is no character") from None

    def close(self) -> None:
        self._stream.close()
        super().close()
