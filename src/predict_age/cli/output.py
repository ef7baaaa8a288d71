"""Standard output that may be closed or full: what a command has done is said on stderr when it cannot be printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from predict_age.errors import EXHAUSTED, OutputError
from predict_age.terminal_text import visible

STDOUT = 1
_written: list[bool] = []  # whether the command has written anything
_completed: list[tuple[str, str]] = []  # what the command has done, and the command that prints it


class ReaderEndedError(Exception):
    """The reader of stdout, such as ``head``, has ended. No OSError: Typer and Rich end the program with exit code 1 at those."""


class CheckedOutput:
    """A text stream whose failed writes are OutputErrors, told from failed operations on other files. All else is the ``stream``'s.

    Without a stream - Python has none when the command was started with a closed stdout - every write fails.
    """

    encoding = "utf-8"

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream is not None and bool(self._stream.isatty())

    def write(self, text: str) -> int:
        """Write ``text``. Raises OutputError, or ReaderEndedError when a reader such as ``head`` has ended."""
        if self._stream is None:
            raise _output_error("it is closed")
        _written[:] = [True]
        with _failures():
            return int(self._stream.write(text))

    def flush(self) -> None:
        """Flush; fails as :meth:`write` does."""
        if self._stream is not None:
            with _failures():
                self._stream.flush()


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ReaderEndedError from None
    except (OSError, ValueError) as error:  # ValueError: the stream was closed
        number = error.errno if isinstance(error, OSError) else 0
        raise _output_error(EXHAUSTED.get(number or 0, str(error))) from error


def has_written() -> bool:
    """Whether the command has written anything to stdout."""
    return bool(_written)


def write_after_failure(text: str) -> None:
    """Write ``text`` where stdout takes it; the exit code tells of the failure anyway."""
    stream = sys.stdout
    try:
        if stream is not None:
            stream.write(text)
            stream.flush()
    except (OSError, ValueError):
        _discard(stream)


def completed(fact: str, again: str) -> None:
    """Note ``fact``, which the command has done, and the command that prints it ``again``; both are said when printing fails."""
    _completed[:] = [(fact, again)]


def _output_error(reason: str) -> OutputError:
    fact, again = _completed[0] if _completed else ("", "")
    message = f"{fact}, but the output could not be written" if fact else "the output could not be written"
    fix = f"{again} prints it" if again else "give the command a stdout that can be written"
    return OutputError(message, expected="a stdout that takes the output", found=reason, fix=fix)


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Replace ``sys.stdout`` by a :class:`CheckedOutput` in the block, and flush it when the block, or the program, ends well."""
    stream, checked = sys.stdout, CheckedOutput(sys.stdout)
    sys.stdout = checked
    _completed.clear()
    _written.clear()
    try:
        try:
            yield
        except SystemExit as end:
            if not end.code:
                checked.flush()
            raise
        checked.flush()
    finally:
        sys.stdout = stream
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # reported already, or a reader that has ended
            _discard(stream)


def print_line(text: str) -> None:
    """Write one line, or several, to stdout."""
    sys.stdout.write(visible(text) + "\n")


def print_json(value: object) -> None:
    """Write ``value`` to stdout as one line of JSON. It is ASCII: no character of it controls a terminal."""
    sys.stdout.write(json.dumps(value) + "\n")


def _discard(stream: Any) -> None:
    """Lead the stream's file nowhere: Python writes what is buffered once more when it exits, and would fail again."""
    with suppress(OSError, ValueError, AttributeError):
        if stream.fileno() == STDOUT:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, STDOUT)
            os.close(nowhere)
