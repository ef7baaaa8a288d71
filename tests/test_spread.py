"""Samples of a source: a number of records, spread over files and row groups of whatever size and number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import AS_OF
from predict_age.config import SourceConfig
from predict_age.errors import ConfigError
from predict_age.pipeline.estimate import estimate
from predict_age.pipeline.feature_check import check_features
from predict_age.pipeline.run_plan import checked_plan
from predict_age.proposal.sample import sample_source
from predict_age.proposal.source_profile import profile_of
from predict_age.source import row_group_reader, whole_records
from predict_age.source.discovery import discover
from predict_age.source.row_walk import RowWalk
from predict_age.source.spread import PLACES, spread_order, spread_sample

FILES, RARE = 120, 5  # one person each; every RARE-th has the rare field, 24 people: of fewer than 20, `profile` shows no field
FEATURES = "format = 1\n" + "".join(
    f'[features.{name}]\nkind = "number"\npath = "{name}"\nmin = 0\nmax = 90\ndefault = 5\nmeaning = "Years."\n'
    for name in ("tenure", "rare")
)


@dataclass(frozen=True)
class Numbers:
    """Some consecutive records of a pretended file."""

    place: tuple[int, int]
    count: int

    def __len__(self) -> int:
        return self.count

    def part(self, first: int, records: int) -> Numbers:
        return Numbers((self.place[0], self.place[1] + first), max(0, min(records, self.count - first)))


def taken(sizes: list[int], most: int, chunk: int) -> tuple[list[Numbers], set[int]]:
    """The sample of pretended files that are read ``chunk`` records at a time, and the files that were opened."""
    opened, at_work = set[int](), set[int]()

    def place(number: int) -> Callable[[int], Iterator[Numbers]]:
        def pieces(_: int) -> Iterator[Numbers]:
            assert not at_work, "two places are open at a time"
            opened.add(number)
            at_work.add(number)
            try:
                for first in range(0, sizes[number], chunk):
                    yield Numbers((number, first), min(chunk, sizes[number] - first))
            finally:
                at_work.remove(number)

        return pieces

    return spread_sample([place(number) for number in range(len(sizes))], most), opened


@pytest.mark.parametrize("count", [*range(40), 100, 997, 1000, 4096])
def test_every_beginning_is_spread(count: int) -> None:
    """Each number comes once, and the first k leave no gap of more than three times the average."""
    order = spread_order(count)
    assert sorted(order) == list(range(count))
    for k in (8, 50):
        chosen = sorted(order[:k]) if count >= 4 * k else []
        gaps = [b - a for a, b in zip(chosen, [*chosen[1:], count], strict=False)]
        assert not gaps or max(gaps) <= 3 * count / k


@pytest.mark.parametrize("most", [1, 10, 500, 100_000])
@pytest.mark.parametrize("chunk", [1, 7, 10_000])
@pytest.mark.parametrize(
    "sizes",
    [[], [0], [5], [3, 0, 2], [1] * 1_000, [100_000], [1] * 300 + [50_000] + [1] * 300, [20_000] * 12, [0] * 50 + [40], [40] * 50],
    ids=str,
)
def test_a_sample_has_as_many_records_as_there_are(sizes: list[int], chunk: int, most: int) -> None:
    """No record twice, in the order of the source; every file of few is in it, and large ones share evenly."""
    if sum(sizes) > 100_000 and chunk == 1:
        chunk = 97
    pieces, _ = taken(sizes, most, chunk)
    records = [(p.place[0], p.place[1] + i) for p in pieces for i in range(len(p))]
    assert len(records) == min(most, sum(sizes))
    assert records == sorted(set(records))
    files = {file for file, _ in records}
    share = -(-most // max(1, min(PLACES, len(sizes))))
    assert len(files) >= min(-(-most // share), sum(1 for size in sizes if size))


def test_large_files_cost_little_and_small_ones_are_all_seen() -> None:
    """Few of a thousand large files are opened; of ten thousand small ones as many as it takes; a large one among small is in."""
    assert len(taken([100_000] * 1_000, 3_000, 50_000)[1]) == PLACES
    assert len(taken([1] * 10_000, 3_000, 50_000)[1]) == 3_000
    pieces, opened = taken([1] * 1_000 + [100_000] * 2, 3_000, 50_000)
    assert len(opened) == 1_002
    assert sum(len(p) for p in pieces if p.place[0] >= 1_000) == 2_000


@pytest.mark.parametrize("groups", [[4_000] * 12, [10] * 40 + [30_000] * 2, [50_000]], ids=str)
@pytest.mark.parametrize("files", [1, 3, 10])
def test_one_row_group_is_open_at_a_time(files: int, groups: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among all files: each holds its bytes as long as it is open. No record is taken twice."""
    rows = sum(groups)
    for number in range(files):
        ids = pa.table(
            {"pid": range(number * rows, (number + 1) * rows), "birth_year": [1980] * rows, "profile_json": ["{}"] * rows}
        )
        with pq.ParquetWriter(tmp_path / f"{number}.parquet", ids.schema) as writer:
            for group, size in enumerate(groups):
                writer.write_table(ids.slice(sum(groups[:group]), size))
    at_work, most = 0, 0

    def counted(tables: Callable[..., Iterator[pa.Table]]) -> Callable[..., Iterator[pa.Table]]:
        def read(*arguments: Any) -> Iterator[pa.Table]:
            nonlocal at_work, most
            at_work, most = at_work + 1, max(most, at_work + 1)
            try:
                yield from tables(*arguments)
            finally:
                at_work -= 1

        return read

    monkeypatch.setattr(row_group_reader, "_tables", counted(row_group_reader._tables))
    monkeypatch.setattr(whole_records, "_tables_of_split", counted(whole_records._tables_of_split))
    listed = discover(str(tmp_path))
    for wanted in (3_000, 40_000):
        pieces = RowWalk(listed, SourceConfig(), with_profile=True).sample(wanted)
        records = [(piece.file, piece.first + i) for piece in pieces for i in range(len(piece))]
        texts = [text for piece in whole_records.sample_records(listed, wanted) for text in piece.texts.to_pylist()]
        assert len(set(records)) == len(records) == len(set(texts)) == len(texts) == min(wanted, rows * files)
        assert (at_work, most) == (0, 1)


