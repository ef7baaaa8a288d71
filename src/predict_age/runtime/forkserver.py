"""Where worker processes come from: a server that has imported what all of them need forks one whenever it is asked to.

Its imports happen once, beside those of the process that will need workers, instead of in every worker after that. Where forking
is no good idea (macOS) or impossible (Windows), workers are started from nothing.
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

SINGLE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
BEAT_SECONDS = 1.0


def prepare() -> bool:
    """Start the server, if there is none yet: it imports while this process goes on. Returns whether it can be had here."""
    if sys.platform == "darwin" or "forkserver" not in multiprocessing.get_all_start_methods():
        return False
    from multiprocessing import forkserver

    try:
        with _single_threaded(), _without_interrupts():
            forkserver.set_forkserver_preload(["predict_age.forkserver_preload"])
            forkserver.ensure_running()
    except OSError:  # no place for a socket: a read-only or very long folder for temporary files
        return False
    return True


def context() -> BaseContext:
    """How ``multiprocessing`` makes a worker here."""
    return multiprocessing.get_context("forkserver" if prepare() else "spawn")


@contextmanager
def _single_threaded() -> Iterator[None]:
    """What is started inside hears that numerical libraries shall use one thread each."""
    before = dict(os.environ)
    os.environ.update(SINGLE_THREAD)
    try:
        yield
    finally:
        _set_environment(before)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """What is started inside ignores Ctrl-C from its first moment, as does this thread for these milliseconds."""
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():  # only it may say what becomes of signals
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
    """What the server's children say when they cannot begin: nothing when whoever wanted them has gone, and its queue with it."""
    if not issubclass(kind, (FileNotFoundError, EOFError, BrokenPipeError)):
        sys.__excepthook__(kind, error, trace)


def begin_work(beats: str, environment: Mapping[str, str]) -> None:
    """First thing in a worker: it leaves Ctrl-C to the parent, shows that it lives, and does not outlive the parent.

    It is single-threaded, and its environment is the parent's of now: the server's is that of its own start.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _set_environment({**environment, **SINGLE_THREAD})
    block_unused_imports()
    threading.Thread(target=_live_with_parent, args=(Path(beats) / str(os.getpid()), os.getppid()), daemon=True).start()


def _live_with_parent(beat: Path, server: int) -> None:
    """Touch ``beat`` until the process that wants the work, or the one that forked this one, is gone."""
    parent = multiprocessing.parent_process()
    while os.getppid() == server:
        with suppress(OSError):
            beat.touch()
        if parent is None:
            time.sleep(BEAT_SECONDS)
        elif connection.wait([parent.sentinel], BEAT_SECONDS):
            break
    os._exit(1)
