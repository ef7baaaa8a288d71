"""How work is stopped from outside or by a limit: by one kind of exception that no library takes for an error of its own.

An exception from a signal may strike anywhere in the main thread, inside other people's code, too. Everything here is a
KeyboardInterrupt, because ``except Exception`` lets that pass: a library that caught the stop would go on, or tidy up after a fault
that never was. Where Python cannot pass even that on (a callback from compiled code, ``__del__``), it calls
``sys.unraisablehook``, and the stop strikes again a little later; until then :func:`check` says that work does not count. An import
is waited for: a stop in the midst of it might leave the lock of all imports taken, and other threads waiting for it for ever.
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
_IMPORTER = "<frozen importlib._bootstrap>"


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: handled like Ctrl-C."""


class OutOfTime(KeyboardInterrupt):
    """The time that :func:`stopping_after` allows has gone."""


_asked: list[type[KeyboardInterrupt]] = []  # the stop that was asked for and has not left the main thread's work yet


def _strike(kind: type[KeyboardInterrupt]) -> NoReturn:
    _asked[:] = [kind]
    raise kind


def _lost(problem: sys.UnraisableHookArgs) -> None:
    """A stop that Python had to throw away strikes again; anything else is reported as always."""
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
    """Whether a module is being imported in ``frame`` or in what has called it."""
    while frame is not None and frame.f_code.co_filename != _IMPORTER:
        frame = frame.f_back
    return frame is not None


def install_handlers() -> None:
    """SIGINT and SIGTERM stop what the main thread does from now on: the command line's first act."""
    _asked.clear()
    sys.unraisablehook = _lost
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _on_signal)


def requested_stop() -> type[KeyboardInterrupt] | None:
    """The stop that was asked for, if one was: an error that follows may be what a library has made of it."""
    return _asked[0] if _asked else None


def exit_code(stop: type[BaseException]) -> int:
    """What a command that was stopped ends with: 128 and the number of the signal."""
    return 128 + (signal.SIGTERM if issubclass(stop, Terminated) else signal.SIGINT)


def forget_signal() -> None:
    """Let the exit code be that of the command.

    Python notes a KeyboardInterrupt that leaves code made from a string, as dataclasses and named tuples are, and would kill itself
    with SIGINT at the end, although the stop was handled. It forgets the note when it next runs such code. And a stop that has not
    struck yet shall not do so when nobody listens any more.
    """
    signal.setitimer(signal.ITIMER_REAL, 0)
    exec("")  # noqa: S102


def check() -> None:
    """Raise the stop that was asked for, in case it has been lost: called before a piece of work is declared done."""
    if _asked and threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)  # it strikes now
        raise _asked[0]


@contextmanager
def stopping_after(seconds: float | None) -> Iterator[None]:
    """Raise OutOfTime in the block once ``seconds`` have gone; None: never. Only in the main thread, as signals do."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    if seconds <= 0:
        raise OutOfTime
    before, hook = signal.signal(signal.SIGALRM, _on_signal), sys.unraisablehook
    sys.unraisablehook = _lost
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
        check()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook
        _asked.clear()
