"""Predictions of a request, together or in slices, so that many profiles do not keep single ones waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.arrays import BoolArray
from predict_age.pieces import finished
from predict_age.predictor.answers import Answer, Answers
from predict_age.predictor.profile_predictor import ReadProfiles
from predict_age.serving.arrow_requests import arrow_profiles
from predict_age.serving.messages import ARROW, NDJSON, ProblemError, Request, Response
from predict_age.serving.profile_requests import TextIds
from predict_age.serving.sent_items import ITEMS_TOGETHER, ReadBody, SentItems, read_body
from predict_age.serving.served_model import ServedModel
from predict_age.source.flat_records import NumberedRecords
from predict_age.storage.row_accounting import WITHHELD_MINOR
from predict_age.storage.suppression_list import SuppressionList

SMALL_BODY = 8_000  # bytes of a body that is read and answered at once
SMALL_ITEMS = 64  # in it; each may name two ids, beside the profile and inside: fewer than the ids of any request are limited to
FEW_ANSWERS = 4  # that are written without looking for equal ones
RECORDS_TOGETHER = 8  # profiles that may be records and are read exactly before a pause
WRITTEN_TOGETHER = 32  # answers that were never written before, between two pauses
MOST_EXPLAINED = 200  # reasons of a profile take as long as thousands of predictions
NOT_AVAILABLE = "not_available"
NOBODY = Answer(None, None, None, None, False, "", NOT_AVAILABLE)
WITHHELD_PERSON = Answer(None, None, None, None, False, WITHHELD_MINOR, None)


@dataclass(frozen=True)
class ReadTexts:
    """n profiles as the models see them, and the records among them, by number."""

    profiles: ReadProfiles
    records: NumberedRecords


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
        return None if found is None or found.explained or len(found) > SMALL_ITEMS else found

    def _limit_reads(self, beside: Iterable[int | str | None], read: list[ReadTexts]) -> None:
        """Raise ProblemError 413 where it takes too many reads to know who of all the people of a request is withheld.

        Their ids are ``beside`` the profiles, or inside those ``read``.
        """
        if self.served.people.some_withheld:
            self.served.people.limit_reads(chain(beside, (pid for one in read for pid in self.served.records.ids(one.records))))

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
        pieces, texts = list[SentItems](), list[ReadTexts]()
        for part in read.parts:
            for first in range(0, len(part), ITEMS_TOGETHER):
                pieces.append(part.slice(first, ITEMS_TOGETHER))
                texts.append((yield from self._read(pieces[-1].texts, pieces[-1].rows)))
        self._limit_reads(chain.from_iterable(piece.pids for piece in pieces), texts)
        made: list[bytes] = []
        for piece, found_texts in zip(pieces, texts, strict=True):
            answers = yield from self._answers(piece, found_texts)
            made.append(self._objects(request, read, answers))
            yield
        return self._response(request, read, made)

    def response(self, request: Request, read: ReadBody, made: list[bytes]) -> Response:
        """The response with the answers ``made`` to the items ``read``, each the members of an object. Raises ProblemError."""
        if not read.several and 0 in read.parts[0].problems:
            raise read.parts[0].problems[0]
        return self._response(request, read, [self._objects(request, read, made)] if made else [])

    def _objects(self, request: Request, read: ReadBody, answers: list[bytes]) -> bytes:
        """The objects of ``answers``, at least one: with run and model where each stands for itself."""
        facts = _members(self.served.facts)
        if request.content_type == NDJSON:
            return b"{%b, %b}\n" % ((b", %b}\n{" % facts).join(answers), facts)
        return b"{%b}" % b"}, {".join(answers) if read.several else b"{%b, %b}" % (facts, answers[0])

    def _response(self, request: Request, read: ReadBody, pieces: list[bytes]) -> Response:
        """The response with the objects of all ``pieces``."""
        if request.content_type == NDJSON:
            return Response(200, b"".join(pieces), NDJSON, self._headers())
        if not read.several:
            return Response(200, pieces[0], headers=self._headers())
        pieces = [b'{%b, "answers": [' % _members(self.served.facts), b", ".join(pieces), b"]}"]
        return Response(200, b"".join(pieces), headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {
            "ETag": self.served.tag,
            "Predict-Age-Purpose": self.served.predictor.rules.purpose.encode("ascii", "replace").decode(),
        }

    def answers(self, items: SentItems) -> list[bytes]:
        """Members of the answers to ``items``, as JSON, in their order; an item that cannot be read has its problem instead."""
        return finished(self._answers(items, finished(self._read(items.texts, items.rows))))

    def _read(self, texts: pa.StringArray, rows: BoolArray) -> Generator[None, None, ReadTexts]:
        """The profiles among ``texts`` at the marked ``rows``, scanned once: only those that may be records are parsed as well."""
        profiles = yield from self.served.predictor.read_in_pieces(pa.chunked_array([texts]), rows)
        if not profiles.may_be_records.any():
            return ReadTexts(profiles, [])
        places = np.flatnonzero(rows)[profiles.may_be_records].tolist()
        number = dict(zip(places, np.flatnonzero(profiles.may_be_records).tolist(), strict=True))
        records = list[tuple[int, Mapping[str, object]]]()
        for first in range(0, len(places), RECORDS_TOGETHER):
            found = self.served.records.find(texts, places[first : first + RECORDS_TOGETHER])
            records += [(number[place], record) for place, record in found]
            yield
        return ReadTexts(profiles, records)

    def _answers(self, items: SentItems, read: ReadTexts) -> Generator[None, None, list[bytes]]:
        hidden, withheld = self._without_number(read, lambda: self.served.people.pids_of(items.pids))
        asked = ~hidden & ~withheld
        asked[list(items.problems)] = False
        predicted: list[bytes] = []
        if asked.any():
            found = yield from self.served.predictor.answers_in_pieces(read.profiles, asked)
            yield
            self._count(found.sources())
            predicted = yield from _written(found)
        if len(predicted) < len(items):
            following = iter(predicted)
            others = [_NOBODY if nobody else _WITHHELD for nobody in hidden.tolist()]
            predicted = [next(following) if ok else other for ok, other in zip(asked.tolist(), others, strict=True)]
            self._count({WITHHELD_MINOR: int((withheld & ~hidden).sum())})
        made = predicted
        if items.pids.count(None) < len(items):
            made = [
                answer if pid is None else b'"pid": %b, %b' % (_pid(pid), answer)
                for pid, answer in zip(items.pids, predicted, strict=True)
            ]
        for n in sorted(items.explained - items.problems.keys()):
            explained = (yield from self._reasons(read.profiles, n)) if asked[n] else _NO_REASONS
            made[n] = b"%b, %b" % (made[n], explained)
        for n, problem in items.problems.items():
            made[n] = _members({"problem": problem.as_json()})
        return made

    def _reasons(self, read: ReadProfiles, number: int) -> Generator[None, None, bytes]:
        """The member ``explanation`` of the item of a ``number``: null where there is no prediction."""
        found = (yield from self.served.predictor.reasons_in_pieces(read.only(np.arange(len(read.problems)) == number)))[0]
        return _members({"explanation": None if found is None else found.as_json()})

    def _count(self, people: dict[str, int]) -> None:
        for source, number in people.items():
            if number:
                self.counts[source] = self.counts.get(source, 0) + number

    def _without_number(
        self, read: ReadTexts, beside: Callable[[], tuple[NDArray[np.int64], BoolArray]]
    ) -> tuple[BoolArray, BoolArray]:
        """Who of n people is on the suppression list, and who is a minor: withheld in the published run, or by the profile.

        ``beside`` gives the pids (n,) beside the profiles, and where there is one; others may be inside.
        """
        number = len(read.profiles.problems)
        people = self.served.people
        hidden = np.zeros(number, np.bool_)
        withheld = self.served.records.minors(read.records, number)
        if self.suppression is not None or people.some_withheld:
            ids, are_ids = beside()
            for rows, pids in ((are_ids.nonzero()[0], ids[are_ids]), self.served.records.pids(read.records)):
                if len(rows):
                    hidden[rows[people.is_hidden(pids, self.suppression)]] = True
                    withheld[rows[people.are_withheld(pids)]] = True
        return hidden, withheld

    def _arrow(self, body: bytes) -> Generator[None, None, Response]:
        table = yield from arrow_profiles(body)
        if "pid" in table.column_names and self.ids.text:
            raise ProblemError(422, "ids of this source are texts: send JSON, or profiles alone")
        pieces, texts = list[pa.Table](), list[ReadTexts]()
        for first in range(0, table.num_rows, ITEMS_TOGETHER):
            pieces.append(table.slice(first, ITEMS_TOGETHER))
            column = pieces[-1]["profile"]
            profiles = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
            texts.append((yield from self._read(profiles, np.ones(len(profiles), np.bool_))))
        self._limit_reads((pid.as_py() for pid in table["pid"]) if "pid" in table.column_names else (), texts)
        answered = []
        for piece, read in zip(pieces, texts, strict=True):
            hidden, withheld = self._without_number(read, partial(_pids_of_rows, piece))
            without = hidden | withheld
            found = yield from self.served.predictor.answers_in_pieces(read.profiles, ~without)
            yield
            answers = found.table()
            if without.any():
                rows = pa.array(np.cumsum(~without) - 1, mask=without)
                answers = _replaced(answers.take(rows), pa.array(withheld), WITHHELD_PERSON)
                answers = _replaced(answers, pa.array(hidden), NOBODY)
            self._count(
                found.sources() | {WITHHELD_MINOR: found.sources().get(WITHHELD_MINOR, 0) + int((withheld & ~hidden).sum())}
            )
            if "pid" in piece.column_names:
                answers = answers.add_column(0, "pid", piece["pid"])
            answered.append(answers)
            yield
        result = pa.concat_tables(answered) if answered else self.served.predictor.predict([]).table()
        result = result.replace_schema_metadata({k: str(v) for k, v in self.served.facts.items()})
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, result.schema) as writer:
            writer.write_table(result)
        return Response(200, stream.getvalue().to_pybytes(), ARROW, self._headers())


def _pids_of_rows(piece: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The pids (n,) of the rows of an Arrow request, and where there is one."""
    if "pid" not in piece.column_names:
        return np.zeros(piece.num_rows, np.int64), np.zeros(piece.num_rows, np.bool_)
    return piece["pid"].fill_null(0).to_numpy(), piece["pid"].is_valid().to_numpy()


