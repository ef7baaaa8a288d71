"""Description of an internal error for the developers: types of errors and lines of code, no values and no texts of errors.

The text of an error may quote the value that it is about, and a traceback that comes from a worker process holds that text.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path

_FRAME = re.compile(r'^ +(?:\| +)?File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<name>[\w.<>]+)$', re.MULTILINE)
_TYPE = re.compile(r"[A-Za-z_][\w.]*")


def described(error: BaseException) -> str:
    """The error, what caused it, and where each was raised: one line for each type and each place."""
    return "".join(f"{line}\n" for line in ("types of errors and lines of code; no values", *_chain(error, set())))


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    yield from _chain(cause, seen)
    if type(error).__name__ == "_RemoteTraceback":
        yield "in a worker process:"
        yield from (_place(found["file"], int(found["line"]), found["name"]) for found in _FRAME.finditer(str(error)))
        return
    yield f"{type(error).__module__}.{type(error).__qualname__}"
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield _place(frame.f_code.co_filename, line, frame.f_code.co_qualname)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _chain(inner, seen)


def _place(file: str, line: int, name: str) -> str:
    """A line of code: its file below the packages, its number, and the function."""
    parts = Path(file).parts
    known = [i for i, part in enumerate(parts) if part in ("predict_age", "site-packages") or part.startswith("python3")]
    return f"  {Path(*parts[known[0] :]) if known else Path(file).name}:{line} in {name}"


def type_of(error: BaseException) -> str:
    """Name of the error's type: all that is told of an error that nobody expected."""
    return (_TYPE.match(type(error).__name__) or ["error"])[0]
