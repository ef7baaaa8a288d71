"""Threads that train models side by side: the models do not depend on the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

P = ParamSpec("P")
T = TypeVar("T")
CancelEvent = Event | None


def check_cancelled(cancelled: CancelEvent) -> None:
    """Raise CancelledError when the training was cancelled."""
    if cancelled is not None and cancelled.is_set():
        raise CancelledError


class TrainingThreads:
    """A pool of training threads, first come, first served. Inside, libraries of linear algebra use one thread each.

    An error or a stop inside the block sets ``cancelled``, which running tasks check; tasks that have not started never do.
    """

    def __init__(self, threads: int) -> None:
        self.cancelled = Event()
        self._threads = ThreadPoolExecutor(threads)
        self._limits = threadpool_limits(1)

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Queue a call of ``function``; the future gives its result."""
        return self._threads.submit(function, *arguments, **named)

    def __enter__(self) -> TrainingThreads:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.cancelled.set()
        self._threads.shutdown(cancel_futures=kind is not None)
        self._limits.restore_original_limits()
