"""Lookup files: every person is found with the published values, damage is noticed, equal runs leave equal bytes."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import cli, result_rows
from predict_age.errors import IntegrityError
from predict_age.pipeline import verify as verification
from predict_age.pipeline.verify import verify_run
from predict_age.runs.lookup_blocks import BLOCK_PEOPLE, LookupIndex
from predict_age.runs.lookup_files import (
    LOOKUP_INDEX,
    LookupFiles,
    lookup_files,
    lookup_index,
    lookup_part,
    people_of_parts,
    scatter_part,
)
from predict_age.serving.people import PeopleInMemory, published_people
from predict_age.steps import final_results
from predict_age.storage.durable_files import file_sha256
from predict_age.storage.leftovers import remove_scratch
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.workspace import Workspace


@pytest.fixture(scope="module")
def run(finished: tuple[Path, dict[str, Any]]) -> VerifiedRun:
    workspace = Workspace.existing(finished[0])
    return verified_run(workspace, workspace.resolve("current"))


def part(path: Path, pids: list[int]) -> tuple[Path, str]:
    """A part of a result with these people; a row in five has no numbers."""
    some = [None if n % 5 == 0 else n % 100 for n in range(len(pids))]
    rows = {
        "pid": pa.array(pids, pa.int64()),
        "predicted_age": pa.array(some, pa.int32()),
        "age_lower": pa.array(some, pa.float64()),
        "age_upper": pa.array(some, pa.float64()),
        "confidence_pct": pa.array([None if s is None else 100 - 3.33 * (s % 30) for s in some], pa.float64()),
        "prediction_source": pa.array([("ML_PREDICTION", "DEFAULT", "EXISTING_AGE")[n % 3] for n in range(len(pids))], pa.string()),
        "model_version": pa.array([None if n % 3 else "age-1" for n in range(len(pids))], pa.string()),
        "usable": pa.array([n % 2 == 0 for n in range(len(pids))], pa.bool_()),
    }
    pq.write_table(pa.table(rows), path)
    return path, file_sha256(path)


def blocks_in(folder: Path, parts: list[tuple[Path, str]], files: int) -> list[tuple[Path, str]]:
    """Files of blocks of the people in ``parts``."""
    made = [folder / f"people_{n}.blocks" for n in range(files)]
    if files > 1:
        for number, written in enumerate(parts):
            scatter_part(folder, number, written, files)
    return [(path, lookup_part(path, "k", parts, folder if files > 1 else None, n).file_sha256) for n, path in enumerate(made)]


def built(folder: Path, parts: list[tuple[Path, str]], files: int) -> LookupFiles:
    lookup_index(folder / "index.bin", "k", blocks_in(folder, parts, files))
    return LookupFiles(folder, LookupIndex.read((folder / "index.bin").read_bytes()))


@settings(max_examples=15, deadline=None)
@given(
    st.sets(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 50), max_size=60),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_everybody_is_found_whatever_the_ids(
    tmp_path_factory: pytest.TempPathFactory, pids: set[int], files: int, parts: int
) -> None:
    folder = tmp_path_factory.mktemp("lookup")
    ordered = sorted(pids, key=hash)
    shares = [ordered[n::parts] for n in range(parts)]
    written = [part(folder / f"part_{n}.parquet", share) for n, share in enumerate(shares)]
    found = built(folder, written, files)
    for number in range(parts):
        for row in pq.read_table(written[number][0]).to_pylist():
            person = found.find(row["pid"])
            assert person is not None and person.part == number
            assert (person.age, person.lower, person.upper) == (row["predicted_age"], row["age_lower"], row["age_upper"])
            assert (person.pct, person.usable) == (row["confidence_pct"], row["usable"])
            assert (person.source, person.model or None) == (row["prediction_source"], row["model_version"])
    for pid in [-(2**63), 2**63 - 1, 0, *(p + 1 for p in ordered if p < 2**63 - 1)]:
        assert (found.find(pid) is None) == (pid not in pids)


def test_blocks_of_many_people(tmp_path: Path) -> None:
    """Several blocks in each of two files, equal bytes the second time, and a changed byte in one block, which the others survive."""
    pids = np.random.default_rng(3).choice(10**7, 3 * BLOCK_PEOPLE, replace=False)
    files = built(tmp_path, [part(tmp_path / "part.parquet", pids.tolist())], 2)
    assert all(files.find(int(pid)) is not None for pid in pids[::17])
    (tmp_path / "again").mkdir()
    built(tmp_path / "again", [part(tmp_path / "again" / "part.parquet", pids.tolist())], 2)
    for name in ("people_0.blocks", "people_1.blocks", "index.bin"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()
    blocks = tmp_path / "people_0.blocks"
    content = bytearray(blocks.read_bytes())
    content[-1] ^= 1
    blocks.write_bytes(content)
    again = LookupFiles(tmp_path, files._index)
    even = sorted(int(pid) for pid in pids if pid % 2 == 0)
    assert again.find(even[0]) is not None
    with pytest.raises(IntegrityError, match="damaged"):
        again.find(even[-1])


def test_a_run_leaves_files_that_find_everybody(run: VerifiedRun, finished: tuple[Path, dict[str, Any]]) -> None:
    files = lookup_files(run)
    assert files is not None and {n for n in run.files if n.startswith("lookup/")} == {LOOKUP_INDEX, "lookup/people_0.blocks"}
    rows = result_rows(finished[0])
    for row in rows[::7]:
        found = files.find(row[0])
        assert found is not None and (found.age, found.pct, found.source) == (row[1], row[3], row[4])
    assert sum(len(people.pids) for people, _ in files.each(0)) == len(rows)
    verified = verify_run(Workspace.existing(finished[0]), run.folder)
    assert not verified.problems and any("lookup" in check for check in verified.checks)


def test_a_run_without_them_is_read_from_its_result(run: VerifiedRun, finished: tuple[Path, dict[str, Any]]) -> None:
    older = VerifiedRun(run.folder, json_copy(run, {n: h for n, h in run.files.items() if not n.startswith("lookup/")}))
    people, newer = published_people(older), published_people(run)
    assert isinstance(people.records, PeopleInMemory) and not isinstance(newer.records, PeopleInMemory)
    for row in result_rows(finished[0])[::5]:
        assert people.find(row[0]) == newer.find(row[0]) is not None
    assert people.find(-5) is None


def json_copy(run: VerifiedRun, files: dict[str, str]) -> Any:
    from dataclasses import replace

    return replace(run.manifest, files=files)


@pytest.mark.parametrize("name", ["people_0.blocks", "index.bin", "people_0.json", "index.json"])
def test_verify_names_a_damaged_file(finished: tuple[Path, dict[str, Any]], tmp_path: Path, name: str) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(finished[0], workspace)
    path = next(workspace.glob(f"runs/*/lookup/{name}"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    outcome = cli("verify", "--workspace", workspace, "--json", check=4)
    assert any(name in problem for problem in json.loads(outcome.stdout)["problems"])


@pytest.mark.parametrize("change", ["twice", "another", "missing", "files"])
def test_verify_names_wrong_files_with_right_hashes(
    run: VerifiedRun, finished: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Files that the product's own writer makes of other people, or in another order of files."""
    people = pa.concat_tables(pq.read_table(run.folder.path / name) for name in run.named("results/")).sort_by("pid")
    count = people.num_rows
    rows = {
        "twice": [0, 0, *range(2, count)],
        "another": [*range(count - 1), 0],
        "missing": range(count - 1),
        "files": range(count),
    }
    pq.write_table(people.take(list(rows[change])), tmp_path / "part.parquet")
    written = [(tmp_path / "part.parquet", file_sha256(tmp_path / "part.parquet"))]
    files = 2 if change == "files" else 1
    made = blocks_in(tmp_path, written, files)
    lookup_index(tmp_path / "index.bin", "k", [*made[1:], made[0]])
    wrong = LookupFiles(tmp_path, LookupIndex.read((tmp_path / "index.bin").read_bytes()))
    monkeypatch.setattr(verification, "lookup_files", lambda _: wrong)
    problems = verify_run(Workspace.existing(finished[0]), run.folder).problems
    assert len(problems) == 1 and "lookup" in problems[0]


