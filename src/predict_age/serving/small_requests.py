"""Small requests that arrive together are predicted together: kernels take hardly longer for thirty profiles than for one.

Nothing waits for others to arrive: what came while the requests before were answered is taken together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field

from predict_age.serving.messages import Request, Response
from predict_age.serving.prediction import Prediction
from predict_age.serving.sent_items import ITEMS_TOGETHER, ReadBody, SentItems


@dataclass(frozen=True)
class _Waiting:
    """A request whose items were ``read``, and the future of its answers."""

    prediction: Prediction
    read: ReadBody
    made: asyncio.Future[list[bytes]]


@dataclass
class SmallRequests:
    """Small requests that are to be answered as soon as the event loop has read all that has arrived; ``in_hand``: their number."""

    waiting: list[_Waiting] = field(default_factory=list)
    in_hand: int = 0

    def answer(self, prediction: Prediction, request: Request, read: ReadBody) -> Awaitable[Response]:
        """The response to ``request``, of which the items are ``read``."""
        loop = asyncio.get_running_loop()
        if not self.waiting:
            loop.call_soon(self._answer_all)
        made: asyncio.Future[list[bytes]] = loop.create_future()
        self.waiting.append(_Waiting(prediction, read, made))

        async def later() -> Response:
            self.in_hand += 1
            try:
                return prediction.response(request, read, await made)
            finally:
                self.in_hand -= 1

        return later()

    def _answer_all(self) -> None:
        while self.waiting:
            first = self.waiting[0].prediction
            here, items = list[_Waiting](), 0
            while self.waiting and items < ITEMS_TOGETHER and self.waiting[0].prediction.like(first):
                here.append(self.waiting.pop(0))
                items += len(here[-1].read)
            self._answer_together(here)

    @staticmethod
    def _answer_together(requests: list[_Waiting]) -> None:
        """Predict the items of requests that the same model and list answer. A client that is gone has a cancelled future."""
        try:
            parts = [part for one in requests for part in one.read.parts]
            made = requests[0].prediction.answers(SentItems.joined(parts)) if parts else []
        except Exception as error:
            for one in requests:
                if not one.made.done():
                    one.made.set_exception(error)
            return
        at = 0
        for one in requests:
            if not one.made.done():
                one.made.set_result(made[at : at + len(one.read)])
            at += len(one.read)
