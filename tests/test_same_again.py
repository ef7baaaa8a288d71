"""The same event twice is one run, and a workspace whose pointer is gone is damaged, not new."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import TINY, Outcome, cli, tiny_run, write_jsonl
from faults import call
from predict_age.storage.workspace import DONE, INTERRUPTED, RUNNING, Workspace

FIRST, SECOND = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00+01:00"


@pytest.fixture(scope="module")
def once(people_rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A source of 300 people, and a workspace with one published run."""
    folder = tmp_path_factory.mktemp("once")
    source = write_jsonl(folder / "people.jsonl", people_rows[:300])
    done = tiny_run(source, folder / "w", "--timestamp", FIRST)
    assert done.code == 0, done.said
    return source, done


@pytest.fixture
def copy(once: tuple[Path, Outcome], tmp_path: Path) -> tuple[Path, Path]:
    """The source, and a copy of the workspace."""
    shutil.copytree(once[1].workspace, tmp_path / "w")
    return once[0], tmp_path / "w"


@pytest.mark.parametrize("named", [("--model", "champion"), ("--base", "current"), ("--model", "VERSION"), ("--base", "QUARTER")])
def test_names_of_models_mean_the_same_in_the_same_event(copy: tuple[Path, Path], named: tuple[str, str]) -> None:
    """Twice, one after the other: the second time the run is done already, whatever "champion" and "current" mean by then."""
    source, workspace = copy
    first = Workspace(workspace).runs()[0]
    names = {"VERSION": json.loads((first.path / "steps/training.json").read_text())["facts"]["model_version"], "QUARTER": "2025q3"}
    option = (named[0], names.get(named[1], named[1]))
    runs = [tiny_run(source, workspace, *option, "--timestamp", SECOND) for _ in range(2)]
    assert [run.code for run in runs] == [0, 0], runs[1].said
    assert runs[0].run["run_id"] == runs[1].run["run_id"] == Workspace(workspace).published.current
    assert "is done already" in runs[1].said
    assert len(Workspace(workspace).runs()) == 2
    other = tiny_run(source, workspace, *option, "--timestamp", "2026-11-03T00:00:00Z")
    assert other.run["run_id"] != runs[0].run["run_id"]  # another event is another run


def test_challengers_mean_the_same_in_the_same_event(copy: tuple[Path, Path]) -> None:
    """Also models that predict a share of the people."""
    source, workspace = copy
    config = TINY.replace("[prediction]", "[prediction]\nchallengers = {champion = 0.2}")
    runs = [tiny_run(source, workspace, "--timestamp", SECOND, config=config) for _ in range(2)]
    assert [run.code for run in runs] == [0, 0], runs[0].said
    assert runs[0].run["run_id"] == runs[1].run["run_id"]
    assert len(Workspace(workspace).runs()) == 2


def test_another_event_at_the_same_time_is_another_run(copy: tuple[Path, Path]) -> None:
    """Base and model are told apart by what was asked for."""
    source, workspace = copy
    one = tiny_run(source, workspace, "--model", "champion", "--timestamp", SECOND)
    two = tiny_run(source, workspace, "--model", "champion", "--shadow", "--timestamp", SECOND)
    assert one.run["run_id"] != two.run["run_id"]
    again = tiny_run(source, workspace, "--model", "champion", "--shadow", "--timestamp", SECOND)
    assert again.run["run_id"] == two.run["run_id"]
    shadow = str(two.run["run_id"])
    before = cli("status", "--workspace", workspace).stdout
    assert f"ab current {shadow} --truth FILE" in before and "predict-age sql" not in before
    assert cli("runs", "--workspace", workspace).stdout.count("(shadow)") == 1
    cli("rollback", "--to", shadow, "--workspace", workspace)
    after = cli("status", "--workspace", workspace).stdout
    assert "not published" not in after and "predict-age sql" in after
    assert "(shadow)" not in cli("runs", "--workspace", workspace).stdout


@pytest.mark.parametrize(
    "command",
    [
        ["prune", "--keep", "1"],
        ["prune", "--keep", "1", "--dry-run"],
        ["runs"],
        ["sql", "SELECT 1"],
        ["verify"],
        ["resume"],
        ["diff", "current", "2025q3"],
    ],
    ids=" ".join,
)
def test_a_missing_pointer_is_damage(copy: tuple[Path, Path], command: list[str]) -> None:
    """Nothing says that the finished runs were never published: exit code 4, and nothing is removed."""
    _, workspace = copy
    before = [run.id for run in Workspace(workspace).runs()]
    (workspace / "published.json").unlink()
    code, _, err = call([*command, "--workspace", workspace])
    assert code == 4, err
    assert "published.json is missing" in err
    assert "rollback --to" in err
    assert [run.id for run in Workspace(workspace).runs()] == before
    assert not (workspace / "published.json").exists()


