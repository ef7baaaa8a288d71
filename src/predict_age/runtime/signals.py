"""Stops: Ctrl-C, SIGTERM and time limits raise a KeyboardInterrupt in the main thread.

A signal raises its exception at any point of the main thread, also inside a library. All exceptions here derive from
KeyboardInterrupt, because ``except Exception`` does not catch it: a library that caught the stop would continue, or handle an error
that did not happen. Where Python cannot propagate an exception (a callback from compiled code, ``__del__``), it calls
``sys.unraisablehook``; the stop is then raised again a little later, and until then :func:`check` raises it. A stop waits for a
running import to end: otherwise the import lock might stay taken, and other threads would wait for it forever.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

AGAIN_SECONDS = 0.1
_LONGEST_TIMER = 366 * 86_400.0  # seconds; the system's timer takes no number that is much larger, and no process lives so long
STOPPED = (130, 143)  # exit codes of a command that somebody stopped
_IMPORTER = "<frozen importlib._bootstrap>"


class Terminated(KeyboardInterrupt):
    """Stop by SIGTERM, handled like Ctrl-C."""


class OutOfTime(KeyboardInterrupt):
    """Stop by the time limit of :func:`stopping_after`."""


_asked: list[type[KeyboardInterrupt]] = []  # the requested stop, until the main thread's work has ended


def _strike(kind: type[KeyboardInterrupt]) -> NoReturn:
    _asked[:] = [kind]
    raise kind


def _lost(problem: sys.UnraisableHookArgs) -> None:
    """Raise a stop that Python could not propagate again later; report any other error as Python does."""
    if _asked and problem.exc_type is not None and issubclass(problem.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    else:
        sys.__unraisablehook__(problem)


def _on_signal(number: int, frame: FrameType | None) -> None:
    kind: type[KeyboardInterrupt] = Terminated if number == signal.SIGTERM else KeyboardInterrupt
    if number == signal.SIGALRM:
        kind = _asked[0] if _asked else OutOfTime
    if not _imports(frame):
        _strike(kind)
    _asked[:] = [kind]
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)


def _imports(frame: FrameType | None) -> bool:
    """Whether ``frame`` or one of its callers imports a module."""
    while frame is not None and frame.f_code.co_filename != _IMPORTER:
        frame = frame.f_back
    return frame is not None


def install_handlers() -> None:
    """Install the handlers of SIGINT, SIGTERM and SIGALRM. The command line calls this first."""
    _asked.clear()
    sys.unraisablehook = _lost
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _on_signal)


def requested_stop() -> type[KeyboardInterrupt] | None:
    """The requested stop, if any. An error that follows may be a library's reaction to it."""
    return _asked[0] if _asked else None


def exit_code(stop: type[BaseException]) -> int:
    """Exit code of a stopped command: 128 plus the number of the signal."""
    return 128 + (signal.SIGTERM if issubclass(stop, Terminated) else signal.SIGINT)


def forget_signal() -> None:
    """Make the exit code that of the command, and cancel a stop that is still pending.

    Python remembers a KeyboardInterrupt that left code compiled from a string, such as the methods of a dataclass, and would end
    itself with SIGINT although the stop was handled. It resets this state when it next runs such code.
    """
    signal.setitimer(signal.ITIMER_REAL, 0)
    exec("")  # noqa: S102


def check() -> None:
    """Raise the requested stop in case Python lost it. Called before work is recorded as finished."""
    if _asked and threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)  # raised here instead
        raise _asked[0]


@contextmanager
def stopping_after(seconds: float | None) -> Iterator[None]:
    """Raise OutOfTime in the block after ``seconds``; None: never. Works in the main thread only, as signals do."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    if seconds <= 0:
        raise OutOfTime
    before, hook = signal.signal(signal.SIGALRM, _on_signal), sys.unraisablehook
    sys.unraisablehook = _lost
    signal.setitimer(signal.ITIMER_REAL, min(seconds, _LONGEST_TIMER))
    try:
        yield
        check()
    except Exception:  # DuckDB raises "Query interrupted" when the stop reaches it
        check()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook
        _asked.clear()
