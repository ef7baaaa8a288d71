"""Pool of worker processes. The death of a worker costs its task one attempt and does not affect other tasks."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from predict_age.errors import PredictAgeError, ResourceError
from predict_age.runtime.forkserver import BEAT_SECONDS, begin_work, context
from predict_age.runtime.temporary_folder import temporary_folder

WORKER_START_SECONDS = 120.0  # a worker that is still importing has no heartbeat yet


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Worker processes that are started once, used by every step, and replaced when one dies or hangs.

    A task whose worker dies is tried again alone, up to ``attempts`` times in all. This identifies the task that kills workers;
    tasks that ran beside it lose no attempt. A worker without a heartbeat for ``hang_seconds`` is killed and counts as
    dead. An exception that a task raises is propagated at once.
    """

    def __init__(self, workers: int, attempts: int = 3, hang_seconds: float = 60.0) -> None:
        self.workers = workers
        self.attempts = attempts
        self.hang_seconds = hang_seconds
        self._executor: ProcessPoolExecutor | None = None
        self._beats: TemporaryDirectory[str] | None = None
        self._silent: dict[int, tuple[int, float]] = {}  # last heartbeat (ns) of each worker, and seconds since
        self._looked = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close(kill=kind is not None)
        if self._beats is not None:
            self._beats.cleanup()
            self._beats = None

    def close(self, *, kill: bool = False) -> None:
        """Stop the workers; ``kill`` does not wait for their tasks."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        processes = list(getattr(executor, "_processes", {}).values())
        if kill:
            for process in processes:
                process.kill()
        executor.shutdown(wait=kill, cancel_futures=True)
        for process in processes:
            process.join(BEAT_SECONDS * 5)
            if process.is_alive():  # a worker stopped by SIGSTOP does not react
                process.kill()
                process.join()
        self._silent.clear()

    def run(
        self,
        function: Callable[..., Any],
        tasks: Sequence[tuple[Any, ...]],
        done: Callable[[int, Any], None] = lambda _i, _r: None,
        names: str | Sequence[str] = "task",
    ) -> list[Any]:
        """``[function(*task) for task in tasks]``, in parallel; ``done(i, result)`` is called as results arrive.

        ``names`` are the tasks' names in errors: one for each task, or one word to precede the number.
        """
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
            finished = wait(running, BEAT_SECONDS, return_when=FIRST_COMPLETED).done if running else set()
            self._kill_silent()
            for future in finished:
                try:
                    results[running[future]] = future.result()
                except BrokenProcessPool:
                    broken = True
                    break
                done(running[future], results[running[future]])
                del running[future]
            if broken or (not finished and not running):
                self._after_death(running, results, done, tries, suspects, alone, names)
        return results

    def ahead(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Let every idle worker call ``function``, without waiting for the result and ignoring errors.

        Intended for preparations that a worker's first task would otherwise have to do.
        """
        with suppress(BrokenProcessPool):
            for _ in range(self.workers):
                self._pool().submit(function, *arguments)

    def _kill_silent(self) -> None:
        """Kill workers without a heartbeat. Time in which this process itself was suspended does not count."""
        now = time.monotonic()
        if self._executor is None or self._beats is None or now - self._looked < BEAT_SECONDS:
            return
        awake, self._looked = min(now - self._looked, 2 * BEAT_SECONDS), now
        for pid, process in list(getattr(self._executor, "_processes", {}).items()):
            try:
                beat = (Path(self._beats.name) / str(pid)).stat().st_mtime_ns
            except OSError:
                beat = 0
            last, silence = self._silent.get(pid, (-1, 0.0))
            silence = silence + awake if beat == last else 0.0
            self._silent[pid] = (beat, silence)
            if silence > (self.hang_seconds if beat else max(WORKER_START_SECONDS, self.hang_seconds)):
                process.kill()

    def _pool(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._beats = self._beats or TemporaryDirectory(prefix="beats-", dir=temporary_folder(), ignore_cleanup_errors=True)
            self._looked = time.monotonic()
            self._executor = ProcessPoolExecutor(
                self.workers,
                mp_context=context(),
                initializer=begin_work,
                initargs=(self._beats.name, dict(os.environ)),
            )
        return self._executor

    def _after_death(
        self,
        running: dict[Future[Any], int],
        results: list[Any],
        done: Callable[[int, Any], None],
        tries: list[int],
        suspects: deque[int],
        alone: bool,
        names: str | Sequence[str],
    ) -> None:
        """Collect finished tasks, queue the others to run alone, and start new workers."""
        for future, task in sorted(running.items(), key=lambda item: item[1]):
            error = future.exception() if future.done() else None
            if isinstance(error, PredictAgeError):
                raise error
            if future.done() and error is None and not future.cancelled():
                results[task] = future.result()
                done(task, results[task])
                continue
            if tries[task] >= self.attempts:
                name = f"{names} {task}" if isinstance(names, str) else names[task]
                raise ResourceError(
                    f"{name} killed its worker {tries[task]} times",
                    expected="a worker that finishes its work",
                    found=f"the process died (out of memory, killed by hand, or {self.hang_seconds:g} s without a heartbeat)",
                    fix="free memory or lower running.workers, then `predict-age resume`; finished work is kept",
                )
            if not alone:
                tries[task] -= 1  # another task may have killed the worker; the next attempt runs alone and counts
            suspects.append(task)
        running.clear()
        self.close(kill=True)
        time.sleep(0.2)
