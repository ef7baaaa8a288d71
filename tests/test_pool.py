"""Workers that die."""

import os
import signal
from pathlib import Path

import pytest

from predict_age.errors import InputError, ResourceError
from predict_age.runtime.worker_pool import Pool


def square(x: int) -> int:
    return x * x


def die_once(x: int, marker: str) -> int:
    if x == 3 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def die_always(x: int, log: str) -> int:
    with Path(log).open("a") as stream:
        stream.write(f"{x}\n")
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def fail(x: int) -> int:
    raise InputError(f"task {x} says no")


def test_results_in_order() -> None:
    """Like a list comprehension; ``done`` hears of each task once."""
    heard: list[int] = []
    with Pool(2) as pool:
        assert pool.run(square, [(i,) for i in range(20)], lambda i, _: heard.append(i)) == [i * i for i in range(20)]
        assert pool.run(square, []) == []
    assert sorted(heard) == list(range(20))


def test_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    """The task of a worker that was killed once is done again, and so are those beside it."""
    with Pool(2) as pool:
        assert pool.run(die_once, [(i, str(tmp_path / "m")) for i in range(8)]) == list(range(8))


def test_a_task_that_always_kills_is_named(tmp_path: Path) -> None:
    """After three deaths alone it is given up, by number; all others were finished."""
    done: list[int] = []
    with Pool(2) as pool, pytest.raises(ResourceError, match="batch 3 killed its worker 3 times"):
        pool.run(die_always, [(i, str(tmp_path / "log")) for i in range(4)], lambda i, _: done.append(i), "batch")
    assert (tmp_path / "log").read_text().splitlines().count("3") in {3, 4}
    assert 3 not in done


def test_errors_of_tasks_pass_through() -> None:
    """An error that a task raises arrives as it is."""
    with Pool(2) as pool, pytest.raises(InputError, match="says no"):
        pool.run(fail, [(1,)])
