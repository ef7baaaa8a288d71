"""Nobody outside tables: people with values of their own, every command, everything that is written searched."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import personal_inventory as inventory
from personal_traces import counted, traces


def here(ground: inventory.Ground, monkeypatch: pytest.MonkeyPatch) -> inventory.Ground:
    """The same ground for commands in this process: its folders for temporary files, home and the current folder."""
    ground.in_this_process = True
    monkeypatch.setattr(tempfile, "tempdir", str(ground.root / "temporary"))
    monkeypatch.setenv("HOME", str(ground.root / "home"))
    monkeypatch.chdir(ground.root / "current")
    return ground


def test_nobody_is_found_outside_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text ids, JSON lines: runs, a second run on the first one's model, all commands that show something, queries that fail."""
    ground = here(inventory.Ground.prepared(tmp_path, "jsonl", text_ids=True, people=400), monkeypatch)
    inventory.commands(ground, everything=False)
    assert ground.places(ground.outside_tables()) == {}
    found = counted(traces(ground.planted.needles, ground.roots), ground.roots)
    assert found["runs/RUN/results/part_N.parquet"] >= 2 * len(ground.planted.ids), "ids are where they belong, as text and as pid"


def test_failures_leave_nobody_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug whose error quotes values, and SIGKILL over a sample of profiles: after the next command nobody is outside tables."""
    ground = here(inventory.Ground.prepared(tmp_path, "csv", text_ids=False, people=300), monkeypatch)
    places = tuple(p for p in inventory.PLACES if p[1] in ("load_sample", "profile_keys"))
    assert inventory.failures(ground, places) == {".".join(p): {} for p in places}
    assert list((tmp_path / "temporary").glob("predict-age-*.txt")), "a crash file was written"