def person(pid: int) -> dict[str, Any]:
    profile = {"tenure": pid % 30, **({"rare": pid % 7} if pid % RARE == 3 else {})}
    return {"pid": pid, "approximate_age": 20 + pid % 40, "profile_json": profile}


def write(folder: Path, kind: str, people: list[dict[str, Any]], number: int) -> None:
    """Some people as one file."""
    path = folder / f"{number:05d}.{kind.split(maxsplit=1)[0]}"
    texts = [{**p, "profile_json": json.dumps(p["profile_json"])} for p in people]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(texts), path)
    elif kind == "csv":
        rows = [f"{t['pid']};{t['approximate_age']};{t['profile_json']}" for t in texts]
        path.write_text("\n".join(["pid;approximate_age;profile_json", *rows]) + "\n")
    elif kind == "json array":
        path.write_text(json.dumps(people, indent=2))
    elif kind == "json pretty":
        path.write_text("\n".join(json.dumps(p, indent=2) for p in people))
    else:
        path.write_text("".join(json.dumps(p) + "\n" for p in people))


KINDS = ["jsonl", "csv", "parquet", "json array", "json pretty"]


@pytest.fixture(params=[*KINDS, "mixed", "beside a large file"])
def one_each(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of one-person files, of one format or of all; or beside a file of many without the rare field."""
    folder = tmp_path / "people"
    folder.mkdir()
    kinds = KINDS if request.param in ("mixed", "beside a large file") else [request.param]
    for pid in range(FILES):
        write(folder, kinds[pid % len(kinds)], [person(pid)], pid)
    if request.param == "beside a large file":
        people = [person(pid) for pid in range(FILES, 8_000) if pid % RARE != 3]
        pq.write_table(
            pa.Table.from_pylist([{**p, "profile_json": json.dumps(p["profile_json"])} for p in people]), folder / "l.parquet"
        )
    (tmp_path / "features.toml").write_text(FEATURES)
    return folder


def test_features_that_few_small_files_have_are_found(one_each: Path, tmp_path: Path) -> None:
    """plan and run, init, and profile see them, and count as many as there are."""
    plan = checked_plan(str(one_each), str(AS_OF), tmp_path / "features.toml", None, 1)
    tenure, rare = check_features(plan)
    assert tenure.profiles >= FILES
    assert rare.readable >= FILES // RARE * 0.9
    sample = sample_source(str(one_each))
    fields = [record["profile_json"] for record in sample.records]
    profiles = [json.loads(f) if isinstance(f, str) else f for f in fields]
    assert sum("rare" in profile for profile in profiles) == FILES // RARE
    described = profile_of(str(one_each), plan.as_of, {})
    assert described.records == len(sample.records) >= FILES
    assert any(field.name.endswith("rare") for field in described.fields)
    assert estimate(plan).rows_sampled == described.records


def test_a_feature_that_no_small_file_has_is_still_refused(tmp_path: Path) -> None:
    """The check reads all formats together, and every profile."""
    for pid in range(40):
        write(tmp_path, KINDS[pid % len(KINDS)], [{**person(pid), "profile_json": {"tenure": 3}}], pid)
    (tmp_path / "features.toml").write_text(FEATURES)
    with pytest.raises(ConfigError, match="1 of 2 features") as error:
        check_features(checked_plan(str(tmp_path / "[0-9]*"), str(AS_OF), tmp_path / "features.toml", None, 1))
    assert "none of 40 profiles" in error.value.found


def test_the_walk_gives_the_same_rows_whole_and_sampled(one_each: Path) -> None:
    """A sample of everything is everything: ids, ages and profiles, read along or later."""
    files = discover(str(one_each))
    walks = [RowWalk(files, SourceConfig(), with_profile=with_profile) for with_profile in (True, False)]
    ids = [[str(i) for piece in walk.all() for i in piece.rows["pid"].to_pylist()] for walk in walks]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0])
    for walk in walks:
        pieces = walk.sample(1_000_000)
        assert sorted(str(i) for piece in pieces for i in piece.rows["pid"].to_pylist()) == sorted(ids[0])
        for piece in pieces[:: max(1, len(pieces) // 20)]:
            profiles = [json.loads(text) for text in piece.profiles().to_pylist()]
            assert [p["tenure"] for p in profiles] == [int(i) % 30 for i in piece.rows["pid"].to_pylist()]
