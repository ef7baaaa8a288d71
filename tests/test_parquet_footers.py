"""Footers of Parquet files that lie or say nothing: an error with the file's name, never a process that dies or rows that are lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import cli_process
from parquet_footers import COLUMNS, GROUP_ROWS, NUM_ROWS, Struct, change_footer, groups
from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.parquet_file import open_parquet
from predict_age.source.row_group_reader import read_split, splits_of_file

ROWS, ROWS_OF_A_GROUP = 120, 40
HUGE = 2**62
PEOPLE = pa.table(
    {
        "pid": list(range(ROWS)),
        "approximate_age": [20 + i % 40 for i in range(ROWS)],
        "profile_json": [json.dumps({"t": i % 40}) for i in range(ROWS)],
    }
)
FEATURES = 'format = 1\n[features.t]\nkind = "number"\npath = "t"\nmin = 0\nmax = 90\ndefault = 5\nmeaning = "Years."\n'


def group_rows(number: int, rows: int, *, total: bool) -> Callable[[Struct], None]:
    """Claims ``rows`` of one row group, and in the ``total`` as well or not."""

    def change(footer: Struct) -> None:
        groups(footer)[number][GROUP_ROWS][1] = rows
        if total:
            footer[NUM_ROWS][1] = sum(group[GROUP_ROWS][1] for group in groups(footer))

    return change


def all_rows(rows: int) -> Callable[[Struct], None]:
    """Claims ``rows`` of the file."""
    return lambda footer: footer[NUM_ROWS].__setitem__(1, rows)


def without_chunks(*numbers: int) -> Callable[[Struct], None]:
    """Leaves the columns of some row groups out."""

    def change(footer: Struct) -> None:
        for number in numbers:
            groups(footer)[number][COLUMNS][1][1].clear()

    return change


LIES = {
    "no groups": lambda footer: groups(footer).clear(),
    "one column less": lambda footer: groups(footer)[1][COLUMNS][1][1].pop(),
    "no columns in any group": without_chunks(0, 1, 2),
    **{f"no columns in group {n}": without_chunks(n) for n in range(3)},
    **{f"{rows} rows": all_rows(rows) for rows in (-5, 0, 7, ROWS + 1, HUGE)},
    **{f"{rows} rows in group {n}": group_rows(n, rows, total=False) for rows in (-9, 0, 3, 50, HUGE) for n in range(3)},
    **{f"{rows} rows in group {n} and all": group_rows(n, rows, total=True) for rows in (-9, 50, 10**9, HUGE) for n in (0, 2)},
}


def read(path: Path) -> list[int]:
    """All ids, as a run reads them."""
    splits = splits_of_file(open_parquet(str(path)).metadata, 0, 0, str(path), working=False)
    pieces = (piece for split in splits for piece in read_split(split, SourceConfig(), with_profile=True))
    return [pid for piece in pieces for pid in piece.raw["pid"].to_pylist()]


@pytest.mark.parametrize("lie", LIES)
def test_a_footer_that_contradicts_itself_loses_nobody(lie: str, tmp_path: Path) -> None:
    """Numbers of rows too small, too large, negative; row groups without columns."""
    path = tmp_path / "a.parquet"
    pq.write_table(PEOPLE, path, row_group_size=ROWS_OF_A_GROUP)
    change_footer(path, lambda footer: None)
    assert read(path) == list(range(ROWS))
    change_footer(path, LIES[lie])
    with pytest.raises(InputError, match=r"a\.parquet"):
        read(path)


@pytest.mark.parametrize("sizes", [[0], [0, 0], [50, 0, 70], [0, ROWS], [ROWS, 0], [1] * ROWS])
def test_empty_row_groups_are_no_fault(sizes: list[int], tmp_path: Path) -> None:
    """In any place, and a file of nothing else."""
    first = 0
    with pq.ParquetWriter(tmp_path / "a.parquet", PEOPLE.schema) as writer:
        for size in sizes:
            writer.write_table(PEOPLE.slice(first, size))
            first += size
    assert read(tmp_path / "a.parquet") == list(range(first))


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a good one"])
@pytest.mark.parametrize("command", ["plan", "run", "init", "profile", "score"])
def test_a_file_without_columns_is_named(
    command: str, beside: bool, finished: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    """Arrow ends the process with SIGFPE when it reads no columns at all: of a source, and of true ages."""
    folder = tmp_path / "people"
    folder.mkdir()
    pq.write_table(pa.table({}), folder / "none.parquet")
    if beside:
        pq.write_table(PEOPLE.append_column("true_age", PEOPLE["approximate_age"]), folder / "a.parquet")
    (tmp_path / "f.toml").write_text(FEATURES)
    common = ["--source", folder, "--features", tmp_path / "f.toml", "--as-of", "2025-10-23"]
    arguments = {
        "plan": ["plan", *common],
        "run": ["run", *common, "--workspace", tmp_path / "w"],
        "init": ["init", "--source", folder, "--out", tmp_path / "out", "--yes"],
        "profile": ["profile", "--source", folder],
        "score": ["score", "current", "--truth", folder, "--workspace", finished[0]],
    }[command]
    done = cli_process(*arguments, check=2 if command == "score" else 3)
    assert "a Parquet file has no columns" in done.stderr
    assert "none.parquet" in done.stderr


@pytest.mark.parametrize("last", [0, 60])
@pytest.mark.parametrize("options", [{}, {"compression": "none", "use_dictionary": False, "write_statistics": False}])
def test_parquet_files_put_together_lose_nobody(options: dict[str, Any], last: int, tmp_path: Path) -> None:
    """The second footer gives places in the first file: of two files of one size, the second one's people were lost."""
    for name, rows in (("a", 60), ("b", last)):
        people = {"pid": range(rows), "age": [30] * rows, "profile": ['{"t": 1}'] * rows}
        schema = pa.schema([("pid", pa.int64()), ("age", pa.int64()), ("profile", pa.string())])
        pq.write_table(pa.table(people, schema=schema), tmp_path / name, **options)
        assert open_parquet(str(tmp_path / name)).metadata.num_rows == rows
    (tmp_path / "c").write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    with pytest.raises(InputError, match="several Parquet files were put together"):
        open_parquet(str(tmp_path / "c"))
