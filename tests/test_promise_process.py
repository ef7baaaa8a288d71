"""Processes that are killed, stopped, starved or started twice: nothing is lost, nothing is doubled, and the run says so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import AS_OF, TINY, cli, result_rows, shared, tiny_run, write_jsonl
from faults import call, fingerprints
from predict_age.models import training
from predict_age.pipeline import runner
from predict_age.runs.budget import seconds_left
from predict_age.storage.lease import current_holder
from predict_age.storage.workspace import Workspace
from processes import Process, alive, start, wait_for, workers_of, writer_of

Finished = tuple[Path, dict[str, Any]]
Rows = list[dict[str, Any]]
Calm = tuple[Path, dict[str, Any]]  # a folder, and what :func:`calm_run` returns


@pytest.fixture(scope="module")
def many(quick: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with six batches, and little patience."""
    path = tmp_path_factory.mktemp("config") / "many.toml"
    path.write_text(quick.read_text().replace("batch_rows = 700", "batch_rows = 320") + "hang_seconds = 2\nlease_seconds = 3\n")
    return path


def strike(process: Process, name: str, number: signal.Signals, times: int) -> int:
    """Send a signal to whichever worker writes ``name``, whenever it does, up to so many times; returns how often."""
    struck: list[int] = []
    while process.poll() is None and len(struck) < times:
        worker = writer_of(process, name)
        if worker is not None and worker not in struck:
            with suppress(ProcessLookupError):  # it had just finished, or was being replaced
                os.kill(worker, number)
                struck.append(worker)
        time.sleep(0.002)
    return len(struck)


def test_worker_hangs(finished: Finished, small_files: Path, many: Path, tmp_path: Path) -> None:
    """A worker that is stopped in the middle of a batch is replaced; the run ends with the same rows."""
    process = start(small_files, tmp_path / "w", many)
    assert strike(process, "batch_2.parquet", signal.SIGSTOP, 1) == 1
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert result_rows(tmp_path / "w") == result_rows(finished[0])


def test_worker_is_killed_each_time_on_one_batch(finished: Finished, small_files: Path, many: Path, tmp_path: Path) -> None:
    """Three deaths on one batch end the run with exit code 6, naming the batch; the others are kept, and a resume finishes."""
    workspace = tmp_path / "w"
    process = start(small_files, workspace, many)
    assert strike(process, "batch_3.parquet", signal.SIGKILL, 99) >= 3
    _, err = process.communicate(timeout=120)
    assert process.returncode == 6, err
    assert "batch_3 killed its worker 3 times" in err
    kept = [p.stem for p in workspace.glob("runs/*/predictions/batch_*.json")]
    assert kept
    assert "batch_3" not in kept
    assert Workspace(workspace).published.current == ""
    run = json.loads(cli("resume", "--workspace", workspace, "--json").stdout)
    assert run["batches"]["kept"] == len(kept)
    assert result_rows(workspace) == result_rows(finished[0])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_asked_to_stop(number: signal.Signals, code: int, small_files: Path, many: Path, tmp_path: Path) -> None:
    """SIGTERM and Ctrl-C: done within ten seconds, one sentence, no worker left, resumable."""
    process = start(small_files, tmp_path / "w", many)
    wait_for(tmp_path / "w", "steps/read_source.json", process)
    workers = workers_of(process)
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == code, err
    assert "predict-age resume" in err
    assert "Traceback" not in err
    time.sleep(0.2)
    assert workers
    assert not alive(workers)
    assert json.loads(cli("status", "--workspace", tmp_path / "w", "--json").stdout)["status"] == "interrupted"


