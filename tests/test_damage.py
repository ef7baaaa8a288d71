"""Damaged data that a server meets while it answers: the client gets 503, the operator a sentence, a metric and a health that is not ok."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import result_rows
from predict_age.errors import IntegrityError
from predict_age.predictor.profile_predictor import ProfilePredictor
from predict_age.runs.lookup_files import LookupBlocks
from predict_age.serving import damage
from predict_age.storage.publication import update_pointer
from predict_age.storage.workspace import Workspace
from served import Served, server

GOOD = b'{"profile": {"years_experience": 12, "job_level": "Senior"}}'


@pytest.fixture(scope="module")
def workspace(finished: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "w"
    shutil.copytree(finished[0], folder)
    return folder


@pytest.fixture(scope="module")
def running(workspace: Path) -> Iterator[Served]:
    with server(workspace) as served:
        yield served


@pytest.fixture
def served(running: Served) -> Iterator[Served]:
    """The server, without memory of damage and of blocks that it has read."""
    records = running.service.watch.served.people.records  # type: ignore[union-attr]
    assert isinstance(records, LookupBlocks)
    records._people.cache_clear()
    running.said.clear()
    yield running
    running.service.watch.damage.clear()


def blocks_of(workspace: Path) -> Path:
    return next((workspace / "runs" / Workspace(workspace).published.current / "lookup").glob("people_*.blocks"))


def metric(served: Served, name: str) -> float:
    lines = served.ask("GET", "/metrics")[2].decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"predict_age_{name} ")))


def is_told_once(served: Served, ask: Callable[[], int]) -> None:
    """Three requests that meet damage are 503, counted, and told in one sentence; others are answered."""
    before = metric(served, "damage_errors_total")
    assert (served.get("/health")[0], metric(served, "data_damaged")) == (200, 0)
    assert [ask() for _ in range(3)] == [503] * 3
    assert len(served.said) == 1 and "503" in served.said[0], served.said
    assert metric(served, "damage_errors_total") == before + 3 and metric(served, "data_damaged") == 1
    assert served.get("/health") == (503, {"status": "damaged"})
    assert served.get("/v2/health/ready")[0] == 200


def changed_byte(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(-9, os.SEEK_END)
        stream.write(b"damaged!")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 3)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("harm", [changed_byte, truncated, emptied])
def test_a_damaged_block(served: Served, workspace: Path, harm: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found at the next request of somebody in it, and counts until the file is what it was."""
    path, watch = blocks_of(workspace), served.service.watch
    content, pid = path.read_bytes(), max(row[0] for row in result_rows(workspace))
    harm(path)
    is_told_once(served, lambda: served.get(f"/v1/people/{pid}")[0])
    assert served.post({"pids": [pid]}, path="/v1/people:lookup")[0] == 503
    assert served.post({"pids": [pid] * 20}, path="/v1/people:lookup")[0] == 503
    assert served.post(GOOD)[0] == 200 and "lookup/" in served.said[0] and str(pid) not in "".join(served.said)
    assert not watch.damage.due()
    monkeypatch.setattr(damage, "RECHECK_SECONDS", 0)
    assert watch.damage.due()
    watch.recheck_damage()
    assert served.get("/health")[0] == 503 and len(served.said) == 1
    path.write_bytes(content)
    watch.recheck_damage()
    assert served.get("/health")[0] == 200 and served.get(f"/v1/people/{pid}")[0] == 200
    assert len(served.said) == 2 and not watch.damage.due()