def _replaced(answers: pa.Table, chosen: pa.Array, by: Answer) -> pa.Table:
    """``answers`` with the values of ``by`` for the ``chosen`` people, NULL for an empty text."""
    values = by.as_json()
    columns = [
        pc.if_else(chosen, pa.scalar(values[name], c.type), c)
        for name, c in zip(answers.column_names, answers.columns, strict=True)
    ]
    return pa.table(columns, names=answers.column_names)


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _members(value: dict[str, object]) -> bytes:
    """The members of an object as JSON, without its brackets."""
    return _encode(value).encode("utf-8", "backslashreplace")[1:-1]


def _pid(written: int | str) -> bytes:
    return b"%d" % written if isinstance(written, int) else _encode(written).encode("utf-8")


_value = lru_cache(maxsize=4096, typed=True)(lambda value: _encode(value).encode())
_ANSWER = b", ".join(b"%b: %%b" % _encode(name).encode() for name in NOBODY.as_json())


def _text(answer: Answer) -> bytes:
    """The members of an answer as JSON."""
    return _ANSWER % tuple(map(_value, answer.as_json().values()))


_NOBODY = _members(NOBODY.as_json())
_WITHHELD = _members(WITHHELD_PERSON.as_json())
_NO_REASONS = b'"explanation": null'
_known_answers: dict[int | tuple[int, str], bytes] = {}
MOST_KNOWN_ANSWERS = 100_000


def _written(found: Answers) -> Generator[None, None, list[bytes]]:
    """Members of each answer as JSON. Many people have the same, which is written once."""
    if len(_known_answers) > MOST_KNOWN_ANSWERS:
        _known_answers.clear()
    if len(found) <= FEW_ANSWERS:
        return [_text(answer) for answer in found.each()]
    keys = found.keys()
    known = {key: _known_answers.get(key, b"") for key in keys}
    new = list({key: row for row, key in enumerate(keys) if not known[key]}.values()) if b"" in known.values() else []
    for number, (row, answer) in enumerate(zip(new, found.only(new).each(), strict=True), start=1):
        known[keys[row]] = _known_answers[keys[row]] = _text(answer)
        if number % WRITTEN_TOGETHER == 0:
            yield
    return [known[key] for key in keys]
