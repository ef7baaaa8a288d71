"""Where workers come from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver, get_all_start_methods
from pathlib import Path
from typing import Any

import pytest

from conftest import result_rows
from predict_age.runtime.worker_pool import Pool
from processes import alive, server_of, start, wait_for, workers_of

pytestmark = pytest.mark.skipif("forkserver" not in get_all_start_methods(), reason="workers are not forked here")

LOOK = """
from predict_age.runtime.worker_pool import Pool
from lookers import modules
if __name__ == "__main__":
    with Pool(1) as pool:
        print(*pool.run(modules, [()])[0])
"""
LOOKERS = """
import os
import sys
from pathlib import Path
def modules():
    threads = {p.read_text().strip() for p in Path(f"/proc/{os.getppid()}/task").glob("[0-9]*/comm")}
    return [os.environ["OPENBLAS_NUM_THREADS"], len(threads - {"jemalloc_bg_thd"}), *sys.modules]
"""


def environment(name: str) -> str | None:
    return os.environ.get(name)


def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getppid()


def test_workers_find_their_modules_loaded(tmp_path: Path) -> None:
    """A worker that has imported nothing has all that predicts, and nothing that only trains.

    The server has one thread, besides that of an allocator of PyArrow, which knows how to live through a fork.
    """
    (tmp_path / "look.py").write_text(LOOK)
    (tmp_path / "lookers.py").write_text(LOOKERS)
    done = subprocess.run([sys.executable, tmp_path / "look.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    threads, tasks, *modules = done.stdout.split()
    assert (threads, tasks) == ("1", "1")
    assert {"predict_age.steps.parallel_prediction", "predict_age.steps.training", "duckdb"} <= set(modules)
    assert not {"xgboost", "lightgbm", "sklearn.base", "numba"} & set(modules)


def test_workers_have_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables set after the server had begun reach workers, and deleted ones are gone."""
    monkeypatch.setenv("PREDICT_AGE_TEST", "early")
    with Pool(1) as pool:
        assert pool.run(environment, [("PREDICT_AGE_TEST",)]) == ["early"]
    monkeypatch.setenv("PREDICT_AGE_TEST", "late")
    with Pool(1) as pool:
        assert pool.run(environment, [("PREDICT_AGE_TEST",), ("OMP_NUM_THREADS",)]) == ["late", "1"]
    monkeypatch.delenv("PREDICT_AGE_TEST")
    with Pool(1) as pool:
        assert pool.run(environment, [("PREDICT_AGE_TEST",)]) == [None]


def test_without_sockets_workers_are_started_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server cannot be reached, work is done all the same."""

    def refuse() -> None:
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(forkserver, "ensure_running", refuse)
    with Pool(1) as pool:
        assert pool.run(nap, [(0.0,)]) == [os.getpid()]


def test_killed_server_costs_no_result(
    finished: tuple[Path, dict[str, Any]], small_files: Path, quick: Path, tmp_path: Path
) -> None:
    """The server that forks workers is killed in the middle: its workers leave, and the run finishes with others."""
    many = tmp_path / "many.toml"
    many.write_text(quick.read_text().replace("batch_rows = 700", "batch_rows = 320"))
    process = start(small_files, tmp_path / "w", many)
    wait_for(tmp_path / "w", "predictions/schema.parquet", process)
    server, orphans = server_of(process), workers_of(process)
    os.kill(server, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert orphans
    assert not alive([*orphans, server])
    assert result_rows(tmp_path / "w") == result_rows(finished[0])
