"""Lookup files of a run: written from the parts of its result, and read person by person."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.errors import IntegrityError, PredictAgeError
from predict_age.records.receipts import LookupContents, Receipt
from predict_age.runs.lookup_blocks import (
    BLOCK_HEAD,
    NO_NUMBER,
    NO_PERCENTAGE,
    FoundPerson,
    LookupIndex,
    LookupTexts,
    PeopleRecords,
    people_of_block,
)
from predict_age.runs.partitioned_output import write_partition_receipt
from predict_age.storage.durable_files import check_hash, creating
from predict_age.storage.manifest import VerifiedRun

FILE_PEOPLE = 4_000_000  # people of a file of blocks, about: a worker holds that many at a time
LOOKUP = "lookup/"
LOOKUP_INDEX = "lookup/index.bin"
KEPT_BLOCKS = 64
Part = tuple[Path, str]
_NUMBERS, _TEXTS = ("predicted_age", "age_lower", "age_upper"), ("prediction_source", "model_version")
_READ = ("pid", *_NUMBERS, "confidence_pct", *_TEXTS, "usable")


def scatter_part(scratch: Path, number: int, part: Part, files: int) -> None:
    """Keep the people of result part ``number`` in ``scratch``, those of each of ``files`` files of blocks together."""
    people = _compact(part)
    rest = (people["pid"].to_numpy() % files).astype(np.min_scalar_type(files))
    rows = people.combine_chunks().take(pa.array(np.argsort(rest, kind="stable")))
    batch = pa.record_batch([column.combine_chunks() for column in rows.columns], schema=rows.schema)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(rest, minlength=files))]).tolist()
    with pa.OSFile(str(_share(scratch, number)), "wb") as stream, pa.ipc.new_file(stream, batch.schema) as writer:
        for first, end in pairwise(bounds):
            writer.write_batch(batch.slice(first, end - first))


def lookup_part(path: Path, key: str, parts: list[Part], scratch: Path | None, number: int) -> Receipt[LookupContents]:
    """Write the blocks of the people of ``parts`` of a result, or of file ``number`` alone, once the parts are in ``scratch``."""
    records, texts = people_of_parts(parts) if scratch is None else _records(_shares(scratch, len(parts), number), 0)
    with creating(path) as stream:
        stream.write(texts.as_bytes())
        for block in records.blocks(texts):
            stream.write(block)
    check_hash(path, stream.sha256)
    return write_partition_receipt(path, key, stream, LookupContents(len(records.pids)))


def people_of_parts(parts: list[Part], first: int = 0) -> tuple[PeopleRecords, LookupTexts]:
    """The people of verified ``parts``, which are numbered from ``first`` on, and the texts of their records."""
    return _records([_compact(part) for part in parts], first)


def _share(scratch: Path, number: int) -> Path:
    return scratch / f"part_{number}.arrow"


def _shares(scratch: Path, parts: int, number: int) -> list[pa.Table]:
    """The people of file ``number`` in each of the ``parts`` that were kept in ``scratch``."""
    shares = []
    for part in range(parts):
        with pa.OSFile(str(_share(scratch, part)), "rb") as stream:  # mapped pages would all count as this process's memory
            shares.append(pa.Table.from_batches([pa.ipc.open_file(stream).get_batch(number)]))
    return shares


def _compact(part: Part) -> pa.Table:
    """The people of a verified ``part`` in few bytes: ages and ends as numbers below 256, texts as a dictionary."""
    path, digest = part
    check_hash(path, digest)
    table = pq.read_table(path, columns=list(_READ), read_dictionary=list(_TEXTS))
    small = {name: pc.fill_null(table[name], NO_NUMBER).cast(pa.uint8()) for name in _NUMBERS}
    return pa.table({name: small.get(name, table[name]) for name in _READ})


def _records(tables: list[pa.Table], first: int) -> tuple[PeopleRecords, LookupTexts]:
    """Records of the people in ``tables``, one for each part of the result from number ``first`` on, by ascending pid."""
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    part = np.repeat(np.arange(first, first + len(tables), dtype=np.uint32), [t.num_rows for t in tables])
    source, sources = _numbered(table["prediction_source"])
    model, models = _numbered(table["model_version"])
    pct, percentages = _numbered(table["confidence_pct"])
    texts = LookupTexts(
        [float(p.as_py()) for p in percentages] + [NO_PERCENTAGE],
        [*map(str, sources), ""],
        [*map(str, models), ""],
        first + len(tables),
    )
    columns = (*(table[name].to_numpy() for name in _NUMBERS), pct, source, model, table["usable"].to_numpy(), part)
    pids = table["pid"].to_numpy()
    order = _by_pid(pids)
    small = (column.astype(kind)[order] for column, kind in zip(columns, texts.kinds(), strict=True))
    return PeopleRecords(pids[order], *small), texts


def _by_pid(pids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places (n,) of ``pids`` (n,) in ascending order. Pid and place are sorted as one number where both fit into 64 bits."""
    bits = len(pids).bit_length()
    if not len(pids) or int(pids.max()) - int(pids.min()) >= 1 << 64 - bits:
        return np.argsort(pids, kind="stable")
    packed = (pids.view(np.uint64) - pids.min().view(np.uint64)) << np.uint64(bits)
    packed |= np.arange(len(pids), dtype=np.uint64)
    packed.sort()
    packed &= np.uint64((1 << bits) - 1)
    return packed.view(np.int64)


