"""Work in pieces: a generator that pauses after each of them, so that something else may run, and returns the result at its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")


def finished(work: Generator[None, None, Result]) -> Result:
    """The result of ``work``, without pauses."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            made: Result = end.value
            return made