def test_silent_holder_wakes_up_late(finished: Finished, small_files: Path, many: Path, tmp_path: Path) -> None:
    """A run that was stopped loses its lease to the next one; when it wakes up it may not commit, and says so with 75."""
    workspace = tmp_path / "w"
    first = start(small_files, workspace, many)
    wait_for(workspace, "predictions/batch_*.json", first)
    os.killpg(first.pid, signal.SIGSTOP)
    command = ["run", "--source", small_files, "--workspace", workspace, "--as-of", AS_OF, "--config", many]
    code, _, said = call(command)
    if code == 75:  # it came before the lease had run out
        assert f"by process {first.pid}" in said
        holder = current_holder(Workspace(workspace).documents)
        assert holder is not None
        time.sleep(max(0.0, holder.seconds - holder.silence) + 0.1)
        code, _, said = call(command)
    assert code == 0, said
    published = Workspace(workspace).published
    os.killpg(first.pid, signal.SIGCONT)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 75, err
    assert "the lease expired" in err or "comes too late" in err
    after = Workspace(workspace).published
    assert (after.current, after.fence) == (published.current, published.fence)
    assert result_rows(workspace) == result_rows(finished[0])
    assert cli("verify", "--workspace", workspace).stdout.count("ok") >= 5


@pytest.mark.parametrize("runs", [2, 8])
def test_runs_at_once(runs: int, people_rows: Rows, tmp_path: Path) -> None:
    """Several runs on one workspace: one at a time works, the others exit with 75 and name it; the result is whole."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:400])
    config = tmp_path / "c.toml"
    config.write_text(TINY.replace("rounds = 3", "rounds = 300"))
    processes = [start(source, tmp_path / "w", config, "--timestamp", f"2025-10-23T06:00:{n:02d}Z") for n in range(runs)]
    ended = [(p.communicate(timeout=240)[1], p.returncode) for p in processes]
    codes = [code for _, code in ended]
    assert set(codes) <= {0, 75}, ended
    assert codes.count(0) >= 1
    assert codes.count(75) >= 1
    for said, code in ended:
        assert code == 0 or "the workspace is in use" in said
        assert code == 0 or "found: run 20251023T0600" in said
    workspace = Workspace(tmp_path / "w")
    done = [r for r in workspace.runs() if r.status == "done"]
    assert workspace.published.current in {r.id for r in done}
    cli("verify", "--workspace", tmp_path / "w")


@contextmanager
def small_disk(path: Path, size: str, *options: str) -> Iterator[None]:
    """A tmpfs of its own; the test is skipped where that is not allowed."""
    path.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", str(path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk needs the right to mount one (root)")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


def test_disk_full(people_rows: Rows, tmp_path: Path) -> None:
    """A real disk that fills up during the run: exit code 6, the old result stays; with room again the run is finished."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:600])
    with small_disk(tmp_path / "disk", "96m"):
        workspace = tmp_path / "disk" / "w"
        tiny_run(write_jsonl(tmp_path / "old.jsonl", people_rows[600:800]), workspace)
        old = Workspace(workspace).published.current
        filler = tmp_path / "disk" / "filler"
        from predict_age.steps import training as step

        plain = step.training

        def fill(run: Any) -> Any:
            result = plain(run)
            with filler.open("wb") as stream:
                try:
                    while True:
                        stream.write(bytes(1 << 16))
                        stream.flush()
                except OSError:
                    pass
            return result

        step.training = fill
        try:
            outcome = tiny_run(source, workspace)
        finally:
            step.training = plain
        assert outcome.code == 6, outcome.said
        assert "the disk is full" in outcome.said
        assert outcome.published == old
        cli("sql", "--workspace", workspace, "SELECT count(*) FROM predict_age_final_results")
        filler.unlink()
        time.sleep(3.2)  # the full disk kept this process, which lives on, from giving its lease back
        again = tiny_run(source, workspace)
        assert again.code == 0, again.said
        assert len(again.rows) == 600


