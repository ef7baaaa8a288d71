"""Writer of synthetic people: Parquet files, in parallel, with bytes that depend on the seed but not on the number of workers."""

from __future__ import annotations

import datetime as dt
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.errors import ConfigError
from predict_age.synthetic.fields import fields
from predict_age.synthetic.model import People, draw
from predict_age.synthetic.shifts import Shift, shifted, states_age

ROWS_PER_CHUNK = 50_000  # one row group, one random stream
ROWS_PER_FILE = 250_000
MAX_ROWS = 2**31
PAGE_BYTES = 4 << 20  # of the profile column: zstd compresses each page alone, and a reader holds at least one page
BIRTH_YEAR_SHARE, BOTH_SHARE, APPROXIMATE_AGE_SHARE = 0.25, 0.025, 0.10  # together 37.5 %

PEOPLE_SCHEMA = pa.schema(
    [("pid", pa.int64()), ("birth_year", pa.int32()), ("approximate_age", pa.int32()), ("profile_json", pa.string())]
)
TRUTH_SCHEMA = pa.schema([("pid", pa.int64()), ("true_age", pa.int32())])


@dataclass(frozen=True)
class Chunk:
    """Rows of one row group: number of the ``first``, ``rows`` (at most 50,000), seed, reference date, simulated drift."""

    seed: int
    first: int
    rows: int
    as_of: dt.date
    shifts: tuple[Shift, ...] = ()

    @property
    def rng(self) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence([self.seed, self.first // ROWS_PER_CHUNK])))


def people(chunk: Chunk) -> People:
    """People of ``chunk``, as :func:`~predict_age.synthetic.posterior.posterior` takes them."""
    return _drawn(chunk, chunk.rng)


def _drawn(chunk: Chunk, rng: np.random.Generator) -> People:
    return shifted(draw(rng, chunk.rows), chunk.shifts, np.random.default_rng([chunk.seed, chunk.first, 1]))


def pids(chunk: Chunk) -> NDArray[np.int64]:
    """Distinct, scattered pids: a bijection of the row number on 0..2^31-1, moved by the seed, plus 100,000,000."""
    number = np.arange(chunk.first, chunk.first + chunk.rows, dtype=np.uint64)
    scattered = (number * np.uint64(0x5851F42D) + np.uint64(chunk.seed * 7919 % MAX_ROWS)) % np.uint64(MAX_ROWS)
    return scattered.astype(np.int64) + 100_000_000


def record_batch(chunk: Chunk) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Arrow record batches (people, truth) of a chunk."""
    rng = chunk.rng
    drawn = _drawn(chunk, rng)
    drawn_uniform = rng.random(chunk.rows)
    has_birth_year = drawn_uniform < BIRTH_YEAR_SHARE + BOTH_SHARE
    has_age = (drawn_uniform >= BIRTH_YEAR_SHARE) & (drawn_uniform < BIRTH_YEAR_SHARE + BOTH_SHARE + APPROXIMATE_AGE_SHARE)
    states = states_age(drawn.age, chunk.shifts, np.random.default_rng([chunk.seed, chunk.first, 2]))
    has_birth_year, has_age = has_birth_year & states, has_age & states
    pid = pa.array(pids(chunk))
    birth_year = pa.array((chunk.as_of.year - drawn.age).astype(np.int32), mask=~has_birth_year)
    approximate_age = pa.array(drawn.age, mask=~has_age)
    profile = fields(chunk.as_of.year, chunk.as_of.month).render(drawn, rng)
    return (
        pa.RecordBatch.from_arrays([pid, birth_year, approximate_age, profile], schema=PEOPLE_SCHEMA),
        pa.RecordBatch.from_arrays([pid, pa.array(drawn.age)], schema=TRUTH_SCHEMA),
    )


def _write_file(path: str, chunks: list[Chunk], level: int) -> list[pa.RecordBatch]:
    truths = []
    how = {"compression": "zstd", "compression_level": level, "use_dictionary": False, "data_page_size": PAGE_BYTES}
    with pq.ParquetWriter(path, PEOPLE_SCHEMA, **how) as writer:
        for chunk in chunks:
            batch, truth = record_batch(chunk)
            writer.write_batch(batch, row_group_size=chunk.rows)
            truths.append(truth)
    return truths


def generate(
    out: Path,
    rows: int,
    seed: int,
    as_of: dt.date,
    workers: int,
    progress: Callable[[int], None] = lambda _: None,
    shifts: tuple[Shift, ...] = (),
    level: int = 3,
) -> None:
    """Write ``out/people/part-*.parquet`` and ``out/truth.parquet`` (pid, true_age). ``progress`` gets rows done so far.

    ``level`` is zstd's: 5 makes files a sixth smaller and takes twice the time. ``shifts`` simulate drift.
    """
    if not 0 <= rows <= MAX_ROWS:
        raise ConfigError("cannot generate that many people", expected=f"0 to {MAX_ROWS:,} rows", found=f"{rows:,}")
    folder = out / "people"
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(
            f"{folder} is not empty", expected="a new or empty folder", fix="choose another --out or remove the folder first"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(
            f"{folder} cannot be created: a file is in the way", expected="a new or empty folder", fix="choose another --out"
        ) from None
    jobs = []
    for number, start in enumerate(range(0, max(rows, 1), ROWS_PER_FILE)):
        stop = min(rows, start + ROWS_PER_FILE)
        chunks = [Chunk(seed, i, min(ROWS_PER_CHUNK, stop - i), as_of, shifts) for i in range(start, stop, ROWS_PER_CHUNK)]
        jobs.append((str(folder / f"part-{number:05d}.parquet"), chunks))
    done = 0
    with pq.ParquetWriter(out / "truth.parquet", TRUTH_SCHEMA, compression="zstd") as truth:
        for batches in _written(jobs, workers, level):
            for batch in batches:
                truth.write_batch(batch)
                done += batch.num_rows
            progress(done)


def _written(jobs: list[tuple[str, list[Chunk]]], workers: int, level: int) -> Iterator[list[pa.RecordBatch]]:
    """Write files of people; yields the truth about each, in order. This process writes a single file, workers several."""
    if len(jobs) == 1 or workers == 1:
        for path, chunks in jobs:
            yield _write_file(path, chunks, level)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[Future[list[pa.RecordBatch]]] = deque()
        for path, chunks in jobs:  # keep few files in flight, so that memory does not grow with the number of rows
            waiting.append(pool.submit(_write_file, path, chunks, level))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
