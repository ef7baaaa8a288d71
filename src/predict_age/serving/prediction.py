"""Predictions of a request, at once or in slices, so that many profiles do not keep single ones waiting."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from predict_age.predictor.answers import Answer, Answers
from predict_age.serving.arrow_requests import arrow_profiles
from predict_age.serving.messages import ARROW, NDJSON, ProblemError, Request, Response
from predict_age.serving.profile_requests import Item, ProfileItem, TextIds, json_items, line_items
from predict_age.serving.served_model import ServedModel
from predict_age.storage.suppression_list import SuppressionList

SLICE_ITEMS = 200
SMALL_BODY = 8_000  # bytes of a body that is read and answered at once
NOT_AVAILABLE = "not_available"
NOBODY = Answer(None, None, None, None, False, "", NOT_AVAILABLE)


@dataclass
class Prediction:
    """Predictions by one served model and the suppression list; ``counts`` are people by source of their answer."""

    served: ServedModel
    suppression: SuppressionList | None
    ids: TextIds
    counts: dict[str, int] = field(default_factory=dict)

    def at_once(self, request: Request) -> Response | None:
        """The response to a small JSON request; None for others, which are answered in slices."""
        if len(request.body) > SMALL_BODY or request.content_type == ARROW:
            return None
        work = self.in_slices(request)
        try:
            while True:
                next(work)
        except StopIteration as end:
            made: Response = end.value
            return made

    def in_slices(self, request: Request) -> Generator[None, None, Response]:
        """Answer ``request``, with a pause after each slice. Raises ProblemError before anything is predicted."""
        if request.content_type == ARROW:
            return (yield from self._arrow(request.body))
        if request.content_type == NDJSON:
            several, items = True, line_items(request.body, self.ids)
        else:
            several, items = json_items(request.body, self.ids)
        read: list[Item] = []
        for item in items:
            read.append(item)
            if len(read) % SLICE_ITEMS == 0:
                yield
        if not several and isinstance(read[0], ProblemError):
            raise read[0]
        made: list[dict[str, object]] = []
        for first in range(0, len(read), SLICE_ITEMS):
            made += self._slice(read[first : first + SLICE_ITEMS])
            if first + SLICE_ITEMS < len(read):
                yield
        facts = self.served.facts
        if request.content_type == NDJSON:
            lines = b"".join(_dumped(answer | facts) + b"\n" for answer in made)
            return Response(200, lines, NDJSON, self._headers())
        body = {**facts, "answers": made} if several else {**facts, **made[0]}
        return Response(200, _dumped(body), headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {
            "ETag": self.served.tag,
            "Predict-Age-Purpose": self.served.predictor.rules.purpose.encode("ascii", "replace").decode(),
        }

    def _slice(self, items: list[Item]) -> list[dict[str, object]]:
        """Answers to ``items``, in their order; an item that cannot be read has its problem instead."""
        good = [item for item in items if isinstance(item, ProfileItem)]
        shown = self._shown(good)
        answers = iter(
            self._predicted([item.profile for item, ok in zip(good, shown, strict=True) if ok]).each() if any(shown) else ()
        )
        visible = iter(shown)
        made: list[dict[str, object]] = []
        for item in items:
            if isinstance(item, ProblemError):
                made.append({"problem": item.as_json()})
                continue
            answer = next(answers) if next(visible) else NOBODY
            pid = {} if item.pid is None else {"pid": item.pid}
            made.append(pid | answer.as_json())
        return made

    def _predicted(self, profiles: list[str | None]) -> Answers:
        found = self.served.predictor.predict(profiles)
        self._count(found)
        return found

    def _count(self, found: Answers) -> None:
        for source in found.source:
            self.counts[source] = self.counts.get(source, 0) + 1

    def _shown(self, items: list[ProfileItem]) -> list[bool]:
        """Whose profile may be predicted: not of people on the suppression list."""
        shown = [True] * len(items)
        if self.suppression is None or all(item.pid is None for item in items):
            return shown
        named = [
            (n, pid)
            for n, item in enumerate(items)
            if item.pid is not None and (pid := self.served.people.pid_of(item.pid)) is not None
        ]
        hidden = self.served.people.is_hidden(np.array([pid for _, pid in named], np.int64), self.suppression)
        for (n, _), is_hidden in zip(named, hidden.tolist(), strict=True):
            shown[n] = not is_hidden
        return shown

    def _arrow(self, body: bytes) -> Generator[None, None, Response]:
        table = arrow_profiles(body)
        if "pid" in table.column_names and self.ids.text:
            raise ProblemError(422, "ids of this source are texts: send JSON, or profiles alone")
        pieces = []
        for first in range(0, table.num_rows, SLICE_ITEMS):
            piece = table.slice(first, SLICE_ITEMS)
            hidden = self._hidden(piece)
            profiles = piece["profile"] if hidden is None else pc.if_else(hidden, None, piece["profile"])
            found = self.served.predictor.predict(pa.chunked_array([profiles.combine_chunks()]))
            self._count(found)
            answers = found.table() if hidden is None else _without(found.table(), hidden)
            if "pid" in piece.column_names:
                answers = answers.add_column(0, "pid", piece["pid"])
            pieces.append(answers)
            yield
        result = pa.concat_tables(pieces) if pieces else self.served.predictor.predict([]).table()
        result = result.replace_schema_metadata({k: str(v) for k, v in self.served.facts.items()})
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, result.schema) as writer:
            writer.write_table(result)
        return Response(200, stream.getvalue().to_pybytes(), ARROW, self._headers())

    def _hidden(self, piece: pa.Table) -> pa.Array | None:
        """Who of a ``piece`` (n rows) is on the suppression list; None where nobody is."""
        if "pid" not in piece.column_names:
            return None
        pids = piece["pid"].fill_null(0).to_numpy()
        hidden = self.served.people.is_hidden(pids, self.suppression) & piece["pid"].is_valid().to_numpy()
        return pa.array(hidden) if hidden.any() else None


def _without(answers: pa.Table, hidden: pa.Array) -> pa.Table:
    """``answers`` with nothing but the reason for ``hidden`` people."""
    left = {"usable": False, "reason": NOT_AVAILABLE}
    columns = [
        pc.if_else(hidden, pa.scalar(left.get(name), c.type), c)
        for name, c in zip(answers.column_names, answers.columns, strict=True)
    ]
    return pa.table(columns, names=answers.column_names)


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