@pytest.mark.parametrize("how", ["read-only disk", "a file in the way"])
def test_output_cannot_be_written(how: str, people_rows: Rows, tmp_path: Path) -> None:
    """A workspace that cannot be written: exit code 6 before any work, and which folder it is."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:100])
    if how == "a file in the way":
        (tmp_path / "file").touch()
        code, _, said = call(["run", "--source", source, "--workspace", tmp_path / "file" / "w", "--as-of", AS_OF])
    else:
        with small_disk(tmp_path / "ro", "1m", "ro"):
            code, _, said = call(["run", "--source", source, "--workspace", tmp_path / "ro" / "w", "--as-of", AS_OF])
    assert code == 6
    assert "cannot be written" in said


def calm_run(people_rows: Rows, folder: Path) -> dict[str, Any]:
    """A finished run of 200 people of ``folder / "s.parquet"`` in ``folder / "calm"``: its id and the fingerprints of its files."""
    rows = [{**r, "profile_json": json.dumps(r["profile_json"])} for r in people_rows[:200]]
    pq.write_table(pa.Table.from_pylist(rows), folder / "s.parquet", row_group_size=50)
    run = tiny_run(folder / "s.parquet", folder / "calm", "--timestamp", "2025-10-23T06:00:00Z").run["run_id"]
    return {"run": run, "files": fingerprints(folder / "calm" / "runs" / run)}


@pytest.fixture(scope="session")
def calm(people_rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """One such run, which tests copy and interrupt. Its source is never changed."""
    return shared(tmp_path_factory, "calm", lambda folder: calm_run(people_rows, folder))


def interrupted(calm: Calm, workspace: Path, *, after: str = "parallel_prediction") -> tuple[Path, Path, dict[str, str]]:
    """Source and folder of a run that stopped after a step in ``workspace``, and the fingerprints of the files of a calm one."""
    folder, made = calm
    shutil.copytree(folder / "calm", workspace)
    run = workspace / "runs" / made["run"]
    steps = ["human_qa", "final_results", "post_cleanup"]
    if after == "batch":  # in the middle of prediction
        steps.insert(0, "parallel_prediction")
        for path in (*run.glob("predictions/batch_1.*"), *run.glob("predictions/batch_0.json")):
            path.unlink()
    for step in steps:
        (run / "steps" / f"{step}.json").unlink()
    for name in ("qa", "results", "manifest.json", "report.html", "report.json"):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (workspace / "published.json").unlink()
    from predict_age.storage.workspace import RunFolder

    RunFolder(run).set_status("interrupted", 1)
    return folder / "s.parquet", run, made["files"]


@pytest.mark.parametrize("damage", ["truncated", "missing", "flipped"])
@pytest.mark.parametrize(
    "name",
    [
        "predictions/batch_0.parquet",
        "predictions/schema.parquet",
        "model/boosted.ubj",
        "model/manifest.json",
        "batches.json",
        "source/splits.json",
        "source/duplicates.npy",
        "steps/training.json",
        "steps/parallel_prediction.json",
    ],
)
def test_damage_before_a_resume(name: str, damage: str, calm: Calm, tmp_path: Path) -> None:
    """Whatever was damaged while a run lay still is found beforehand, said, and made again: the result is that of a calm run."""
    source, run, expected = interrupted(calm, tmp_path / "w")
    path = run / name
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    outcome = tiny_run(source, tmp_path / "w", "--timestamp", "2025-10-23T06:00:00Z")
    assert outcome.code == 0, outcome.said
    step_itself_missing = damage == "missing" and name.startswith("steps/")
    assert step_itself_missing or Path(name).name in outcome.said
    assert step_itself_missing or "repeated, keeping" in outcome.said
    assert fingerprints(run) == expected


def test_resume_says_what_it_will_do(calm: Calm, tmp_path: Path) -> None:
    """Before any work: which steps are whole, what is missing; afterwards how many batches were kept."""
    _, run, expected = interrupted(calm, tmp_path / "w", after="batch")
    code, out, said = call(["resume", "--workspace", tmp_path / "w", "--json"])
    assert code == 0, said
    assert "5 of 9 steps are finished and valid" in said
    assert "remaining: parallel_prediction, human_qa, final_results, post_cleanup" in said
    assert said.index("remaining: ") < said.index("6/9 Parallel prediction")
    kept = json.loads(out)["batches"]
    assert kept["kept"] == kept["batches"] - 2
    assert fingerprints(run) == expected


def test_planted_files_change_nothing(finished: Finished, calm: Calm, tmp_path: Path) -> None:
    """Foreign, old and temporary files in every folder, receipts and all: the result files are byte for byte the same."""
    source, run, expected = interrupted(calm, tmp_path / "w", after="batch")
    foreign = finished[0] / "runs" / finished[1]["run_id"]
    for folder in ("predictions", "qa", "results", "model", "source", "set_aside", "steps"):
        (run / folder).mkdir(exist_ok=True)
        for path in (foreign / folder).glob("*"):
            for name in {path.name, path.name.replace("_0", "_9").replace("part", "part_77")}:
                if not (run / folder / name).exists():  # also batch_0 of another run, with a receipt that fits it
                    shutil.copy(path, run / folder / name)
        (run / folder / "batch_1.parquet.0123abcd.tmp").write_bytes(b"half")
        (run / folder / "part_5.parquet").write_bytes(b"PAR1")
        (run / folder / "notes.json").write_text("{}")
    (run.parent / "20200101T000000Z-deadbeef").mkdir()
    (run.parent / "20200101T000000Z-deadbeef" / "run.json").write_text("garbage")
    (run.parent / "somebody's notes").mkdir()
    (tmp_path / "w" / "published.json.0123abcd.tmp").write_text("{")
    assert (run / "predictions" / "batch_0.json").exists()
    outcome = tiny_run(source, tmp_path / "w", "--timestamp", "2025-10-23T06:00:00Z")
    assert outcome.code == 0, outcome.said
    found = fingerprints(run)
    assert {k: found.get(k) for k in expected} == expected
    query = "SELECT count(*), count(DISTINCT pid), count(DISTINCT run_id) FROM predict_age_final_results"
    assert cli("sql", "--workspace", tmp_path / "w", "--format", "csv", query).stdout.splitlines()[1] == "200,200,1"
    for table, people in (("predict_age_human_qa", 200), ("predict_age_set_aside", 0)):
        done = cli("sql", "--workspace", tmp_path / "w", "--format", "csv", f"SELECT count(*) FROM {table}")
        assert done.stdout.splitlines()[1] == str(people)
    assert "damaged" in cli("runs", "--workspace", tmp_path / "w").stdout
    assert not list((tmp_path / "w" / "runs").rglob("*.tmp"))
    assert cli("verify", "--workspace", tmp_path / "w").returncode == 0


@pytest.mark.parametrize("what", ["code", "configuration", "source"])
def test_resume_refuses_what_has_changed(
    what: str, calm: Calm, people_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other code, an edited plan or another source: the run is not continued, and the difference is named."""
    if what == "source":  # the shared one has to stay as it is
        calm = (tmp_path, calm_run(people_rows, tmp_path))
    source, run, _ = interrupted(calm, tmp_path / "w")
    if what == "code":
        monkeypatch.setattr("predict_age.runs.run.code_hash", lambda: "0123456789abcdef")
        code, _, said = call(["resume", "--workspace", tmp_path / "w"])
        assert (code, "begun by other code" in said, "found: code 0123456789abcdef" in said) == (2, True, True)
    elif what == "configuration":
        text = (run / "run.json").read_text()
        (run / "run.json").write_text(text.replace('"rounds": 3', '"rounds": 4'))
        assert text != (run / "run.json").read_text()
        code, _, said = call(["resume", "--workspace", tmp_path / "w"])
        assert (code, run.name in said) == (2, True)
        assert "cannot be read" in said
    else:
        source.write_bytes(source.read_bytes()[:-1] + b"X")
        code, _, said = call(["resume", "--workspace", tmp_path / "w"])
        assert (code, "changed during the run" in said) == (3, True)
    assert Workspace(tmp_path / "w").published.current == ""