def _numbered(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.Array]:
    """Numbers (n,) of the values of a ``column``, by order of appearance, and the values; the number after the last is NULL."""
    found = column.combine_chunks()
    codes = (found.indices if isinstance(found, pa.DictionaryArray) else found).dictionary_encode()
    values = found.dictionary.take(codes.dictionary) if isinstance(found, pa.DictionaryArray) else codes.dictionary
    return pc.fill_null(codes.indices, len(values)).to_numpy(zero_copy_only=False), values


def lookup_index(path: Path, key: str, files: list[Part]) -> Receipt[LookupContents]:
    """Write the index of ``files`` of blocks."""
    texts, firsts, bounds, hashes, people = [], [], [], [], 0
    for file, digest in files:
        check_hash(file, digest)
        content = file.read_bytes()
        header, at = LookupTexts.read(content)
        first, bound, found = [], [at], list[bytes]()
        while at < len(content):
            length, number, pid, _ = BLOCK_HEAD.unpack_from(content, at)
            found.append(hashlib.sha256(memoryview(content)[at : at + length]).digest())
            at += length
            people += number
            first.append(pid)
            bound.append(at)
        texts.append(header)
        firsts.append(np.array(first, "<i8"))
        bounds.append(np.array(bound, "<i8"))
        hashes.append(np.frombuffer(b"".join(found), np.uint8).reshape(-1, 32))
    index = LookupIndex([file.name for file, _ in files], texts, firsts, bounds, hashes)
    with creating(path) as stream:
        stream.write(index.as_bytes())
    check_hash(path, stream.sha256)
    return write_partition_receipt(path, key, stream, LookupContents(people))


ReadBytes = Callable[[int, int, int], bytes]  # of a file by number: from, and how many


class LookupBlocks:
    """The people of a run in blocks, whose bytes ``read`` brings from wherever they are.

    ``damaged`` are the blocks, by file and number, that could not be read when somebody was looked up.
    """

    def __init__(self, index: LookupIndex, read: ReadBytes) -> None:
        self._index = index
        self.damaged: set[tuple[int, int]] = set()
        self._read = partial(_read_block, index, read)
        self._people = lru_cache(maxsize=KEPT_BLOCKS)(self._read)  # of no method: a cycle would keep the files open

    def find(self, pid: int) -> FoundPerson | None:
        """The record of ``pid``. Raises IntegrityError for a damaged block."""
        file = pid % self.number
        block = int(np.searchsorted(self._index.first_pids[file], pid, side="right")) - 1
        if block < 0:
            return None
        try:
            people = self._people(file, block)
        except PredictAgeError:
            self.damaged.add((file, block))
            raise
        return people.find(pid, self._index.texts[file])

    def read_damaged_again(self) -> None:
        """Raise PredictAgeError where a block that could not be read still cannot."""
        for file, block in sorted(self.damaged):
            self._read(file, block)

    @property
    def number(self) -> int:
        """Number of files."""
        return len(self._index.names)

    def each(self, file: int) -> Iterator[tuple[PeopleRecords, LookupTexts]]:
        """The people of each block of a ``file``. Raises IntegrityError where one lies where ``find`` does not look, or twice."""
        last: list[int] = []
        for block, first in enumerate(self._index.first_pids[file].tolist()):
            people = self._read(file, block)
            pids = people.pids
            ascending = bool((pids[1:] > pids[:-1]).all()) and (not last or first > last[0])
            if not len(pids) or pids[0] != first or not ascending or (pids % self.number != file).any():
                raise IntegrityError(
                    f"{LOOKUP}{self._index.names[file]} has people in the wrong place",
                    expected=f"ascending pids that leave the rest {file} when divided by {self.number}",
                    found=f"others in block {block}",
                    fix="roll back to another run",
                )
            last = pids[-1:].tolist()
            yield people, self._index.texts[file]


class LookupFiles(LookupBlocks):
    """Blocks in files of a ``folder``. They stay open: a run that is removed meanwhile is still read."""

    def __init__(self, folder: Path, index: LookupIndex) -> None:
        files: list[int] = []
        weakref.finalize(self, _close, files)
        for name in index.names:
            try:
                files.append(os.open(folder / name, os.O_RDONLY))
            except OSError as error:
                raise _unreadable(name, error) from None
        super().__init__(index, lambda file, begin, length: os.pread(files[file], length, begin))


def _read_block(index: LookupIndex, read: ReadBytes, file: int, block: int) -> PeopleRecords:
    begin, end = index.bounds[file][block : block + 2].tolist()
    try:
        content = read(file, begin, end - begin)
    except OSError as error:
        raise _unreadable(index.names[file], error) from None
    if hashlib.sha256(content).digest() != index.hashes[file][block].tobytes():
        raise IntegrityError(
            f"a block of {LOOKUP}{index.names[file]} is damaged",
            expected="the SHA-256 that the index has",
            found="another one",
            fix="`predict-age verify`; roll back to another run",
        )
    return people_of_block(content, index.texts[file])


def _unreadable(name: str, error: OSError) -> IntegrityError:
    return IntegrityError(
        f"{LOOKUP}{name} cannot be read",
        expected="the file that the run wrote",
        found=error.strerror or type(error).__name__,
        fix="`predict-age verify`; roll back to another run",
    )


def _close(files: list[int]) -> None:
    while files:
        os.close(files.pop())


def lookup_files(run: VerifiedRun) -> LookupFiles | None:
    """The lookup files of ``run``, whose index is verified; None where an earlier version left none, or they are elsewhere."""
    if LOOKUP_INDEX not in run.files or run.folder.remote:
        return None
    path = run.folder.path / LOOKUP_INDEX
    check_hash(path, run.files[LOOKUP_INDEX])
    return LookupFiles(path.parent, LookupIndex.read(path.read_bytes()))
