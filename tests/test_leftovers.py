"""Leftovers of dead runs: whatever killed a run, the next command that holds the lease removes what it left; resume still works."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

import forked
from conftest import AS_OF, TINY, cli, result_rows, tiny_run
from faults import call, fingerprints
from personal_traces import Needles, traces
from planted_people import Planted, plant
from predict_age.runtime.temporary_folder import remove_dead_temporary_folders, temporary_folder
from predict_age.source.row_rules import connect
from predict_age.storage.retention import removable
from predict_age.storage.retention_rule import RunState
from predict_age.storage.spill import of_this_command, remove_dead_spills, spill_folder, spilling_into
from predict_age.storage.workspace import Workspace

STAMP = ("--timestamp", "2025-10-24T06:00:00Z", "-q")
ODD = TINY + "[source]\nmax_set_aside_share = 0.5\n"
MODULO = ODD.replace("batch_rows = 40", 'batch_rows = 40\npartition = "modulo"')


KILLER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from faults import call
import predict_age.steps.training as training
training.load_sample = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
call(sys.argv[2:])
"""


def killed_in_training(source: Path, workspace: Path, config: str) -> Path:
    """The folder of a run that SIGKILL ended in training, in a process of its own."""
    file = workspace.with_suffix(".toml")
    file.write_text(config)
    where = ["--source", source, "--workspace", workspace, "--as-of", AS_OF, "--config", file, *STAMP]
    words = [sys.executable, "-c", KILLER, Path(__file__).parent, "run", *where]
    assert subprocess.run(list(map(str, words)), check=False).returncode == -signal.SIGKILL
    (run,) = (workspace / "runs").iterdir()
    return run


def kept_copies(run: Path) -> list[str]:
    """Folders that hold whole profiles."""
    patterns = ("training-*", "reuse-*", "spill-*", "source/working", "source/routed", "source/scratch-*")
    return sorted(p.relative_to(run).as_posix() for pattern in patterns for p in run.glob(pattern))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A text source, so that a run keeps working copies."""
    return plant(tmp_path_factory.mktemp("planted"), "jsonl", people=300)


@pytest.mark.parametrize("config", [ODD, MODULO])
def test_resume_makes_again_what_another_command_removed(planted: Planted, tmp_path: Path, config: str) -> None:
    """Killed in training: copies of profiles lie there. ``prune`` removes all of them; resume gives the bytes of a calm run."""
    calm = tiny_run(planted.source, tmp_path / "calm", *STAMP, config=config)
    run = killed_in_training(planted.source, tmp_path / "w", config)
    copies = "source/routed" if config == MODULO else "source/working"
    assert kept_copies(run) == [copies, "training-1"]
    assert traces(planted.of_fields, [run]), "whole profiles"
    cli("prune", "--workspace", tmp_path / "w", "--dry-run")
    assert kept_copies(run) == [copies, "training-1"]
    cli("prune", "--workspace", tmp_path / "w")
    assert kept_copies(run) == []
    assert traces(planted.of_fields, [run]) == []
    cli("resume", "--workspace", tmp_path / "w", "-q")
    assert result_rows(tmp_path / "w") == result_rows(tmp_path / "calm")
    assert fingerprints(run) == fingerprints(tmp_path / "calm" / "runs" / calm.published)


def test_the_same_command_again_keeps_the_working_copies(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the dead attempt's scratch goes: the source is not read again. Another run removes both."""
    run = killed_in_training(planted.source, tmp_path / "w", ODD)
    before = {p: p.stat().st_mtime_ns for p in (run / "source" / "working").iterdir()}
    assert before
    seen: list[list[str]] = []
    notice: Callable[..., None] = lambda *_, **__: seen.append(kept_copies(run))  # noqa: E731
    monkeypatch.setattr("predict_age.pipeline.runner.inspect_run", notice)
    tiny_code, _, _ = _run_again(planted, tmp_path / "w", "2025-10-24T06:00:00Z")
    assert seen == [["source/working"]]
    assert tiny_code == 1, "the notice is no inspection"
    assert {p: p.stat().st_mtime_ns for p in before} == before
    _run_again(planted, tmp_path / "w", "2025-10-25T06:00:00Z", "--purpose", "research")
    assert kept_copies(run) == []


def _run_again(planted: Planted, workspace: Path, stamp: str, *more: str) -> tuple[int, str, str]:
    config = workspace.with_suffix(".toml")
    where = ["--source", planted.source, "--workspace", workspace, "--config", config, "--as-of", AS_OF]
    return call(["run", *where, "--timestamp", stamp, "-q", *more])


