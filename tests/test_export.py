"""Results that leave the workspace: the command export, and the folder ``current`` with plain Parquet files."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import cli, shared, tiny_run
from faults import in_child
from predict_age.errors import ConfigError
from predict_age.pipeline import step_inputs
from predict_age.runs import current_folder as module
from predict_age.runs.current_folder import current_folder, follow_published
from predict_age.storage import durable_files
from predict_age.storage.documents import LocalDocuments
from predict_age.storage.output_file import OutputFile
from predict_age.storage.retention import removable, remove_runs
from predict_age.storage.workspace import Workspace


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory, small_files: Path) -> Path:
    """A workspace with two published runs, of 400 and of 500 people in two files; the first has a purpose."""

    def make(folder: Path) -> dict[str, Any]:
        people = pq.read_table(small_files / "part-0.parquet")
        for name, rows in (("a", 400), ("b", 500)):
            (folder / name).mkdir()
            pq.write_table(people.slice(0, 250), folder / name / "0.parquet")
            pq.write_table(people.slice(250, rows - 250), folder / name / "1.parquet")
        tiny_run(folder / "a", folder / "work", "--purpose", "research", "--timestamp", "2026-01-01T00:00:00Z")
        tiny_run(folder / "b", folder / "work", "--timestamp", "2026-02-01T00:00:00Z", as_of="2026-01-10")
        return {}

    return shared(tmp_path_factory, "export-runs", make)[0] / "work"


@pytest.fixture
def workspace(two_runs: Path, tmp_path: Path) -> Path:
    shutil.copytree(two_runs, tmp_path / "work", symlinks=True)
    return tmp_path / "work"


def view(workspace: Path) -> pandas.DataFrame:
    done = cli(
        "sql", "--workspace", workspace, "--format", "csv", "SELECT * FROM predict_age_final_results_with_confidence ORDER BY pid"
    )
    return pandas.DataFrame(list(csv.DictReader(done.stdout.splitlines())))


def pids(table: Any) -> list[int]:
    return sorted(int(p) for p in table["pid"].to_pylist())


def shown(workspace: Path) -> pa.Table:
    return pq.read_table(workspace / "current")


def suppress(workspace: Path, ids: list[int], *more: object) -> None:
    (workspace.parent / "ids.txt").write_text("".join(f"{i}\n" for i in ids))
    cli("suppress", "--workspace", workspace, "--pid-file", workspace.parent / "ids.txt", *more)


def test_export_is_the_view(workspace: Path, tmp_path: Path) -> None:
    expected = view(workspace)
    said = json.loads(cli("export", "--workspace", workspace, "--to", tmp_path / "a.parquet", "--json").stdout)
    assert (said["rows"], said["as_of"], said["purpose"]) == (500, "2026-01-10", "not stated")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == list(expected.columns) == said["columns"]
    assert pids(table) == [int(p) for p in expected["pid"]]
    cli("export", "--workspace", workspace, "--to", tmp_path / "a.csv")
    rows = pandas.DataFrame(list(csv.DictReader((tmp_path / "a.csv").open())))
    assert rows.sort_values("pid", key=lambda c: c.astype(int), ignore_index=True).equals(expected)
    cli("export", "--workspace", workspace, "--to", tmp_path / "b.dat", "--format", "csv", "--columns", "usable, pid")
    assert (tmp_path / "b.dat").read_text().startswith("usable,pid\n")


def test_export_carries_run_date_and_purpose(workspace: Path, tmp_path: Path) -> None:
    cli("rollback", "--workspace", workspace)
    run = json.loads((workspace / "published.json").read_text())["current"]
    said = cli("export", "--workspace", workspace, "--to", tmp_path / "a.parquet", "--columns", "pid").stdout
    metadata = pq.read_schema(tmp_path / "a.parquet").metadata
    assert metadata[b"predict_age.purpose"] == b"research"
    assert metadata[b"predict_age.run_id"] == run.encode()
    assert metadata[b"predict_age.as_of"] == b"2025-10-23"
    assert "purpose: research" in said
    assert run in said


def test_export_hides_suppressed_people_and_numbers_of_withheld_ones(workspace: Path, tmp_path: Path) -> None:
    everybody = pids(shown(workspace))
    suppress(workspace, everybody[:7])
    for name in ("a.parquet", "a.csv"):
        cli("export", "--workspace", workspace, "--to", tmp_path / name)
    assert pids(pq.read_table(tmp_path / "a.parquet")) == everybody[7:]
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert sorted(int(r["pid"]) for r in rows) == everybody[7:]
    withheld = [r for r in rows if r["prediction_source"] == "WITHHELD"]
    numbers = ("predicted_age", "age_lower", "age_upper", "confidence_pct", "confidence_score_original")
    assert all(r[n] == "" for r in withheld for n in numbers)
    assert withheld


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--to", "{here}/old.csv"], "exists already"),
        (["--to", "{here}/old.csv", "--force", "--columns", "pid,pid"], "named twice"),
        (["--to", "{here}", "--force", "--format", "csv"], "is a folder"),
        (["--to", "{here}/nowhere/new.csv"], "there is no folder"),
        (["--to", "{work}/new.csv"], "lies in the workspace"),
        (["--to", "{work}/current/new.parquet"], "lies in the workspace"),
        (["--to", "{here}/new.csv", "--columns", "pid,predicted_agee"], "did you mean 'predicted_age'?"),
        (["--to", "{here}/new.csv", "--columns", "PID"], "did you mean 'pid'?"),
        (["--to", "{here}/new.csv", "--columns", "pid,pid"], "named twice"),
        (["--to", "{here}/new.xlsx"], "the format of"),
        (["--to", "{here}/new"], "a name that ends with .parquet or .csv, or --format"),
    ],
)
def test_export_refuses(more: list[str], sentence: str, two_runs: Path, tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("mine")
    done = cli("export", "--workspace", two_runs, *(m.format(here=tmp_path, work=two_runs) for m in more), check=2)
    assert sentence in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["old.csv"]
    assert (tmp_path / "old.csv").read_text() == "mine"


def test_export_replaces_a_file_when_told_to(workspace: Path, tmp_path: Path) -> None:
    """--force puts the new rows in the place of the old file, and leaves nothing else behind."""
    (tmp_path / "ages.csv").write_text("old")
    cli("export", "--workspace", workspace, "--to", tmp_path / "ages.csv", "--columns", "pid,predicted_age", "--force")
    assert (tmp_path / "ages.csv").read_text().startswith("pid,predicted_age\n")
    assert {p.name for p in tmp_path.iterdir()} == {"ages.csv", "work"}


def test_previous_is_a_run_for_every_command(workspace: Path) -> None:
    """The run that was current before, in ``diff`` and ``score`` as in ``rollback``; none where nothing was published before."""
    published = Workspace(workspace).published
    found = json.loads(cli("diff", "previous", "current", "--workspace", workspace, "--json").stdout)
    assert (found["after"], found["before"] == published.previous) == (published.current, True)
    cli("rollback", "--workspace", workspace)
    assert Workspace(workspace).published.current == found["before"]


def test_nothing_is_exported_of_a_damaged_result(workspace: Path, tmp_path: Path) -> None:
    part = next(p.resolve() for p in (workspace / "current").iterdir())
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    cli("export", "--workspace", workspace, "--to", tmp_path / "a.parquet", check=4)
    assert not (tmp_path / "a.parquet").exists()


def test_every_tool_reads_the_current_folder(workspace: Path) -> None:
    expected = [int(p) for p in view(workspace)["pid"]]
    folder = workspace / "current"
    assert pids(pq.read_table(folder)) == expected
    assert sorted(pandas.read_parquet(folder)["pid"]) == expected
    assert polars.read_parquet(folder / "*.parquet")["pid"].sort().to_list() == expected
    assert duckdb.sql(f"SELECT count(*) FROM '{folder}/*.parquet'").fetchall() == [(500,)]
    assert all(p.is_symlink() for p in folder.iterdir())
    assert str(folder) in cli("status", "--workspace", workspace).stdout


def test_the_current_folder_follows_a_rollback(workspace: Path) -> None:
    names = {p.name for p in (workspace / "current").iterdir()}
    cli("rollback", "--workspace", workspace)
    assert len(pids(shown(workspace))) == 400
    assert set(shown(workspace)["run_id"].to_pylist()) == {Workspace(workspace).published.current}
    assert not names & {p.name for p in (workspace / "current").iterdir()}  # a reader in between fails, and mixes no two runs
    assert len(list((workspace / "runs").glob("*/readable-*"))) == 1


def test_suppressed_people_are_not_in_the_current_folder(workspace: Path) -> None:
    everybody = pids(shown(workspace))
    some = everybody[:3]
    suppress(workspace, some)
    assert pids(shown(workspace)) == everybody[3:]
    assert pq.read_schema(next((workspace / "current").iterdir())).metadata[b"predict_age.purpose"] == b"not stated"
    cli("rollback", "--workspace", workspace)
    assert not set(some) & set(pids(shown(workspace)))
    suppress(workspace, some, "--remove")  # they come back with the next run, not before
    assert not set(some) & set(pids(shown(workspace)))
    suppress(workspace, everybody)
    assert pids(shown(workspace)) == []


def test_while_the_list_is_written_there_is_no_current_folder(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    put = LocalDocuments.put

    def watched(*arguments: Any) -> None:
        if arguments[1] == "published" and "suppression" in arguments[2]:
            seen.append(os.path.lexists(workspace / "current"))
        put(*arguments)

    monkeypatch.setattr(LocalDocuments, "put", watched)
    suppress(workspace, pids(shown(workspace))[:1])
    assert seen
    assert not any(seen)


def test_a_list_that_was_not_written_brings_the_folder_back(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from predict_age.pipeline import suppress as pipeline

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline, "write_suppression_list", full)
    everybody = pids(shown(workspace))
    (workspace.parent / "ids.txt").write_text(f"{everybody[0]}\n")
    cli("suppress", "--workspace", workspace, "--pid-file", workspace.parent / "ids.txt", check=6)
    assert pids(shown(workspace)) == everybody


OPERATIONS = [(Path, n) for n in ("symlink_to", "replace", "rename", "mkdir", "unlink")] + [(module, "flush_folder")]


def killed_at(at: int, after: bool, work: Callable[[], object], log: Path) -> bool:
    """Do ``work`` in a process that dies at the operation ``at`` on the disk, before or ``after`` it; whether it came so far."""

    def disturbed() -> None:
        count = 0
        for owner, name in OPERATIONS:
            known = getattr(owner, name)

            def operation(*arguments: Any, real: Any = known, **named: Any) -> Any:
                nonlocal count
                count += 1
                if count == at and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                made = real(*arguments, **named)
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return made

            setattr(owner, name, operation)
        work()

    code = in_child(disturbed, log)
    assert code in (0, -signal.SIGKILL), log.read_text()
    return code != 0


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_moment_it_shows_one_whole_run_or_nothing(after: bool, two_runs: Path, tmp_path: Path) -> None:
    at, killed = 0, True
    while killed:
        at += 1
        workspace = tmp_path / f"w{at}"
        shutil.copytree(two_runs, workspace, symlinks=True)
        first, last = sorted(p.name for p in (workspace / "runs").iterdir())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "follow_published", lambda _: None)  # the pointer is moved, the folder is not
            cli("rollback", "--workspace", workspace)
        assert set(shown(workspace)["run_id"].to_pylist()) == {last}
        killed = killed_at(at, after, partial(follow_published, Workspace(workspace)), tmp_path / "log")
        if (workspace / "current").exists():
            rows = shown(workspace)
            assert (rows["run_id"].unique().to_pylist(), rows.num_rows) in (([first], 400), ([last], 500))
        follow_published(Workspace(workspace))
        assert shown(workspace).num_rows == 400
        assert len(list((workspace / "runs").glob("*/readable-*"))) == 1
        assert not list(workspace.glob("*.tmp"))
    assert at > 6


@pytest.mark.parametrize("after", [False, True])
def test_killed_while_people_are_suppressed_it_shows_none_of_them(after: bool, two_runs: Path, tmp_path: Path) -> None:
    hidden = pids(shown(two_runs))[:2]
    for at in range(1 + after, 20, 4):
        workspace = tmp_path / f"w{at}"
        shutil.copytree(two_runs, workspace, symlinks=True)
        killed_at(at, after, partial(suppress, workspace, hidden), tmp_path / "log")
        if Workspace(workspace).suppression is not None and (workspace / "current").exists():
            assert not set(hidden) & set(pids(shown(workspace)))
        suppress(workspace, hidden)
        assert len(pids(shown(workspace))) == 498


def test_a_copy_that_followed_the_links_is_replaced(two_runs: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "copy"
    shutil.copytree(two_runs, workspace)
    assert not (workspace / "current").is_symlink()
    some = pids(shown(workspace))[:2]
    suppress(workspace, some)
    assert (workspace / "current").is_symlink()
    assert not set(some) & set(pids(shown(workspace)))


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["notes.txt"],
        ["sales-part_1.parquet"],
        ["20250101T000000Z-0123abcd-0-part_0.parquet"],  # of a run that never was here
        ["{run}-part_0.parquet"],
        ["{run}-0-part_0.parquet", "{run}-1-part_1.parquet"],
        ["{run}-0-part_0.parquet", "notes.txt"],
        ["{run}-0-part_0.parquet/notes.txt"],
    ],
)
def test_somebody_elses_folder_stays(names: list[str], workspace: Path) -> None:
    files = [workspace / "current" / name.replace("{run}", Workspace(workspace).published.current) for name in names]
    (workspace / "current").unlink()
    (workspace / "current").mkdir()
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    said = cli("status", "--workspace", workspace).stdout
    assert "and stays" in " ".join(said.split())
    cli("rollback", "--workspace", workspace)
    suppress(workspace, [1])
    assert (workspace / "current").is_dir() and not (workspace / "current").is_symlink()
    assert [file.read_text() for file in files] == ["mine"] * len(files)
    assert current_folder(Workspace(workspace)) is None


def test_somebody_elses_link_stays(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (workspace / "current").unlink()
    (workspace / "current").symlink_to(tmp_path / "mine")
    cli("rollback", "--workspace", workspace)
    suppress(workspace, [1])
    assert (workspace / "current").readlink() == tmp_path / "mine"


def test_without_symbolic_links_there_is_no_folder(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "symlink_to", refused)
    cli("rollback", "--workspace", workspace)
    assert not os.path.lexists(workspace / "current")


def test_verify_looks_at_the_current_folder(workspace: Path) -> None:
    suppress(workspace, pids(shown(workspace))[:1])
    assert cli("verify", "--workspace", workspace).returncode == 0
    written = next(p for p in (workspace / "current").iterdir() if not p.is_symlink())
    link = next(p for p in (workspace / "current").iterdir() if p.is_symlink())
    content = written.read_bytes()
    pq.write_table(pq.read_table(written).slice(1), written)
    assert f"{written.name} is damaged" in cli("verify", "--workspace", workspace, check=4).stdout
    written.write_bytes(content)
    target = link.readlink()
    link.unlink()
    link.symlink_to(target.with_name("part_99.parquet"))
    assert f"{link.name} is damaged" in cli("verify", "--workspace", workspace, check=4).stdout


def test_verify_takes_no_folder_in_the_making_for_damage(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suppress(workspace, pids(shown(workspace))[:1])
    folder = (workspace / "current").resolve()
    shutil.copytree(folder, folder.with_name("readable-9.tmp"), symlinks=True)
    half = next(p for p in folder.with_name("readable-9.tmp").iterdir() if not p.is_symlink())
    half.write_bytes(half.read_bytes()[:99])
    assert cli("verify", "--workspace", workspace).returncode == 0
    valid = module._is_valid

    def removed_meanwhile(*arguments: Any) -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return valid(*arguments)

    monkeypatch.setattr(module, "_is_valid", removed_meanwhile)
    assert cli("verify", "--workspace", workspace).returncode == 0


@pytest.mark.parametrize("by", ["prune", "pre_cleanup"])
@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_that_is_still_shown_is_left_before_it_is_removed(
    by: str, damaged: bool, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process was killed after it had published the second run, before it led the folder there."""
    with monkeypatch.context() as patch:
        cli("rollback", "--workspace", workspace)
        patch.setattr(module, "follow_published", lambda _: None)
        cli("rollback", "--workspace", workspace)
    assert shown(workspace).num_rows == 400
    space = Workspace(workspace)
    if damaged:
        part = next(space.run(space.published.current).path.glob("results/*.parquet"))
        part.write_bytes(part.read_bytes()[:-1] + b"?")
    if by == "prune":
        assert len(json.loads(cli("prune", "--workspace", workspace, "--keep", 1, "--json").stdout)["removed"]) == 1
    else:
        remove_runs(space, removable(space, 1), step_inputs._leave_old_run)
    assert len(space.runs()) == 1
    if damaged:
        assert not os.path.lexists(workspace / "current")
    else:
        assert shown(workspace).num_rows == 500


