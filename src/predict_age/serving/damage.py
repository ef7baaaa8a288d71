"""Damage that is found while requests are answered: reported to the operator once, counted, and looked at again after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from predict_age.errors import PredictAgeError

RECHECK_SECONDS = 30


@dataclass
class DataDamage:
    """Published data that could not be used for answers. ``notice`` is called with one sentence for each kind of damage.

    ``problem`` is the first that is left. ``clock`` gives seconds; requests that meet damage again do not put the next look off.
    """

    notice: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    problem: str = ""
    _reported: set[str] = field(default_factory=set)
    _checked_at: float = 0.0

    def met(self, error: PredictAgeError) -> None:
        """A request could not be answered because of ``error``, whose message names a file and nobody."""
        if not self.problem:
            self.problem, self._checked_at = error.message, self.clock()
        if error.message not in self._reported:
            self._reported.add(error.message)
            self.notice(f"requests that need it are answered with 503: {error.message}{f' ({error.fix})' if error.fix else ''}")

    def due(self) -> bool:
        """Whether damage should be looked at again: a file may have been brought back."""
        return bool(self.problem) and self.clock() - self._checked_at > RECHECK_SECONDS

    def still_there(self) -> None:
        """Look again later."""
        self._checked_at = self.clock()

    def clear(self) -> None:
        """Nothing is damaged any more, as far as is known."""
        self.problem = ""
        self._reported.clear()