def test_another_configuration_is_another_run(calm: Calm, tmp_path: Path) -> None:
    """`run` with other settings does not continue an unfinished run with the old ones."""
    source, run, _ = interrupted(calm, tmp_path / "w")
    outcome = tiny_run(source, tmp_path / "w", config=TINY.replace("rounds = 3", "rounds = 4"))
    assert outcome.code == 0
    assert outcome.run["run_id"] != run.name


@pytest.mark.parametrize(
    "env", [{"LC_ALL": "C"}, {"LC_ALL": "tr_TR.UTF-8"}, {"PYTHONUTF8": "0", "LANG": "C"}], ids=["C", "Turkish", "no UTF-8"]
)
def test_locale_umask_and_path(env: dict[str, str], people_rows: Rows, tmp_path: Path) -> None:
    """Another locale, umask 077 and a path with spaces and umlauts: the run ends well and its files can be read."""
    folder = tmp_path / "mit Leerzeichen und Ümläut 年"
    folder.mkdir()
    source = write_jsonl(folder / "s.jsonl", people_rows[:120])
    (folder / "c.toml").write_text(TINY)
    command = [
        sys.executable,
        "-m",
        "predict_age",
        "run",
        "--source",
        source,
        "--workspace",
        folder / "w",
        "--as-of",
        AS_OF,
        "--config",
        folder / "c.toml",
    ]
    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", *map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert len(result_rows(folder / "w")) == 120
    assert cli("verify", "--workspace", folder / "w").returncode == 0


