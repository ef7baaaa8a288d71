"""Predictions of a request, together or in slices, so that many profiles do not keep single ones waiting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.pieces import finished
from predict_age.predictor.answers import Answer, Answers, answer_of
from predict_age.serving.arrow_requests import arrow_profiles
from predict_age.serving.messages import ARROW, NDJSON, ProblemError, Request, Response
from predict_age.serving.profile_requests import TextIds
from predict_age.serving.sent_items import ITEMS_TOGETHER, ReadBody, SentItems, read_body
from predict_age.serving.served_model import ServedModel
from predict_age.storage.row_accounting import WITHHELD_MINOR
from predict_age.storage.suppression_list import SuppressionList

SMALL_BODY = 8_000  # bytes of a body that is read and answered at once
WRITTEN_TOGETHER = 256  # answers that are written before a pause
MOST_EXPLAINED = 200  # reasons of a profile take as long as thousands of predictions
NOT_AVAILABLE = "not_available"
NOBODY = Answer(None, None, None, None, False, "", NOT_AVAILABLE)
WITHHELD_PERSON = Answer(None, None, None, None, False, WITHHELD_MINOR, None)


@dataclass
class Prediction:
    """Predictions by one served model and the suppression list; ``counts`` are people by source of their answer."""

    served: ServedModel
    suppression: SuppressionList | None
    ids: TextIds
    counts: dict[str, int] = field(default_factory=dict)

    def like(self, other: Prediction) -> bool:
        """Whether the same model and the same list answer both."""
        return self.served is other.served and self.suppression is other.suppression

    def read_at_once(self, request: Request) -> ReadBody | None:
        """The items of a small JSON request; None for other requests, which are answered in slices. Raises ProblemError."""
        if len(request.body) > SMALL_BODY or request.content_type == ARROW:
            return None
        *_, found = read_body(request.body, request.content_type, self.ids)
        if found is None or found.explained:
            return None
        self._limit_reads(found)
        return found

    def _limit_reads(self, read: ReadBody) -> None:
        """Raise ProblemError 413 where it takes too many reads to know who of all the people of a request is withheld."""
        if self.served.people.some_withheld:
            inside = (pid for part in read.parts for pid in self.served.records.ids(part.profiles))
            self.served.people.limit_reads(chain((pid for part in read.parts for pid in part.pids), inside))

    def in_slices(self, request: Request) -> Generator[None, None, Response]:
        """Answer ``request``, with a pause after each slice. Raises ProblemError before anything is predicted."""
        if request.content_type == ARROW:
            return (yield from self._arrow(request.body))
        read = ReadBody(True, [])
        for found in read_body(request.body, request.content_type, self.ids):
            if found is not None:
                read = found
            yield
        if read.explained > MOST_EXPLAINED:
            raise ProblemError(413, f"reasons of more than {MOST_EXPLAINED} profiles: send several requests")
        if not read.several and 0 in read.parts[0].problems:
            raise read.parts[0].problems[0]
        self._limit_reads(read)
        made: list[bytes] = []
        for part in read.parts:
            for first in range(0, len(part), ITEMS_TOGETHER):
                answers = yield from self._answers(part.slice(first, ITEMS_TOGETHER))
                made += self._objects(request, read, answers)
                yield
        return self._response(request, read, made)

    def response(self, request: Request, read: ReadBody, made: list[bytes]) -> Response:
        """The response with the answers ``made`` to the items ``read``, each the members of an object. Raises ProblemError."""
        if not read.several and 0 in read.parts[0].problems:
            raise read.parts[0].problems[0]
        return self._response(request, read, self._objects(request, read, made))

    def _objects(self, request: Request, read: ReadBody, answers: list[bytes]) -> list[bytes]:
        """The objects of ``answers``: with run and model where each stands for itself."""
        facts = _members(self.served.facts)
        if request.content_type == NDJSON:
            return [b"{%b, %b}\n" % (answer, facts) for answer in answers]
        return [b"{%b}" % a for a in answers] if read.several else [b"{%b, %b}" % (facts, a) for a in answers]

    def _response(self, request: Request, read: ReadBody, objects: list[bytes]) -> Response:
        if request.content_type == NDJSON:
            return Response(200, b"".join(objects), NDJSON, self._headers())
        if not read.several:
            return Response(200, objects[0], headers=self._headers())
        if not objects:
            objects = [b""]
        objects[0] = b'{%b, "answers": [%b' % (_members(self.served.facts), objects[0])
        objects[-1] += b"]}"
        return Response(200, b", ".join(objects), headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {
            "ETag": self.served.tag,
            "Predict-Age-Purpose": self.served.predictor.rules.purpose.encode("ascii", "replace").decode(),
        }

    def answers(self, items: SentItems) -> list[bytes]:
        """Members of the answers to ``items``, as JSON, in their order; an item that cannot be read has its problem instead."""
        return finished(self._answers(items))

    def _answers(self, items: SentItems) -> Generator[None, None, list[bytes]]:
        hidden, withheld = self._without_number(items)
        asked = ~hidden & ~withheld
        asked[list(items.problems)] = False
        rows = items.rows.copy()
        rows[rows] = asked
        predicted: list[bytes] = []
        if asked.any():
            found = yield from self.served.predictor.predict_in_pieces(pa.chunked_array([items.texts]), rows)
            yield
            self._count(found.source)
            predicted = yield from _written(found)
        if len(predicted) < len(items):
            following = iter(predicted)
            others = [_NOBODY if nobody else _WITHHELD for nobody in hidden.tolist()]
            predicted = [next(following) if ok else other for ok, other in zip(asked.tolist(), others, strict=True)]
        self._count([WITHHELD_MINOR] * int((withheld & ~hidden).sum()))
        made = [
            answer if pid is None else b'"pid": %b, %b' % (_pid(pid), answer)
            for pid, answer in zip(items.pids, predicted, strict=True)
        ]
        for n in sorted(items.explained - items.problems.keys()):
            explained = (yield from self._reasons(items.slice(n, 1))) if asked[n] else _NO_REASONS
            made[n] = b"%b, %b" % (made[n], explained)
        for n, problem in items.problems.items():
            made[n] = _members({"problem": problem.as_json()})
        return made

    def _reasons(self, item: SentItems) -> Generator[None, None, bytes]:
        """The member ``explanation`` of one item: null where there is no prediction."""
        found = (yield from self.served.predictor.reasons_in_pieces(pa.chunked_array([item.texts])))[0]
        return _members({"explanation": None if found is None else found.as_json()})

    def _count(self, sources: list[str]) -> None:
        for source, people in Counter(sources).items():
            self.counts[source] = self.counts.get(source, 0) + people

    def _without_number(self, items: SentItems) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whose profiles (n,) are not predicted: of people on the suppression list, and of minors."""
        return self._without_number_by(items.profiles, lambda: self.served.people.pids_of(items.pids))

    def _without_number_by(
        self, profiles: pa.ChunkedArray | pa.StringArray, beside: Callable[[], tuple[NDArray[np.int64], NDArray[np.bool_]]]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Who of n people is on the suppression list, and who is a minor: withheld in the published run, or by the profile.

        ``beside`` gives the pids (n,) beside the profiles, and where there is one; others may be inside.
        """
        people = self.served.people
        hidden, withheld = np.zeros(len(profiles), np.bool_), self.served.records.minors(profiles)
        if self.suppression is not None or people.some_withheld:
            ids, are_ids = beside()
            for rows, pids in ((np.flatnonzero(are_ids), ids[are_ids]), self.served.records.pids(profiles)):
                hidden[rows[people.is_hidden(pids, self.suppression)]] = True
                withheld[rows[people.are_withheld(pids)]] = True
        return hidden, withheld

    def _arrow(self, body: bytes) -> Generator[None, None, Response]:
        table = yield from arrow_profiles(body)
        if "pid" in table.column_names and self.ids.text:
            raise ProblemError(422, "ids of this source are texts: send JSON, or profiles alone")
        if self.served.people.some_withheld:
            sent = (pid.as_py() for pid in table["pid"]) if "pid" in table.column_names else iter(())
            self.served.people.limit_reads(chain(sent, self.served.records.ids(table["profile"])))
        pieces = []
        for first in range(0, table.num_rows, ITEMS_TOGETHER):
            piece = table.slice(first, ITEMS_TOGETHER)
            hidden, withheld = self._without_number_by(piece["profile"], partial(_pids_of_rows, piece))
            without = hidden | withheld
            anybody = bool(without.any())
            profiles = pc.if_else(pa.array(without), None, piece["profile"]) if anybody else piece["profile"]
            column = pa.chunked_array([profiles.combine_chunks()])
            found = yield from self.served.predictor.predict_in_pieces(column, np.ones(len(column), np.bool_))
            yield
            answers = found.table()
            if anybody:
                answers = _replaced(_replaced(answers, pa.array(withheld), WITHHELD_PERSON), pa.array(hidden), NOBODY)
            self._count([source for source in answers["prediction_source"].to_pylist() if source])
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


def _pids_of_rows(piece: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The pids (n,) of the rows of an Arrow request, and where there is one."""
    pids = piece["pid"] if "pid" in piece.column_names else pa.chunked_array([pa.nulls(piece.num_rows, pa.int64())])
    return pids.fill_null(0).to_numpy(), pids.is_valid().to_numpy()


def _replaced(answers: pa.Table, chosen: pa.Array, by: Answer) -> pa.Table:
    """``answers`` with the values of ``by`` for the ``chosen`` people, NULL for an empty text."""
    values = by.as_json()
    columns = [
        pc.if_else(chosen, pa.scalar(values[name], c.type), c)
        for name, c in zip(answers.column_names, answers.columns, strict=True)
    ]
    return pa.table(columns, names=answers.column_names)


def _members(value: dict[str, object]) -> bytes:
    """The members of an object as JSON, without its brackets."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")[1:-1]


def _pid(written: int | str) -> bytes:
    return b"%d" % written if isinstance(written, int) else json.dumps(written, ensure_ascii=False).encode("utf-8")


_NOBODY = _members(NOBODY.as_json())
_WITHHELD = _members(WITHHELD_PERSON.as_json())
_NO_REASONS = b'"explanation": null'
_known_answers: dict[tuple[object, ...], bytes] = {}
MOST_KNOWN_ANSWERS = 100_000


def _written(found: Answers) -> Generator[None, None, list[bytes]]:
    """Members of each answer as JSON. Many people have the same, which is written once."""
    if len(_known_answers) > MOST_KNOWN_ANSWERS:
        _known_answers.clear()
    made = []
    for number, values in enumerate(found.rows(), start=1):
        text = _known_answers.get(values)
        if text is None:
            text = _known_answers[values] = _members(answer_of(values).as_json())
        made.append(text)
        if number % WRITTEN_TOGETHER == 0:
            yield
    return made