def test_a_run_that_fails_leaves_no_scratch(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in training: the sample of profiles is gone when the command has ended."""

    def broken(*_: object, **__: object) -> None:
        assert list((tmp_path / "w" / "runs").glob("*/training-*/*"))
        raise MemoryError

    monkeypatch.setattr("predict_age.steps.training.load_sample", broken)
    failed = tiny_run(planted.source, tmp_path / "w", *STAMP, config=ODD)
    assert failed.code == 6
    (run,) = (tmp_path / "w" / "runs").iterdir()
    assert kept_copies(run) == ["source/working"]


def test_an_unfinished_run_expires(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest unfinished run stays for running.keep_unfinished_hours, not for ever."""
    monkeypatch.setattr("predict_age.pipeline.runner.do_step", lambda *_: 1 / 0)
    for hours, state in ((72, RunState.UNFINISHED), (0.5, RunState.EXPIRED)):
        workspace = tmp_path / f"w{hours}"
        config = ODD.replace("[running]", f"[running]\nkeep_unfinished_hours = {hours}")
        (tmp_path / "c.toml").write_text(config)
        where = ["--source", planted.source, "--workspace", workspace, "--config", tmp_path / "c.toml", "--as-of", AS_OF, "-q"]
        assert call(["run", *where])[0] == 1
        (run,) = (workspace / "runs").iterdir()
        for path in (run / "run.json", run / "status.json"):
            os.utime(path, (time.time() - 3600,) * 2)
        assert [r.run.id for r in removable(Workspace(workspace), 4)] == ([run.name] if state is RunState.EXPIRED else [])
        cli("prune", "--workspace", workspace)
        assert run.exists() == (state is RunState.UNFINISHED)


BIG = "SELECT count(*) FROM (SELECT a, row_number() OVER (ORDER BY a DESC) AS r FROM big) WHERE a <> r::VARCHAR"


def test_what_duckdb_moves_to_disk_lies_in_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sort that needs more memory than it may have writes into the run's folder, never into the current one, and is removed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").mkdir()
    with spilling_into(tmp_path / "w" / "spill-1"):
        connection = connect()
        assert connection.sql("SELECT current_setting('temp_directory')").fetchall() == [(str(tmp_path / "w" / "spill-1"),)]
        small = duckdb.connect(config={"memory_limit": "60MB", "threads": 1, "temp_directory": spill_folder()})
        small.execute("CREATE TABLE big AS SELECT md5(range::VARCHAR) AS a FROM range(1000000)")
        small.sql(BIG).fetchall()
        assert (tmp_path / "w" / "spill-1").is_dir()
    assert list((tmp_path / "w").iterdir()) == []
    assert not (tmp_path / ".tmp").exists()
    assert connect().sql("SELECT current_setting('temp_directory')").fetchall() == [("",)]


def test_folders_of_commands_that_died_are_removed(tmp_path: Path) -> None:
    """Those of living processes stay; those of other machines for a day."""
    alive = of_this_command(tmp_path)
    machine = alive.name.rpartition("-")[0]
    dead = tmp_path / f"{machine}-{2**22 + 5}"
    other, old = tmp_path / "spill-elsewhere-1", tmp_path / "spill-elsewhere-2"
    for folder in (alive, dead, other, old, tmp_path / "runs"):
        folder.mkdir()
    os.utime(old, (time.time() - 100_000,) * 2)
    assert remove_dead_spills(tmp_path) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([alive.name, other.name, "runs"])


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A temporary folder with a name that is short enough for a socket inside, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as name:
        yield Path(name)


def test_a_killed_run_leaves_nothing_in_tmpdir_after_the_next_command(planted: Planted, tmp_path: Path, short_folder: Path) -> None:
    """SIGKILL to every process of a run: sockets and heartbeats lie there until ``prune``; what others made there stays."""
    temporary = short_folder
    (temporary / "pymp-of-another-program").mkdir()
    config = tmp_path / "c.toml"
    config.write_text(ODD)
    where = ["--source", planted.source, "--workspace", tmp_path / "w", "--as-of", AS_OF, "--config", config]
    env = {"TMPDIR": str(temporary)}
    process = forked.launch(["run", *where], env=env)
    while process.poll() is None and not list(temporary.glob("predict-age-*/beats-*/*")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert [p.name for p in temporary.glob("predict-age-*/listener-*")], "a socket"
    assert forked.run(["prune", "--workspace", tmp_path / "w"], env=env).returncode == 0
    assert [p.name for p in temporary.iterdir()] == ["pymp-of-another-program"]


def test_only_dead_folders_and_old_crash_files_of_this_user_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A living command keeps its folder, and a crash file stays for a week; links and other names are left alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("predict_age.runtime.temporary_folder._own_folders", {})
    monkeypatch.setitem(multiprocessing.current_process()._config, "tempdir", str(tmp_path))  # put back after the test
    mine = temporary_folder()
    assert mine.parent == tmp_path and mine.stat().st_mode & 0o777 == 0o700
    dead, elsewhere = tmp_path / f"{mine.name.rpartition('-')[0]}-{2**22 + 5}", tmp_path / "predict-age-0x-7"
    for folder in (dead, elsewhere, tmp_path / "target"):
        folder.mkdir()
    (tmp_path / f"{dead.name}-abc").symlink_to(tmp_path / "target")
    crashes = [tmp_path / f"predict-age-crash-{name}.txt" for name in ("new", "old")]
    for file in crashes:
        file.write_text("types")
    os.utime(crashes[1], (time.time() - 8 * 86_400,) * 2)
    assert remove_dead_temporary_folders() == 2
    assert not dead.exists() and not crashes[1].exists()
    assert crashes[0].exists() and mine.is_dir() and elsewhere.is_dir() and (tmp_path / f"{dead.name}-abc").is_symlink()
    shutil.rmtree(mine)
    assert temporary_folder().is_dir(), "it is made again"


def test_every_traced_value_is_one_that_was_planted(planted: Planted) -> None:
    """The search finds the people where they are."""
    found = {t.value for t in traces(Needles.of(planted.texts, planted.ids), [planted.source])}
    assert found == {*planted.texts, *map(str, planted.ids)}


def test_earlier_versions_on_aws_stay_for_a_day() -> None:
    """Lifecycle rules of the bucket: noncurrent objects of runs, and Athena's output."""
    text = (Path(__file__).parents[1] / "terraform" / "storage" / "s3.tf").read_text()
    rules = {
        re.search(r'prefix = "([^"]+)"', rule)[1]: rule
        for rule in re.split(r"\n  rule \{", text)[1:]
        if "prefix" in rule and "noncurrent" in rule
    }
    assert set(rules) == {"${local.prefix}/runs/", "athena/"}
    for rule in rules.values():
        assert re.search(r"noncurrent_days = 1\b", rule)
    assert re.search(r"expiration \{\n      days = 1\b", rules["athena/"])