@pytest.mark.parametrize("wrong", [None, "missing", "more", "another value", "an empty file"])
def test_verify_holds_the_people_of_one_part(
    run: VerifiedRun, finished: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str | None
) -> None:
    """Not of all, however many files of blocks there are; differences in any of them are noticed."""
    tables = [pq.read_table(run.folder.path / name) for name in run.named("results/")]
    everybody = sum(table.num_rows for table in tables)
    held: list[int] = []

    def noted(*arguments: Any) -> Any:
        made = people_of_parts(*arguments)
        held.append(len(made[0].pids))
        return made

    monkeypatch.setattr(verification, "people_of_parts", noted)
    monkeypatch.setattr(verification, "lookup_files", lambda _: files)
    for place in range(3):
        folder = tmp_path / str(place)
        folder.mkdir()
        written = []
        for n, table in enumerate(tables):
            path = folder / f"part_{n}.parquet"
            pq.write_table(changed(table, place, wrong if n == 0 or wrong == "an empty file" else None), path)
            written.append((path, file_sha256(path)))
        files = built(folder, written, 3)
        held.clear()
        problems = verify_run(Workspace.existing(finished[0]), run.folder).problems
        assert len(problems) == (wrong is not None) and all("lookup" in problem for problem in problems)
        assert len(held) == len(tables) > 2 and max(held) < everybody * 0.6
        if wrong is None:
            assert sum(held) == everybody