def test_the_folder_is_not_counted_twice(workspace: Path) -> None:
    from predict_age.storage.durable_files import folder_bytes

    run = Workspace(workspace).run(Workspace(workspace).published.current)
    parts = sum(p.stat().st_size for p in (run.path / "results").glob("*.parquet"))
    before = folder_bytes(run.path)
    shutil.rmtree(run.path / "readable-0")
    assert 0 < before - folder_bytes(run.path) < parts / 10


WRITERS: dict[str, list[str]] = {
    "sql csv": ["sql", "SELECT 1 AS a", "--format", "csv", "--out"],
    "sql table": ["sql", "SELECT 1 AS a", "--out"],
    "sql parquet": ["sql", "SELECT 1 AS a", "--format", "parquet", "--out"],
    "diff": ["diff", "previous", "current", "--jump", "0", "--out"],
    "export": ["export", "--to"],
}


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "place", ["work", "work/current", "work/runs", "link", "no-folder", "file.csv/below", "/proc", "long", "taken"]
)
@pytest.mark.parametrize("command", WRITERS)
def test_files_for_users_are_new_and_outside_the_workspace(command: str, place: str, workspace: Path) -> None:
    """Exit code 2 and no new file, wherever a command is asked to write what it must not or cannot write."""
    root = workspace.parent
    (root / "link").symlink_to(workspace / "current")
    (root / "file.csv").write_text("mine")
    to = (
        root / place / "x.csv" if place not in ("long", "taken") else root / ("n" * 300 + ".csv" if place == "long" else "file.csv")
    )
    before = files_below(root)
    done = cli(*WRITERS[command], to, "--workspace", workspace, check=2)
    assert f"{to.name}" in done.stderr or f"{to.parent}" in done.stderr
    assert "internal error" not in done.stderr
    assert files_below(root) == before
    assert (root / "file.csv").read_text() == "mine"