def test_same_event_twice_is_one_run(people_rows: Rows, tmp_path: Path) -> None:
    """The same command with the same timestamp: the second time nothing is done again."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:120])
    first = tiny_run(source, tmp_path / "w", "--timestamp", "2025-10-23T06:00:00Z")
    second = tiny_run(source, tmp_path / "w", "--timestamp", "2025-10-23T08:00:00+02:00")
    assert second.code == 0
    assert second.run["run_id"] == first.run["run_id"]
    assert "is done already" in second.said
    assert len(Workspace(tmp_path / "w").runs()) == 1


def test_time_limit_stops_cleanly(small_files: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that reaches its limit stops with 6, keeps its work, counts all attempts, and goes on with a higher limit."""
    config = tmp_path / "c.toml"
    config.write_text(quick.read_text() + "[limits]\nusd_per_hour = 36.0\n")
    begin = ("run", "--source", small_files, "--workspace", tmp_path / "w", "--as-of", AS_OF, "--config", config)
    with monkeypatch.context() as patch:
        learn = training.train_networks

        def endless(*arguments: Any) -> Any:
            """Networks that are trained again and again, until they are told to stop."""
            while True:
                learn(*arguments)

        patch.setattr(training, "train_networks", endless)
        patch.setattr(runner, "seconds_left", lambda limits, used: seconds_left(limits, used + 34.0))  # as if so many had gone
        done = cli(*begin, "--max-minutes", "0.6", check=6)
        assert "the estimate exceeds" not in done.stderr, "the estimate is above the limit that this test needs"
        assert "reached its time or cost limit" in done.stderr
        assert json.loads(cli("status", "--workspace", tmp_path / "w", "--json").stdout)["status"] == "interrupted"
        again = cli("resume", "--workspace", tmp_path / "w", check=6)
        assert "reached its time or cost limit" in again.stderr
    run = json.loads(cli("resume", "--workspace", tmp_path / "w", "--max-minutes", "30", "--json").stdout)
    assert run["status"] == "done"
    assert [a["outcome"] for a in run["attempts"]] == ["interrupted", "interrupted", "done"]
    assert run["attempts"][0]["seconds"] == pytest.approx(2.0, abs=2.0)


@pytest.mark.parametrize(("limit", "code"), [("max_cost_usd = 0.0001", 6), ("max_cost_usd = 10.0", 0), ("max_minutes = 0.001", 6)])
def test_unaffordable_run_is_refused(limit: str, code: int, people_rows: Rows, tmp_path: Path) -> None:
    """A run that the plan prices above the limit is refused before anything is written, with both numbers."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:200])
    outcome = tiny_run(source, tmp_path / "w", config=TINY + f"[limits]\nusd_per_hour = 36.0\n{limit}\n")
    assert outcome.code == code, outcome.said
    if code:
        assert "the estimate exceeds the " in outcome.said
        assert not (tmp_path / "w").exists()
