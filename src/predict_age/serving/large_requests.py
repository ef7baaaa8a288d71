"""Large requests: answered piece by piece, and before each piece everything small that has arrived is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass, field

from predict_age.pieces import Result
from predict_age.serving.small_requests import SmallRequests

MOST_PENDING = 32  # requests with many profiles at a time
MOST_PENDING_BYTES = 128_000_000  # of their bodies
LEAST_SECONDS = 0.0001  # of work before a pause: pauses cost time, too
LEAST_SECONDS_ALONE = 0.001  # where no small request was seen for a while
ALONE_AFTER_SECONDS = 0.1
MOST_PAUSE_SECONDS = 0.003  # after which a piece is worked on, however many small requests arrive
LOOP_ROUNDS = 2  # of the event loop, in which it has read what has arrived before, whatever its implementation


@dataclass
class LargeRequests:
    """Large requests, which take turns: one piece at a time, and pauses in which ``small`` requests are answered.

    ``pending``: how many with many profiles are worked on, and ``pending_bytes``, of their bodies. ``heard``: set by a connection
    on which something has arrived.
    """

    small: SmallRequests
    pending: int = 0
    pending_bytes: int = 0
    heard: bool = False
    _small_seen: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def result(self, work: Generator[None, None, Result]) -> Result:
        """The result of ``work``, of which a piece is done whenever nothing small is left to be answered."""
        try:
            while True:
                async with self._turn:
                    now = time.perf_counter()
                    alone = now > self._small_seen + ALONE_AFTER_SECONDS
                    end = now + (LEAST_SECONDS_ALONE if alone else LEAST_SECONDS)
                    try:
                        next(work)
                        while time.perf_counter() < end:
                            next(work)
                    except StopIteration as last:
                        made: Result = last.value
                        return made
                    await self._small_ones_first()
        finally:
            work.close()

    async def counted_result(self, work: Generator[None, None, Result], size: int) -> Result:
        """The result of ``work`` on a body of ``size`` bytes, which counts as ``pending`` until then."""
        self.pending += 1
        self.pending_bytes += size
        try:
            return await self.result(work)
        finally:
            self.pending -= 1
            self.pending_bytes -= size

    async def _small_ones_first(self) -> None:
        """Pause until all small requests that have arrived are answered."""
        end = time.perf_counter() + MOST_PAUSE_SECONDS
        while True:
            self.heard = False
            for _ in range(LOOP_ROUNDS):
                await asyncio.sleep(0)
            now = time.perf_counter()
            if self.small.in_hand:
                self._small_seen = now
            elif not self.heard:
                return
            if now > end:
                return

    def full(self, size: int) -> bool:
        """Whether another request, with a body of ``size`` bytes, would be one too many."""
        return self.pending >= MOST_PENDING or self.pending_bytes + size > MOST_PENDING_BYTES

    def limit(self) -> dict[str, str]:
        """Headers that say how many large requests may run at a time, and how many more would be taken now."""
        left = MOST_PENDING - self.pending
        return {"RateLimit-Policy": f'"large";q={MOST_PENDING};qu="concurrent-requests"', "RateLimit": f'"large";r={left};t=1'}