@pytest.mark.parametrize("command", WRITERS)
def test_a_full_disk_leaves_no_half_file(command: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 6, and the name is free for the next try."""
    there = workspace.parent / "there"
    there.mkdir()
    written = durable_files.Disk.write

    def full(self: durable_files.Disk, descriptor: int, data: memoryview) -> int:
        if Path(f"/proc/self/fd/{descriptor}").readlink().parent == there:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, descriptor, data)

    monkeypatch.setattr(durable_files.Disk, "write", full)
    done = cli(*WRITERS[command], there / "x.csv", "--workspace", workspace, check=6)
    assert "the disk is full" in done.stderr
    assert not list(there.iterdir())


@pytest.mark.parametrize("kind", ["link into the workspace", "link out of the workspace", "pipe", "folder"])
def test_force_replaces_plain_files_alone(kind: str, workspace: Path) -> None:
    """Neither a link, wherever it leads, nor a pipe, nor a folder; and nothing comes into the workspace."""
    to = workspace.parent / "out.csv"
    if kind == "link into the workspace":
        to.symlink_to(workspace / "published.json")
    elif kind == "link out of the workspace":
        to, target = workspace / "out.csv", to
        to.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(to)
    else:
        to.mkdir()
    mode, before = to.lstat().st_mode, files_below(workspace.parent)
    cli("export", "--to", to, "--force", "--workspace", workspace, check=2)
    assert (to.lstat().st_mode, files_below(workspace.parent)) == (mode, before)


def test_errors_of_the_rows_are_not_blamed_on_the_file(tmp_path: Path) -> None:
    """They stay what they are: a name that cannot be created is another matter."""
    for error in (ValueError("a value"), OSError(errno.ENOENT, "a part of the result is gone"), pa.ArrowInvalid("x")):
        with pytest.raises(type(error)) as raised, OutputFile(tmp_path / "x.csv", "--to").writing():
            raise error
        assert raised.value is error
    assert not list(tmp_path.iterdir())


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    """A rename would replace it."""
    to = tmp_path / "x.csv"
    with pytest.raises(ConfigError, match="exists already"), OutputFile(to, "--to").writing() as stream:
        stream.write(b"mine")
        to.write_text("theirs")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize("name", ["current", "previous", "2025q4"])
def test_report_takes_every_name_of_a_run(name: str, workspace: Path) -> None:
    """As card, verify, score and diff do."""
    folder = Workspace(workspace).resolve(name)
    for given in (name, folder.id, folder.id[:-4]):
        assert json.loads(cli("report", "--workspace", workspace, "--run", given, "--json").stdout)["run_id"] == folder.id


def test_ab_refuses_a_run_twice(workspace: Path) -> None:
    """Its people would count twice."""
    for names in (["current", "current"], ["current", "previous", "2025q4"]):
        assert "a run is named twice" in cli("ab", *names, "--truth", "current", "--workspace", workspace, check=2).stderr
