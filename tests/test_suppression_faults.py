"""The suppression list under faults and in any order of commands, against a model of Python sets."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import cli, tiny_run
from faults import FaultyDisk, call, in_child, warm
from planted_people import plant
from predict_age.source.suppression import hidden_people
from predict_age.storage import durable_files
from predict_age.storage.workspace import Workspace
from test_suppression_runs import pids, suppress

EXAMPLES = int(os.environ.get("SUPPRESSION_EXAMPLES", "2"))
OLD, NEW = [11, 12], [13, 14]


def hidden(workspace: Path) -> list[int]:
    ids = np.array([*OLD, *NEW], np.int64)
    return ids[hidden_people(ids, Workspace(workspace).suppression, "integer")[0]].tolist()


def commanded(workspace: Path, at: int, fault: str, *more: object) -> int:
    """The command ``suppress`` with a fault at one of its file operations; writes their number to a file."""
    attic = workspace.with_name("attic")
    attic.mkdir(exist_ok=True)
    disk = durable_files.disk = FaultyDisk(at, fault, attic)
    code = call(["suppress", "--workspace", workspace, "--pid-file", workspace.with_name("ids"), *more])[0]
    workspace.with_name("operations").write_text(str(disk.count))
    return code


@pytest.mark.parametrize(("first", "fault"), [(True, "power"), (False, "kill")])
def test_a_command_that_dies_changes_the_list_or_does_not(first: bool, fault: str, tmp_path: Path) -> None:
    """At every file operation (of the first command: at every third): the list is the old or the new one and can be used, and the command once more makes the new one."""
    warm()
    (tmp_path / "ids").write_text("".join(f"{i}\n" for i in NEW))
    template, log = tmp_path / "template", tmp_path / "log"
    template.mkdir()
    if not first:
        suppress(template, OLD)
    calm = tmp_path / "calm"
    shutil.copytree(template, calm)
    assert in_child(lambda: commanded(calm, 0, fault), log) == 0, log.read_text()
    operations = int((tmp_path / "operations").read_text())
    assert operations > 10
    before, after = [] if first else OLD, NEW if first else [*OLD, *NEW]
    assert hidden(calm) == after
    for at in range(1, operations + 1, 1 if EXAMPLES > 2 or not first else 3):
        workspace = tmp_path / "work"
        shutil.copytree(template, workspace)
        assert in_child(lambda: commanded(workspace, at, fault), log) < 0, log.read_text()  # noqa: B023
        assert hidden(workspace) in (before, after), at
        assert in_child(lambda: commanded(workspace, 0, fault), log) == 0, log.read_text()  # noqa: B023
        assert hidden(workspace) == after, at
        assert len(list((workspace / "suppression").iterdir())) == 3, at
        shutil.rmtree(workspace)
        shutil.rmtree(tmp_path / "attic", ignore_errors=True)


IDS = st.sets(st.integers(0, 5), min_size=1, max_size=4)
ACTIONS = st.one_of(
    st.tuples(st.just("suppress"), IDS),
    st.tuples(st.just("release"), IDS),
    st.tuples(st.just("run"), st.booleans()),
    st.tuples(st.just("roll back"), st.integers(0, 5)),
    st.tuples(st.just("prune"), st.integers(1, 3)),
)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 10, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(ACTIONS, min_size=5, max_size=7))
def test_commands_in_any_order_show_whom_they_must(
    two_people: tuple[Path, Path, list[int]], actions: list[tuple[str, Any]]
) -> None:
    """Who is shown: those in the current run who are neither listed nor were released after it was made."""
    source, template, planted = two_people
    folder = Path(tempfile.mkdtemp(dir=template.parent))
    workspace = folder / "work"
    shutil.copytree(template, workspace)
    everybody = pids(workspace)
    space = Workspace(workspace)
    generation, listed, released = 0, set[int](), dict[int, int]()
    runs = {space.published.current: (0, everybody)}
    for action, argument in actions:
        if action in ("suppress", "release"):
            people = {planted[i] for i in argument}
            changed = people & listed if action == "release" else people - listed
            found = suppress(workspace, people, *(["--remove"] if action == "release" else []), check=0)
            assert found["changed"] == len(changed)
            generation += bool(changed) or (generation == 0)
            released = {p: g for p, g in released.items() if p not in people or action == "release"}
            if action == "release":
                released |= dict.fromkeys(changed, generation)
                listed -= changed
            else:
                listed |= changed
        elif action == "run":
            outcome = tiny_run(source, workspace, *(["--model", "champion"] if argument else ["--base", "current"]))
            assert outcome.code == 0, outcome.said
            runs[outcome.run["run_id"]] = (generation, everybody - listed)
        elif action == "roll back":
            cli("rollback", "--workspace", workspace, "--to", sorted(runs)[argument % len(runs)])
        else:
            cli("prune", "--workspace", workspace, "--keep", argument)
            there = {folder.id for folder in space.runs()}
            runs = {run: made for run, made in runs.items() if run in there}
        made_with, members = runs[space.published.current]
        gone = listed | {p for p, g in released.items() if g > made_with}
        assert pids(workspace) == members - gone, (action, argument)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[int]]:
    """A source, a workspace with one published run, and six ids."""
    folder = tmp_path_factory.mktemp("any-order")
    planted = plant(folder, people=120, planted=6, odd_rows=False)
    assert tiny_run(planted.source, folder / "template").code == 0
    return planted.source, folder / "template", planted.ids
