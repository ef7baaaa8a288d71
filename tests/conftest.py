"""Shared fixtures: small generated people, a quick configuration, and one finished run that many tests look at."""

from __future__ import annotations

import datetime as dt
import fcntl
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings

import forked
from faults import call
from predict_age.storage.workspace import Workspace
from predict_age.synthetic.write import generate
from small_models import SMALL_MODELS

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # last: both folders have a faults.py, also in spawned processes
gc.disable()  # while tests are collected: it takes a third of that time, and finds nothing
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine fails no test
settings.load_profile("no clock")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a background job inherits that, and so would every run that a test starts
    signal.signal(signal.SIGINT, signal.default_int_handler)

Command = Callable[..., subprocess.CompletedProcess[str]]
AS_OF = dt.date(2025, 10, 23)
QUICK = """
[training]
rounds = 30
refit_below_rows = 0
light_rounds = 30
networks = 1
network_passes = 4
cross_fit_below_rows = 0
max_depth = 5
forest_trees = 5
forest_depth = 6
min_rows = 50

[prediction]
batch_rows = 700

[gates]
baselines = false
worse_share = 0.0

[running]
workers = 2
"""


def cli_process(*arguments: object, check: int | None = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run predict-age in a process of its own; ``check`` is the exit code that must come back. Forked where that is the same."""
    if forked.can_fork({**os.environ, **(env or {})}):
        return checked(forked.run(arguments, env=env), check)
    return python_process(*arguments, check=check, env=env)


def python_process(
    *arguments: object, check: int | None = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run predict-age as a user does, by a Python of its own."""
    command = [sys.executable, "-m", "predict_age", *map(str, arguments)]
    return checked(subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **(env or {})}), check)


def cli(*arguments: object, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    """The same command in this process, for tests that look at what it does and not at how a process ends."""
    code, out, err = call(arguments)
    return checked(subprocess.CompletedProcess(["predict-age", *map(str, arguments)], code, out, err), check)


def checked(done: subprocess.CompletedProcess[str], check: int | None) -> subprocess.CompletedProcess[str]:
    """``done``, which must have ended with ``check`` and without a stack of files."""
    assert "Traceback" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, f"exit code {done.returncode}, expected {check}\n{done.stdout}\n{done.stderr}"
    return done


def run_json(source: object, workspace: object, *more: object, check: int = 0, run: Command = cli) -> dict[str, Any]:
    """``predict-age run --json`` as a dictionary."""
    done = run("run", "--source", source, "--workspace", workspace, "--as-of", AS_OF, "--json", *more, check=check)
    return json.loads(done.stdout) if check == 0 else {"error": done.stderr}


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """A folder that ``make`` fills, once for all processes of a test session, and what it returned. Tests only read it."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, made = root / f"shared-{name}", root / f"shared-{name}.json"
    with (root / f"shared-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            made.write_text(json.dumps(make(folder)))
    return folder, json.loads(made.read_text())


def result_rows(workspace: Path) -> list[tuple[Any, ...]]:
    """All published rows but what names the run and the flag "usable", ordered by pid."""
    run = json.loads((workspace / "published.json").read_text())["current"]
    parts = sorted((workspace / "runs" / run / "results").glob("part_*.parquet"))
    table = pa.concat_tables([pq.read_table(p) for p in parts]).drop_columns(["run_id", "qa_timestamp", "usable"]).sort_by("pid")
    return list(zip(*(c.to_pylist() for c in table.columns), strict=True))


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    """Objects as JSON lines; bytes and text are written as they are."""
    with path.open("wb") as stream:
        for row in rows:
            line = row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
            stream.write(line + b"\n")
    return path


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with small models."""
    path = tmp_path_factory.mktemp("config") / "quick.toml"
    path.write_text(QUICK)
    return path


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 generated people: people/*.parquet and truth.parquet."""

    def make(folder: Path) -> dict[str, Any]:
        generate(folder, 3000, 5, AS_OF, 1)
        return {}

    return shared(tmp_path_factory, "people", make)[0]


@pytest.fixture(scope="session")
def people_rows(people: Path) -> list[dict[str, Any]]:
    """The same people as dictionaries with the profile as an object."""
    rows = pq.read_table(people / "people").to_pylist()
    return [{**r, "profile_json": json.loads(r["profile_json"])} for r in rows]


@pytest.fixture(scope="session")
def small_files(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same people as six Parquet files, so that a run has several batches."""

    def make(folder: Path) -> dict[str, Any]:
        table = pq.read_table(people / "people")
        for i in range(6):
            pq.write_table(table.slice(i * 500, 500), folder / f"part-{i}.parquet")
        return {}

    return shared(tmp_path_factory, "small", make)[0]


@pytest.fixture(scope="session")
def finished(small_files: Path, quick: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A workspace with one published run over ``small_files``, made by a Python of its own with two workers, and its JSON."""

    def make(folder: Path) -> dict[str, Any]:
        return run_json(small_files, folder / "work space ü", "--config", quick, run=python_process)

    folder, run = shared(tmp_path_factory, "finished", make)
    return folder / "work space ü", run


TINY = f"""{SMALL_MODELS}workers = 1
hang_seconds = 2
lease_seconds = 3
"""
LARGER = TINY.replace("batch_rows = 40", "batch_rows = 700")  # for thousands of people: with TINY they would make dozens of batches


@dataclass(frozen=True)
class Outcome:
    """How a command in this process ended: exit code, its JSON (or nothing), what it said on stderr, and the workspace."""

    code: int
    run: dict[str, Any]
    said: str
    workspace: Path

    @property
    def rows(self) -> dict[int, tuple[Any, ...]]:
        """The published rows by pid: (pid, age, width, confidence, source, lower, upper, model)."""
        return {r[0]: r for r in result_rows(self.workspace)}

    @property
    def published(self) -> str:
        return Workspace(self.workspace).published.current


def tiny_run(source: Path, workspace: Path, *more: object, config: str = TINY, as_of: object = AS_OF) -> Outcome:
    """A whole run in this process, with very small models: a second or two."""
    file = workspace.parent / f"{workspace.name}.toml"
    file.write_text(config)
    code, out, err = call(
        ["run", "--source", source, "--workspace", workspace, "--as-of", as_of, "--config", file, "--json", *more]
    )
    assert "Traceback" not in err
    assert code in {0, 2, 3, 4, 5, 6, 75}, (code, err)
    return Outcome(code, json.loads(out) if code == 0 else {}, err, workspace)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that share what they change, a workspace or an emulator, must run in one process: refuse to start if they would not."""
    if getattr(config.option, "loadgroup", False):
        apart = [i.nodeid for i in items if i.get_closest_marker("xdist_group") and "@" not in i.nodeid.rpartition("::")[2]]
        if apart:
            raise RuntimeError(f"pytest-xdist sends groups of tests to several processes with this pytest: {apart[:3]}")


def pytest_collection_finish() -> None:
    """From now on garbage is collected, but not among half a million objects of modules and tests, which stay."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of a test run: how many passed, failed and were skipped."""
    gc.unfreeze()  # otherwise DuckDB reports leaked objects
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    count = {k: len(reporter.stats.get(k, [])) for k in ("passed", "failed", "error", "skipped")}
    print(f"tests: {count['passed']} passed, {count['failed'] + count['error']} failed, {count['skipped']} skipped", flush=True)