def test_a_run_does_not_begin_beside_a_missing_pointer(copy: tuple[Path, Path]) -> None:
    """It would publish as the first one; rollback writes the pointer again, and then it may."""
    source, workspace = copy
    (workspace / "published.json").unlink()
    refused = tiny_run(source, workspace, "--timestamp", SECOND)
    assert refused.code == 4
    assert "published.json is missing" in refused.said
    run = Workspace(workspace).runs()[0].id
    code, out, err = call(["rollback", "--to", run, "--workspace", workspace, "--json"])
    assert code == 0, err
    assert json.loads(out)["current"] == run
    assert call(["verify", "--workspace", workspace])[0] == 0
    assert tiny_run(source, workspace, "--timestamp", SECOND).code == 0


def test_a_new_workspace_needs_no_pointer(tmp_path: Path) -> None:
    """Without finished runs nothing is missing."""
    (tmp_path / "runs").mkdir()
    assert Workspace(tmp_path).published.current == ""
    assert call(["prune", "--workspace", tmp_path])[0] == 0


@pytest.mark.parametrize("late", ["final_results", "post_cleanup", "report"])
def test_killed_after_the_pointer(copy: tuple[Path, Path], late: str) -> None:
    """Readers see the whole result: verify finds nothing damaged and says that resume writes the last records."""
    _, workspace = copy
    run = Workspace(workspace).runs()[0]
    for name in ("final_results", "post_cleanup", "report")[("final_results", "post_cleanup", "report").index(late) :]:
        path = run.report if name == "report" else run.step_file(name)
        path.unlink()
    run.set_status(RUNNING, 0)
    assert run.status == INTERRUPTED
    code, out, err = call(["verify", "--workspace", workspace, "--json"])
    assert code == 0, err
    assert any("`predict-age resume`" in check for check in json.loads(out)["checks"])
    assert json.loads(out)["rows"] == 300
    assert call(["resume", "--workspace", workspace])[0] == 0
    assert run.status == DONE
    code, out, _ = call(["verify", "--workspace", workspace, "--json"])
    assert code == 0
    assert not any("resume" in check for check in json.loads(out)["checks"])


def test_the_status_of_a_run_at_work_says_to_wait(copy: tuple[Path, Path]) -> None:
    """``resume`` would end with 75 while the run holds the workspace; once nobody does, it is the next command."""
    _, workspace = copy
    run = Workspace(workspace).runs()[0]
    with Workspace(workspace).hold("run", 60) as permission:
        run.set_status(RUNNING, permission.token)
        assert run.status == RUNNING
        _, at_work, _ = call(["status", "--workspace", workspace])
    _, killed, _ = call(["status", "--workspace", workspace])
    assert "Next    wait: the run is at work" in at_work and "resume" not in at_work
    assert "Next    predict-age resume" in killed


def test_damage_of_a_killed_run_is_found(copy: tuple[Path, Path]) -> None:
    """Only what comes after the pointer may be missing."""
    _, workspace = copy
    run = Workspace(workspace).runs()[0]
    run.step_file("final_results").unlink()
    run.set_status(RUNNING, 0)
    part = run.result_part(0)
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert call(["verify", "--workspace", workspace])[0] == 4


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "0999-01-01T00:00:00Z", "2025-10-23", "now"],
)
def test_times_that_are_none_are_refused(once: tuple[Path, Outcome], tmp_path: Path, text: str) -> None:
    """Beyond the calendar, or without a zone: exit code 2."""
    done = tiny_run(once[0], tmp_path / "w", "--timestamp", text)
    assert done.code == 2
    assert "--timestamp" in done.said


@pytest.mark.parametrize("as_of", ["0001-01-01", "9999-12-31"])
def test_dates_at_the_ends_of_the_calendar(once: tuple[Path, Outcome], tmp_path: Path, as_of: str) -> None:
    """Given ages count; no birth year is plausible there."""
    assert tiny_run(once[0], tmp_path / "w", as_of=as_of).code == 3, "the gate on ages that cannot be used"
    config = TINY.replace("[gates]", "[gates]\nunusable_ages = 0")
    assert tiny_run(once[0], tmp_path / "w", as_of=as_of, config=config).code == 0
