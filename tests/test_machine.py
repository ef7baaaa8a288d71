"""The machine decides nothing: time zone, locale, hash seed, cores, umask, home and folder leave the bytes as they are."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import TINY

FEATURES = """format = 1
[features.since]
kind = "date"
meaning = "m"
path = "job.since"
max = 60
default = 5
[features.city]
kind = "category"
meaning = "m"
path = "job.city"
[features.first]
kind = "date"
meaning = "m"
path = "moves[0].at"
max = 60
default = 5
[features.hours]
kind = "number"
meaning = "m"
path = "hours"
min = 0
max = 100
default = 40
"""
MACHINES: dict[str, dict[str, str]] = {  # each has several properties that must not matter
    "Tokyo, German, hash seed, umask": {
        "TZ": "Asia/Tokyo",
        "LC_ALL": "de_DE.UTF-8",
        "LANG": "de_DE.UTF-8",
        "PYTHONHASHSEED": "12345",
        "TEST_UMASK": "077",
    },
    "Los Angeles, ASCII, one core": {
        "TZ": "America/Los_Angeles",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
        "TEST_CORES": "0",
    },
    "Chatham, Turkish, threads": {
        "TZ": "Pacific/Chatham",
        "LC_ALL": "tr_TR.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    },
    "no zone, home": {"TZ": ":/nowhere", "LANG": "en_US.UTF-8", "HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"},
}
COMMAND = """
import os, sys
os.umask(int(os.environ.get("TEST_UMASK", "022"), 8))
if "TEST_CORES" in os.environ:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from predict_age.__main__ import main
sys.exit(main())
"""


def people(folder: Path) -> Path:
    """200 people with times in a column, in a struct and in a list of structs, with zones and without."""
    begin = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
    rows = range(200)
    times = [begin + dt.timedelta(hours=7 * n) for n in rows]
    job = pa.struct([("since", pa.timestamp("us", "Europe/Berlin")), ("city", pa.string())])
    moves = pa.list_(pa.struct([("at", pa.timestamp("ns", "UTC")), ("to", pa.timestamp("ms"))]))
    cities = ("\u0130stanbul", "Zu\u0308rich", "I\u015f\u0131k", "Stra\u00dfe")
    table = pa.table(
        {
            "pid": pa.array([f"\u00fc{n}" if n % 2 else str(n) for n in rows]),
            "birth_date": pa.array(
                [None if n % 3 else begin - dt.timedelta(days=9000 + 40 * n) for n in rows], pa.timestamp("us", "UTC")
            ),
            "job": pa.array([{"since": t, "city": cities[n % 4]} for n, t in zip(rows, times, strict=True)], job),
            "moves": pa.array([[{"at": t, "to": t.replace(tzinfo=None)}] for t in times], moves),
            "hours": pa.array([20.0 + n % 25 for n in rows]),
        }
    )
    pq.write_table(table, folder / "people.parquet", row_group_size=50)
    return folder / "people.parquet"


def run_on(machine: dict[str, str], source: Path, folder: Path) -> dict[str, str]:
    """Hash of every file of a run on that machine that people or later runs read."""
    folder.mkdir()
    (folder / "features.toml").write_text(FEATURES, encoding="utf-8")
    (folder / "c.toml").write_text(
        f'[source]\nprofile_json = "*"\n{TINY}'.replace("workers = 1", "workers = 2").replace(
            "[gates]", "[gates]\nleak_error_share = 0"
        ),
        encoding="utf-8",
    )
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "TZ"))}
    arguments = [
        "run",
        "--source",
        source,
        "--workspace",
        folder / "w",
        "--as-of",
        "2025-10-23",
        "--timestamp",
        "2026-11-01T00:00:00Z",
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments), "--features", "features.toml", "--config", "c.toml", "--json", "-q"],
        capture_output=True,
        cwd=folder,
        env={**plain, "PYTHONHASHSEED": "0", "TZ": "UTC", **machine},
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    [run] = (folder / "w" / "runs").iterdir()
    parts = [p for name in ("results", "qa", "predictions", "model") for p in sorted((run / name).rglob("*")) if p.is_file()]
    return {p.relative_to(run).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in parts}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The source, and the files of a run in UTC."""
    folder = tmp_path_factory.mktemp("machine")
    source = people(folder)
    return source, run_on({}, source, folder / "here")


@pytest.mark.parametrize("machine", MACHINES)
def test_same_bytes_on_any_machine(here: tuple[Path, dict[str, str]], machine: str, tmp_path: Path) -> None:
    """Rows, review table, predictions, model and card are the same, byte for byte."""
    source, expected = here
    assert len(expected) > 10
    found = run_on(MACHINES[machine], source, tmp_path / "there")
    assert {name for name in expected | found if expected.get(name) != found.get(name)} == set()
