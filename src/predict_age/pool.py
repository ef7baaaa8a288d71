"""Run tasks in worker processes; a worker that dies costs its task one attempt and nobody else anything."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Self

from predict_age.errors import PredictAgeError, ResourceError

SINGLE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

PARENT_CHECK_SECONDS = 1.0


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prepare_worker(parent: int) -> None:
    """Workers are single-threaded, leave Ctrl-C to the parent, and do not outlive it."""
    import signal
    import threading

    def leave_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_SECONDS)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(SINGLE_THREAD)
    threading.Thread(target=leave_with_parent, daemon=True).start()


class Pool:
    """Worker processes that are started once, used by every step, and replaced when one dies.

    A task whose worker dies is tried again, alone, up to ``attempts`` times in all: so the culprit is known and the
    tasks that merely ran beside it are not blamed. An exception that a task raises is passed on at once.
    """

    def __init__(self, workers: int, attempts: int = 3) -> None:
        self.workers = workers
        self.attempts = attempts
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close(kill=kind is not None)

    def close(self, *, kill: bool = False) -> None:
        """Stop the workers; ``kill`` does not wait for what they are doing."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if kill:
            for process in list(getattr(executor, "_processes", {}).values()):
                process.kill()
        executor.shutdown(wait=True, cancel_futures=True)

    def run(
        self,
        function: Callable[..., Any],
        tasks: Sequence[tuple[Any, ...]],
        done: Callable[[int, Any], None] = lambda _i, _r: None,
        name: str = "task",
    ) -> list[Any]:
        """``[function(*task) for task in tasks]``, in parallel; ``done(i, result)`` is called as results arrive."""
        results: list[Any] = [None] * len(tasks)
        tries = [0] * len(tasks)
        waiting = deque(range(len(tasks)))
        suspects: deque[int] = deque()
        running: dict[Future[Any], int] = {}
        while waiting or suspects or running:
            alone = bool(suspects)
            queue = suspects if alone else waiting
            while queue and len(running) < (1 if alone else self.workers + 1):
                task = queue.popleft()
                tries[task] += 1
                try:
                    running[self._pool().submit(function, *tasks[task])] = task
                except BrokenProcessPool:
                    tries[task] -= 1
                    queue.appendleft(task)
                    break
            broken = False
            finished = wait(running, return_when=FIRST_COMPLETED).done if running else set()
            for future in finished:
                try:
                    results[running[future]] = future.result()
                except BrokenProcessPool:
                    broken = True
                    break
                done(running[future], results[running[future]])
                del running[future]
            if broken or (not finished and not running):
                self._after_death(running, results, done, tries, suspects, alone, name)
        return results

    def _pool(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self.workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker, initargs=(os.getpid(),)
            )
        return self._executor

    def _after_death(
        self, running: dict[Future[Any], int], results: list[Any], done: Callable[[int, Any], None], tries: list[int],
        suspects: deque[int], alone: bool, name: str,
    ) -> None:  # fmt: skip
        """Collect what still finished, queue the rest as suspects, start afresh."""
        for future, task in sorted(running.items(), key=lambda item: item[1]):
            error = future.exception() if future.done() else None
            if isinstance(error, PredictAgeError):
                raise error
            if future.done() and error is None and not future.cancelled():
                results[task] = future.result()
                done(task, results[task])
                continue
            if tries[task] >= self.attempts:
                raise ResourceError(
                    f"{name} {task} killed its worker {tries[task]} times", expected="a worker that finishes its work",
                    found="the process was killed (out of memory, or by hand)",
                    fix="free memory or lower running.workers, then `predict-age resume`; finished work is kept",
                )  # fmt: skip
            if not alone:
                tries[task] -= 1  # it may only have run beside the culprit: it is tried alone next, and then it counts
            suspects.append(task)
        running.clear()
        self.close(kill=True)
        time.sleep(0.2)