def changed(people: pa.Table, place: int, wrong: str | None) -> pa.Table:
    """``people`` of whom somebody whose pid leaves the rest ``place`` when divided by three is ``wrong``."""
    rest = people["pid"].to_numpy() % 3 == place
    at = int(np.flatnonzero(rest)[-1])
    if wrong == "missing":
        return pa.concat_tables([people.slice(0, at), people.slice(at + 1)])
    if wrong == "more":
        return pa.concat_tables([people, people.slice(at, 1).set_column(0, "pid", [[300_000_000 + place]])])
    if wrong == "another value":
        usable = [u != (n == at) for n, u in enumerate(people["usable"].to_pylist())]
        return people.set_column(people.column_names.index("usable"), "usable", [usable])
    return people.filter(pa.array(~rest)) if wrong == "an empty file" else people


def test_a_step_distributes_people_to_several_files(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part is read once; the next attempt takes over what is valid, and scratch folders go, a dead attempt's too."""
    shutil.copytree(finished[0], tmp_path / "w")
    workspace = Workspace.existing(tmp_path / "w")
    run = verified_run(workspace, workspace.resolve("current"))
    results = {name: run.files[name] for name in run.named("results/")}
    people = run.manifest.books.people
    monkeypatch.setattr(final_results, "FILE_PEOPLE", people // 3 + 1)
    called: list[str] = []

    def work(function: Any, tasks: list[tuple[Any, ...]], done: Any = None, names: Any = "") -> None:
        for number, task in enumerate(tasks):
            called.append(function.__name__)
            if fails and function.__name__ == "lookup_part" and number == 1:
                raise KeyboardInterrupt
            made = function(*task)
            if done:
                done(number, made)

    lease = SimpleNamespace(token=7, check=lambda: None)
    progress = SimpleNamespace(part=lambda *_: lambda _: None)
    context: Any = SimpleNamespace(folder=run.folder, lease=lease, progress=progress, pool=SimpleNamespace(run=work))
    fails = True
    with pytest.raises(KeyboardInterrupt):
        final_results._lookup(context, results, people)
    assert called == ["scatter_part"] * len(results) + ["lookup_part"] * 2
    assert remove_scratch(run.folder) == 1
    fails = False
    outputs = final_results._lookup(context, results, people)
    assert called[len(results) + 2 :] == [*["scatter_part"] * len(results), *["lookup_part"] * 2, "lookup_index"]
    assert len(outputs) == 4 and not (run.folder.path / "lookup-7").exists()
    files = LookupFiles(run.folder.path / "lookup", LookupIndex.read((run.folder.path / LOOKUP_INDEX).read_bytes()))
    assert files.number == 3 and sum(len(found.pids) for n in range(3) for found, _ in files.each(n)) == people
    before = list(called)
    assert final_results._lookup(context, results, people) == outputs and called == before


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_files_are_closed_at_once(tmp_path: Path) -> None:
    files = built(tmp_path, [part(tmp_path / "part.parquet", list(range(9)))], 2)
    index, before = files._index, open_files()
    assert files.find(3) is not None
    gc.disable()
    try:
        del files
        assert open_files() == before - 2
        (tmp_path / "people_1.blocks").unlink()
        with pytest.raises(IntegrityError, match="cannot be read"):
            LookupFiles(tmp_path, index)
        assert open_files() <= before - 2
    finally:
        gc.enable()