@pytest.mark.parametrize("harm", [changed_byte, truncated, emptied])
@pytest.mark.parametrize("every", [1, 7, 29])
def test_a_file_is_looked_at_again_under_traffic(
    served: Served, workspace: Path, harm: Callable[[Path], None], every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that meet damage every few seconds put no look off; a file that is replaced is served within half a minute."""
    path, watch, seconds = blocks_of(workspace), served.service.watch, [1000.0]
    monkeypatch.setattr(watch.damage, "clock", lambda: seconds[0])
    content, pid = path.read_bytes(), max(row[0] for row in result_rows(workspace))
    looks: list[float] = []

    def pass_time(until: float) -> None:
        """Requests and what the server does each second beside them."""
        while seconds[0] < until:
            seconds[0] += 1
            if seconds[0] % every == 0:
                served.get(f"/v1/people/{pid}")
            if watch.damage.due():
                looks.append(seconds[0])
                watch.recheck_damage()

    harm(path)
    assert served.get(f"/v1/people/{pid}")[0] == 503
    pass_time(1065)
    assert looks == [1031, 1062] and served.get("/health")[0] == 503 and len(served.said) == 1
    path.with_name("whole").write_bytes(content)
    path.with_name("whole").replace(path)
    pass_time(1100)
    assert looks == [1031, 1062, 1093] and served.get("/health")[0] == 200
    assert served.get(f"/v1/people/{pid}")[0] == 200 and len(served.said) == 2


def test_a_disk_that_cannot_be_read(served: Served, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    pid = min(row[0] for row in result_rows(workspace))
    monkeypatch.setattr("predict_age.runs.lookup_files.os.pread", broken)
    is_told_once(served, lambda: served.get(f"/v1/people/{pid}")[0])


@pytest.mark.parametrize("body", [GOOD, b"[" + b",".join([GOOD] * 300) + b"]"])
def test_a_model_without_numbers(served: Served, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request may have one profile or many; people are still found."""

    def nothing(*_: object, **__: object) -> None:
        raise IntegrityError("the model predicts something that is no number", fix="train a new model")

    monkeypatch.setattr(ProfilePredictor, "answers_in_pieces", nothing)
    is_told_once(served, lambda: served.post(body)[0])


def test_a_run_with_a_damaged_block_is_not_served(served: Served, workspace: Path, tmp_path: Path) -> None:
    """Neither at a swap, where the one before serves on, nor at the start where a file of blocks is missing."""
    copy, watch = tmp_path / "w", served.service.watch
    shutil.copytree(workspace, copy)
    blocks_of(copy).unlink()
    with pytest.raises(IntegrityError, match="cannot be read"), server(copy):
        pass
    path = blocks_of(workspace)
    content, now = path.read_bytes(), Workspace(workspace).published
    changed_byte(path)
    watch._seen = ("", "")
    watch.follow_pointer()
    assert watch.refusals and served.get("/health")[1]["status"] == "refused a model" and metric(served, "model_refused") == 1
    path.write_bytes(content)
    update_pointer(Workspace(workspace).documents, lambda found: replace(found, manifests={now.current: "0" * 64}))
    watch.follow_pointer()
    assert watch.model_problem and len(served.said) == 2 and served.post(GOOD)[0] == 200
    update_pointer(Workspace(workspace).documents, lambda found: replace(found, manifests=now.manifests))
    watch.follow_pointer()
    assert not watch.model_problem and served.get("/health")[0] == 200


def test_the_served_run_is_looked_at_while_a_newer_one_is_refused(served: Served, workspace: Path) -> None:
    """Its damage is over once its own files are whole, whatever the pointer names by then."""
    path, watch, now = blocks_of(workspace), served.service.watch, Workspace(workspace).published
    content, pid = path.read_bytes(), max(row[0] for row in result_rows(workspace))
    changed_byte(path)
    assert served.get(f"/v1/people/{pid}")[0] == 503
    newer = "20990101T000000Z-00000000"
    documents = Workspace(workspace).documents
    update_pointer(documents, lambda found: replace(found, current=newer, champion=newer))
    try:
        watch.follow_pointer()
        watch.recheck_damage()
        assert watch.model_problem and served.get("/health") == (503, {"status": "damaged"})
        path.write_bytes(content)
        watch.recheck_damage()
        assert served.get("/health") == (200, {"status": "refused a model"}) and served.get(f"/v1/people/{pid}")[0] == 200
    finally:
        path.write_bytes(content)
        update_pointer(documents, lambda found: replace(found, current=now.current, champion=now.champion))
    watch.follow_pointer()
    assert not watch.model_problem and served.get("/health") == (200, {"status": "ok"})


@pytest.mark.parametrize("file", ["key", "list", "hashes"])
def test_a_damaged_suppression_list(finished: tuple[Path, dict[str, Any]], tmp_path: Path, file: str) -> None:
    """Nothing about people is answered until it is whole; the operator is told once."""
    from conftest import cli

    copy = tmp_path / "w"
    shutil.copytree(finished[0], copy)
    (tmp_path / "pids").write_text(f"{min(row[0] for row in result_rows(copy))}\n")
    cli("suppress", "--workspace", copy, "--pid-file", tmp_path / "pids")
    folder = copy / "suppression"
    ids = json.loads((folder / "list.json").read_text())["ids"]
    path = {"key": folder / "key", "list": folder / "list.json", "hashes": folder / Path(ids).name}[file]
    with server(copy) as served:
        watch, content = served.service.watch, path.read_bytes()
        path.write_bytes(content[:-2] + b"0\n" if file != "list" else content[:-5])
        for _ in range(2):
            watch.read_list()
        assert [served.post(GOOD)[0], served.get("/v1/people/5")[0], served.get("/v2/health/ready")[0]] == [503] * 3
        assert served.get("/health") == (503, {"status": "failing"}) and metric(served, "suppression_unusable") == 1
        assert len(served.said) == 1, served.said
        path.write_bytes(content)
        watch.read_list()
        assert served.get("/health")[0] == 200 and metric(served, "suppression_unusable") == 0
