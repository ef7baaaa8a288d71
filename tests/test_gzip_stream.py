"""Gzip files: read as Python's gzip module reads them, which takes zero bytes behind the content and nothing else."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predict_age.errors import InputError
from predict_age.source.discovery import discover
from predict_age.source.filesystem import head
from predict_age.source.gzip_stream import INPUT_BYTES, GzipStream
from predict_age.source.text_stream import utf8_blocks

LINES = b"".join(b'{"pid": %d, "birth_year": 1980, "profile_json": {}}\n' % n for n in range(3000))
REFUSED = (OSError, EOFError, zlib.error)


class Trickle(io.BytesIO):
    """A file that gives at most ``most`` bytes at a time, as networks do."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.most if size is None or size < 0 else min(size, self.most))


def content_of(stream: GzipStream | gzip.GzipFile, size: int) -> bytes | None:
    """The content, read ``size`` bytes at a time; None where it is refused."""
    found = b""
    try:
        while block := stream.read(size):
            assert len(block) == size or not stream.read(1)
            found += block
    except REFUSED:
        return None
    return found


MEMBERS = st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 600), st.integers(0, 40)), min_size=1, max_size=3)


@settings(max_examples=300, deadline=None)
@given(MEMBERS, st.binary(max_size=4), st.integers(0, 30), st.sampled_from([1, 7, 64, 1 << 20]), st.sampled_from([1, 5, 1 << 20]))
def test_equals_the_gzip_module(members: list[tuple[bytes, int, int]], behind: bytes, missing: int, size: int, most: int) -> None:
    """Members one after another, zeros between and behind them, other bytes, a missing end; short reads of the file below."""
    packed = b"".join(gzip.compress(text * times, mtime=0) + bytes(zeros) for text, times, zeros in members)
    packed = (packed + behind)[: len(packed) + len(behind) - missing]
    expected = content_of(gzip.GzipFile(fileobj=io.BytesIO(packed)), 1 << 20)
    assert content_of(GzipStream(Trickle(packed, most)), size) == expected


@pytest.mark.parametrize("zeros", [1, 7, 512, 10_240, INPUT_BYTES - 1, INPUT_BYTES + 1, 3 * INPUT_BYTES])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_padded_file_is_read(zeros: int, encoding: str, tmp_path: Path) -> None:
    """By discovery, which looks at its beginning, and by the reader, which goes to its end."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINES.decode().encode(encoding)) + bytes(zeros))
    [file] = discover(str(tmp_path))
    assert b"".join(utf8_blocks(file)) == LINES
    assert head(file.path, 1 << 30, "gzip").decode(encoding).encode() == LINES


@pytest.mark.parametrize("behind", [b"x", b"\n", b"garbage" * 99, b"\x00\x00x", bytes(600) + b"\x1e", b"\x1f\x8c"])
@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_other_bytes_behind_the_content_are_refused(behind: bytes, packing: str, tmp_path: Path) -> None:
    """... by an error that says so: the file was not cut short."""
    packed = gzip.compress(LINES) if packing == "gzip" else pa.compress(LINES, codec="zstd", asbytes=True)
    path = tmp_path / "a.jsonl"
    path.write_bytes(packed + behind)
    with pytest.raises(InputError, match="take away the bytes that follow") as refused:
        b"".join(utf8_blocks(discover(str(path))[0]))
    assert "cut short" not in str(refused.value)


@pytest.mark.parametrize("kept", [1, 9, 0.5, -9, -8, -5])
def test_a_cut_file_is_refused(kept: float, tmp_path: Path) -> None:
    """... in a further member, too, and though zeros follow what is left of it."""
    member = gzip.compress(LINES)
    for first in (b"", member, member + bytes(10)):
        for zeros in (0, 600):
            cut = member[: int(len(member) * kept) if kept == 0.5 else int(kept)]
            assert content_of(GzipStream(io.BytesIO(first + cut + bytes(zeros))), 1 << 20) is None
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(member + member[:-5])
    with pytest.raises(InputError, match="cut short"):
        b"".join(utf8_blocks(discover(str(path))[0]))
