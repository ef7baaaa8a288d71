"""Fork server: a process that has imported the modules that workers need, and forks each worker.

The modules are imported once, in parallel with the main process's own imports, instead of in every worker. Where forking is
unsafe (macOS) or impossible (Windows), workers are spawned.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.context import BaseContext
from pathlib import Path
from types import TracebackType

from predict_age.runtime.import_blocking import block_unused_imports
from predict_age.runtime.temporary_folder import temporary_folder

SINGLE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
BEAT_SECONDS = 1.0


def prepare() -> bool:
    """Start the server unless it runs already; it imports in the background. Returns whether a fork server is available here."""
    if sys.platform == "darwin" or "forkserver" not in multiprocessing.get_all_start_methods():
        return False
    from multiprocessing import forkserver

    try:
        temporary_folder()
        with _single_threaded(), _without_interrupts():
            forkserver.set_forkserver_preload(["predict_age.forkserver_preload"])
            forkserver.ensure_running()
    except OSError:  # the temporary folder is read-only, or its path too long for a socket
        return False
    return True


def context() -> BaseContext:
    """Context with which ``multiprocessing`` starts workers on this platform."""
    return multiprocessing.get_context("forkserver" if prepare() else "spawn")


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Set the environment so that numerical libraries of processes started inside use one thread each."""
    before = dict(os.environ)
    os.environ.update(SINGLE_THREAD)
    try:
        yield
    finally:
        _set_environment(before)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C in this thread, so that processes started inside ignore it from the beginning."""
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _set_environment(wanted: Mapping[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def print_worker_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the error of a worker that cannot start, unless its parent has ended and closed the queue."""
    if not issubclass(kind, (FileNotFoundError, EOFError, BrokenPipeError)):
        sys.__excepthook__(kind, error, trace)


def begin_work(beats: str, environment: Mapping[str, str]) -> None:
    """Initialize a worker: it leaves Ctrl-C to the parent, writes a heartbeat, and ends with the parent.

    The worker is single-threaded. Its environment is the parent's current one, not that of the server's start.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _set_environment({**environment, **SINGLE_THREAD})
    block_unused_imports()
    threading.Thread(target=_live_with_parent, args=(Path(beats) / str(os.getpid()), os.getppid()), daemon=True).start()


def _live_with_parent(beat: Path, server: int) -> None:
    """Touch ``beat`` until the parent process or the fork server has ended, then exit."""
    parent = multiprocessing.parent_process()
    while os.getppid() == server:
        with suppress(OSError):
            beat.touch()
        if parent is None:
            time.sleep(BEAT_SECONDS)
        elif connection.wait([parent.sentinel], BEAT_SECONDS):
            break
    os._exit(1)
