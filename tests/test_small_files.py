"""Sources of many small files: they are read together, and every row and rejected record keeps the file it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import AS_OF, tiny_run
from predict_age.config import AgesConfig, SourceConfig
from predict_age.runs.step_outputs import SMALL_FILES_ROWS, SPLITS_PER_TASK, grouped
from predict_age.source import convert as conversion
from predict_age.source.convert import TextFile, convert, converted_together
from predict_age.source.discovery import discover
from predict_age.source.parquet_file import open_parquet
from predict_age.source.row_group_reader import Split, splits_of_file
from predict_age.source.row_rules import RowRules
from predict_age.source.scan import scan
from predict_age.source.source_file import SourceFile

FILES = 150


def split(number: int, file: int, rows: int) -> Split:
    return Split(number, file, f"{file}.parquet", 0, rows, 0, False)


@pytest.mark.parametrize(
    ("splits", "first_training", "sizes"),
    [
        ([(file, 1) for file in range(SPLITS_PER_TASK + 5)], None, [SPLITS_PER_TASK, 5]),
        ([(0, 5), (1, 5), (2, 5)], 1, [1, 2]),
        ([(0, 5), (1, SMALL_FILES_ROWS), (2, 5)], None, [1, 1, 1]),
        ([(0, 150_000), (0, 150_000), (0, 150_000), (1, 5)], None, [2, 1, 1]),
        ([(0, 5), (2, 5), (9, 5)], None, [3]),
    ],
    ids=["most splits", "training source", "a large file", "one large file", "gaps"],
)
def test_small_files_share_a_task(splits: list[tuple[int, int]], first_training: int | None, sizes: list[int]) -> None:
    """Neighbouring small files do, large ones and the two sources do not; all splits are there, in order."""
    given = [split(number, *each) for number, each in enumerate(splits)]
    groups = grouped(given, first_training_file=first_training)
    assert [len(group) for group in groups] == sizes
    assert [each for group in groups for each in group] == given


def test_small_texts_share_a_working_file() -> None:
    """By bytes and by number; a large file stands alone, and the next small one begins another."""
    sizes = [10] * 3 + [conversion.SMALL_FILE + 1] + [10] * (conversion.FILES_TOGETHER + 1)
    texts = [TextFile(n, SourceFile(f"{n}.csv", "csv", "", size, 0)) for n, size in enumerate(sizes)]
    groups = converted_together(texts)
    assert [len(group) for group in groups] == [3, conversion.FILES_TOGETHER, 2]
    assert [text for group in groups for text in group] == texts


def record(pid: int) -> dict[str, Any]:
    return {"pid": pid, "approximate_age": 20 + pid % 40, "profile_json": {"years": pid % 40}}


def write_small(folder: Path, kind: str) -> dict[str, list[int]]:
    """FILES files of one to three people; some have a damaged record first, some nothing. Ids by file."""
    written: dict[str, list[int]] = {}
    pid = 0
    for number in range(FILES):
        ids = list(range(pid, pid + number % 4))
        pid += len(ids)
        path = folder / f"{number:03d}.{kind}"
        if kind == "jsonl":
            damaged = ["{oops"] if number % 10 == 3 else []
            path.write_text("".join(line + "\n" for line in damaged + [json.dumps(record(i)) for i in ids]))
        elif kind == "csv":
            damaged = ["x,y"] if number % 10 == 3 else []
            rows = [f"{i},{20 + i % 40},{i % 40}" for i in ids]
            path.write_text("\n".join(["pid,approximate_age,years", *damaged, *rows]) + "\n")
        else:
            table = pa.table({"pid": pa.array(ids, pa.int64()), "approximate_age": [20 + i % 40 for i in ids]})
            pq.write_table(table.append_column("profile_json", pa.array(["{}"] * len(ids), pa.string())), path)
        written[str(path)] = ids
    return written


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_small_files_are_judged_together(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement of SQL for many files, not one each; rows, rejected records and their files are those of each file alone."""
    (tmp_path / "people").mkdir()
    written = write_small(tmp_path / "people", kind)
    source = SourceConfig(profile_json="*" if kind == "csv" else "profile_json")
    files = discover(str(tmp_path / "people"), source)
    splits: list[Split] = []
    broken = 0
    if kind == "parquet":
        for number, file in enumerate(files):
            splits += splits_of_file(open_parquet(file.path).metadata, len(splits), number, file.path, working=False)
    else:
        texts = [TextFile(number, file) for number, file in enumerate(files)]
        made = [
            each for group in converted_together(texts) for each in convert(group, source, tmp_path / "working", tmp_path / "aside")
        ]
        assert [each.file for each in made] == list(range(FILES))
        assert len({each.path for each in made}) == 1
        for each in made:
            metadata = open_parquet(each.path).metadata
            splits += splits_of_file(
                metadata, len(splits), each.file, each.path, working=True, most_rows=50_000, groups=each.groups
            )
            broken += sum(each.broken.values())
            aside = tmp_path / "aside" / f"read-{each.file:05d}.parquet"
            assert aside.exists() == bool(each.broken)
            if each.broken:
                [row] = pq.read_table(aside).to_pylist()
                assert (row["file"], row["position"]) == (files[each.file].path, 1)
        assert broken == FILES // 10
    statements = 0
    judge = RowRules.canonical

    def counted(*arguments: Any) -> pa.Table:
        nonlocal statements
        statements += 1
        return judge(*arguments)

    monkeypatch.setattr(RowRules, "canonical", counted)
    (tmp_path / "scratch").mkdir()
    rules = RowRules(AgesConfig(), AS_OF)
    counts = [
        each
        for number, group in enumerate(grouped(splits))
        for each in scan(number, group, source, rules, 1, tmp_path / "scratch", None, [file.path for file in files])
    ]
    assert statements == 1
    read = {files[s.file].path: count.read for s, count in zip(splits, counts, strict=True)}
    assert read == {path: len(ids) for path, ids in written.items() if ids}


def test_a_source_of_small_files_gives_the_rows_of_one_file(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """A file for each ten people, JSON lines: the same published rows, and damaged records stay with their file."""
    rows = people_rows[:1500]
    for name, each in (("one", len(rows)), ("many", 10)):
        (tmp_path / name).mkdir()
        for first in range(0, len(rows), each):
            lines = [json.dumps({k: v for k, v in row.items() if v is not None}) for row in rows[first : first + each]]
            (tmp_path / name / f"{first:05d}.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "many" / "00500.jsonl").open("a").write("{oops\n")
    one, many = (tiny_run(tmp_path / name, tmp_path / f"w-{name}") for name in ("one", "many"))
    assert one.rows == many.rows
    assert (many.run["rows"]["read"], many.run["rows"]["set_aside"]) == (1501, 1)
    folder = many.workspace / "runs" / many.published
    [aside] = (folder / "set_aside").glob("*.parquet")
    [damaged] = pq.read_table(aside).to_pylist()
    assert (Path(damaged["file"]).name, damaged["position"]) == ("00500.jsonl", 11)
    assert len(list((folder / "source").rglob("working/*.parquet"))) <= 1
