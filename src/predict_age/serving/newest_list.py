"""Answers that take a while: by the suppression list that counts when they are finished."""

from __future__ import annotations

from collections.abc import Callable, Generator

from predict_age.pieces import Result
from predict_age.serving.messages import ProblemError
from predict_age.serving.served_model import Watch
from predict_age.storage.suppression_list import SuppressionList

_Ask = Callable[[SuppressionList | None], Generator[None, None, Result]]


def check_list(watch: Watch) -> None:
    """Raise ProblemError 503 where nothing about people may be answered."""
    if watch.suppression_problem:
        detail = "nothing about people is answered: the suppression list cannot be used"
        raise ProblemError(503, detail, headers={"Retry-After": "2"})


def by_newest_list(watch: Watch, ask: _Ask[Result]) -> Generator[None, None, Result]:
    """The result of ``ask`` for the list in use; again for the next one where it came into use meanwhile. Raises ProblemError."""
    while True:
        listed = watch.suppression
        made = yield from ask(listed)
        check_list(watch)
        if watch.suppression == listed:
            return made
