"""Bytes of a Parquet source that commands read: those of the rows that they look at, and those of all rows once."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predict_age
from conftest import AS_OF
from predict_age.config import SourceConfig
from predict_age.pipeline.estimate import estimate
from predict_age.pipeline.feature_check import check_features
from predict_age.pipeline.run_plan import checked_plan
from predict_age.proposal.sample import sample_source
from predict_age.source import parquet_file, row_group_reader
from predict_age.source.discovery import discover
from predict_age.source.row_walk import RowWalk

FILES, GROUPS, GROUP_ROWS, PROFILE_BYTES = 2, 4, 12_000, 400
PAGE_BYTES = 1 << 16
IDS_AND_AGES = 0.05  # at most, of all bytes
FEATURES = 'format = 1\n[features.t]\nkind = "number"\npath = "t"\nmin = 0\nmax = 90\ndefault = 5\nmeaning = "Years."\n'


class CountedFile(io.FileIO):
    """A file that counts the bytes read from it, by path."""

    read_bytes: ClassVar[Counter[str]] = Counter()

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(-1 if size is None else size)
        self.read_bytes[str(self.name)] += len(content)
        return content


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files whose profiles are not compressed: 2 of 41 MB are ids and ages."""
    folder, draw = tmp_path_factory.mktemp("people"), np.random.default_rng(1)
    for number in range(FILES):
        rows = GROUPS * GROUP_ROWS
        noise = base64.b64encode(draw.bytes(rows * PROFILE_BYTES * 3 // 4)).decode()
        profiles = [f'{{"t":{i % 40},"x":"{noise[i * PROFILE_BYTES : (i + 1) * PROFILE_BYTES]}"}}' for i in range(rows)]
        ages = [20 + i % 40 if i % 2 else None for i in range(rows)]
        table = pa.table({"pid": range(number * rows, (number + 1) * rows), "approximate_age": ages, "profile_json": profiles})
        options = {"compression": "none", "use_dictionary": False, "data_page_size": PAGE_BYTES}
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=GROUP_ROWS, **options)
    (folder.parent / "features.toml").write_text(FEATURES)
    return folder


@pytest.fixture
def counted(large: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], float]]:
    """The share of the source's bytes that were read since the last call. Files are closed afterwards: a cache keeps some open."""
    opened: list[CountedFile] = []

    def open_counted(path: str) -> pa.PythonFile:
        opened.append(CountedFile(path))
        return pa.PythonFile(opened[-1])

    monkeypatch.setattr(parquet_file, "random_access", open_counted)
    row_group_reader._cached_file.cache_clear()
    CountedFile.read_bytes.clear()
    size = sum(file.stat().st_size for file in large.iterdir())

    def share() -> float:
        read = sum(CountedFile.read_bytes.values())
        CountedFile.read_bytes.clear()
        return read / size

    yield share
    row_group_reader._cached_file.cache_clear()
    for file in opened:
        file.close()


def test_a_footer_costs_a_footer(large: Path, counted: Callable[[], float]) -> None:
    """Opening a file reads no rows."""
    for file in large.iterdir():
        parquet_file.open_parquet(str(file))
    assert 0 < counted() < 0.01


def test_a_sample_costs_its_pages(large: Path, counted: Callable[[], float]) -> None:
    """Each place costs a buffer and a page of each column: never the row group, and never the file."""
    size = sum(file.stat().st_size for file in large.iterdir())
    place = 1.5 * (parquet_file.COLUMN_BUFFER_BYTES + PAGE_BYTES) / size  # the first page of a buffer may end beyond it; footers
    sample = FILES * GROUPS * place
    assert sample < 0.1
    walk = RowWalk(discover(str(large)), SourceConfig(), with_profile=True, with_ids=False)
    assert sum(map(len, walk.sample(3_000))) == 3_000
    assert 0 < counted() < sample
    plan = checked_plan(str(large), str(AS_OF), large.parent / "features.toml", None, 1)
    assert check_features(plan)[0].profiles == 3_000
    assert 0 < counted() < sample
    records = len(sample_source(str(large)).records)
    assert 0 < counted() < records / (FILES * GROUPS * GROUP_ROWS) + sample
    estimate(plan)  # looks at all ids and ages, and at profiles of people with a known age, two row groups at a time
    assert 0 < counted() < 2 / (FILES * GROUPS) + IDS_AND_AGES + place


def test_all_rows_cost_all_bytes_once(large: Path, counted: Callable[[], float]) -> None:
    """Every row group is read once, as a table and by a run."""
    rows = FILES * GROUPS * GROUP_ROWS
    source = predict_age.read(str(large))
    assert source.schema.names == ["pid", "approximate_age", "profile_json"]
    counted()
    assert sum(batch.num_rows for batch in source.batches()) == rows
    assert 0.99 < counted() < 1.1
    assert sum(map(len, RowWalk(discover(str(large)), SourceConfig(), with_profile=True).all())) == rows
    assert 0.99 < counted() < 1.1
