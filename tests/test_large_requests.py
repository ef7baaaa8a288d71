"""Large requests are answered in pieces: small ones that arrive meanwhile are answered before the next piece."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predict_age.config import AgesConfig
from predict_age.kernels import prepare_kernels
from predict_age.pieces import finished
from predict_age.predictor.loading import load_predictor
from predict_age.predictor.profile_predictor import MOST_BY_SQL, READ_TOGETHER, ProfilePredictor
from predict_age.serving import large_requests
from predict_age.serving.large_requests import MOST_PENDING, MOST_PENDING_BYTES, LargeRequests
from predict_age.serving.messages import ARROW, Request
from predict_age.serving.people import PublishedPeople
from predict_age.serving.prediction import Prediction
from predict_age.serving.profile_requests import TextIds
from predict_age.serving.sent_records import SentRecords
from predict_age.serving.small_requests import SmallRequests
from predict_age.source.row_rules import IdType, RowRules
from predict_age.source_config import SourceConfig
from predict_age.storage.workspace import Workspace
from served import JSON

ROUNDS_OF_A_SMALL_REQUEST = 6  # rounds of the event loop in which it is read, predicted with others, and answered


@pytest.fixture(scope="module")
def predictor(finished: tuple[Path, dict[str, Any]]) -> ProfilePredictor:
    prepare_kernels(10**6)
    made = load_predictor(Workspace.existing(finished[0]))
    made.warm_up()
    return made


@pytest.fixture(scope="module")
def profiles(people: Path) -> list[str]:
    """Profiles, a third of which only SQL reads."""
    rows = pq.read_table(people / "people", columns=["profile_json"])["profile_json"].to_pylist()
    texts = [text for text in rows if (text or "").startswith("{")][:900]
    return [text.replace('"', '"\\u0063', 1).replace("\\u0063c", "\\u0063") if n % 3 == 0 else text for n, text in enumerate(texts)]


def pieces_of(work: Generator[None, None, Any]) -> tuple[Any, list[float]]:
    """The result of ``work``, and the processor time of each piece."""
    times = list[float]()
    while True:
        began = time.thread_time()
        try:
            next(work)
        except StopIteration as end:
            return end.value, [*times, time.thread_time() - began]
        times.append(time.thread_time() - began)


def test_pieces_give_the_same_answers(predictor: ProfilePredictor, profiles: list[str]) -> None:
    """Whoever shares a piece, whatever their number, and whatever lies between the profiles."""
    column = pa.chunked_array([pa.array([text for profile in profiles for text in (profile, "between")], pa.string())])
    for n in (1, 7, READ_TOGETHER, len(profiles)):
        some = column.slice(0, 2 * n)
        rows = (pa.array(range(2 * n)).to_numpy() % 2) == 0
        read, times = pieces_of(predictor.read_in_pieces(some, rows))
        found = finished(predictor.answers_in_pieces(read))
        assert list(found.each()) == list(predictor.predict(some, rows).each())
        assert len(times) > n // READ_TOGETHER + n // 3 // MOST_BY_SQL


class _Served:
    """A served model, as far as predictions need it."""

    def __init__(self, predictor: ProfilePredictor) -> None:
        self.predictor, self.facts, self.tag = predictor, {"run_id": "r"}, '"r"'
        self.people = SimpleNamespace(some_withheld=False)
        self.records = SentRecords(SourceConfig(), RowRules(AgesConfig(), dt.date(2025, 10, 23)))


@pytest.mark.parametrize(("kind", "explain"), [(JSON, False), (ARROW, False), (JSON, True)])
def test_no_piece_is_long(predictor: ProfilePredictor, profiles: list[str], kind: str, explain: bool) -> None:
    """Reading, predicting and writing are all in pieces. They are milliseconds: the limit leaves room for a busy machine."""
    if explain:
        body = b"[" + b",".join(b'{"explain": true, "profile": %b}' % text.encode() for text in profiles[:4]) + b"]"
    elif kind == JSON:
        body = b"[" + b",".join(b'{"profile": %b}' % text.encode() for text in profiles) + b"]"
    else:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, pa.schema([("profile", pa.string())])) as writer:
            writer.write_table(pa.table({"profile": profiles}))
        body = sink.getvalue().to_pybytes()
    prediction = Prediction(_Served(predictor), None, TextIds(False))  # type: ignore[arg-type]
    request = Request("POST", "/v1/predict", "", {"content-type": kind}, body)
    quickest = list[float]()
    for _ in range(3):  # the least of three runs: one alone may be interrupted anywhere
        response, times = pieces_of(prediction.in_slices(request))
        assert response.status == 200
        quickest = [min(pair) for pair in zip(quickest, times, strict=False)] if quickest else times
    assert len(quickest) > (20 if explain else 60)
    assert max(quickest) < 0.02 and sum(quickest) > 5 * max(quickest)


def test_small_requests_are_answered_before_the_next_piece() -> None:
    """A request that arrives during a piece is answered before the next one, although it takes several rounds of the loop."""
    said = list[str]()

    async def run() -> None:
        small = SmallRequests()
        large = LargeRequests(small)

        async def small_one(number: int) -> None:
            small.in_hand += 1
            for _ in range(ROUNDS_OF_A_SMALL_REQUEST):
                await asyncio.sleep(0)
            small.in_hand -= 1
            said.append(f"small {number}")

        def work(name: str) -> Generator[None, None, str]:
            for number in range(3):
                said.append(f"{name} {number}")
                large.heard = True
                arriving.append(asyncio.ensure_future(small_one(len(arriving))))
                yield
            return name

        arriving = list[asyncio.Future[None]]()
        assert await asyncio.gather(large.result(work("a")), large.result(work("b"))) == ["a", "b"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_requests, "LEAST_SECONDS", 0.0)
        patch.setattr(large_requests, "LEAST_SECONDS_ALONE", 0.0)
        patch.setattr(large_requests, "MOST_PAUSE_SECONDS", 60.0)
        asyncio.run(run())
    assert said == ["a 0", "small 0", "b 0", "small 1", "a 1", "small 2", "b 1", "small 3", "a 2", "small 4", "b 2", "small 5"]


def test_large_requests_go_on_however_many_small_ones_arrive() -> None:
    """A pause ends after MOST_PAUSE_SECONDS."""

    async def run() -> float:
        small = SmallRequests(in_hand=1)
        began = time.perf_counter()
        assert await LargeRequests(small).result(iter_of(5)) == 5
        return time.perf_counter() - began

    def iter_of(pieces: int) -> Generator[None, None, int]:
        for _ in range(pieces):
            time.sleep(large_requests.LEAST_SECONDS_ALONE)
            yield
        return pieces

    assert asyncio.run(run()) >= 4 * large_requests.MOST_PAUSE_SECONDS


def test_one_too_many() -> None:
    """By their number, and by the bytes of their bodies."""
    large = LargeRequests(SmallRequests())
    assert not large.full(MOST_PENDING_BYTES) and large.full(MOST_PENDING_BYTES + 1)
    large.pending = MOST_PENDING
    assert large.full(1)
    large.pending, large.pending_bytes = 1, MOST_PENDING_BYTES
    assert large.full(1) and large.limit()["RateLimit"] == f'"large";r={MOST_PENDING - 1};t=1'


class _Nobody:
    def find(self, pid: int) -> None:
        return None


@pytest.mark.parametrize("ids", ["integer", "text"])
def test_ids_of_many_items_are_those_of_single_ones(ids: IdType) -> None:
    """A request's ids are read together: each stands for the pid that it stands for alone, and None for nobody."""
    people = PublishedPeople(_Nobody(), ids, 0)
    several: list[int | str | None] = (
        [5, None, -(2**63), 2**63, 0] if ids == "integer" else ["5", None, "A-17", " 7", "9223372036854775808", "Zo\u00e9", "-0"]
    )
    pids, given = people.pids_of(several)
    alone = [None if one is None else people.pid_of(one) for one in several]
    assert [int(pid) if ok else None for pid, ok in zip(pids, given, strict=True)] == alone
    assert people.pids_of([None, None])[1].tolist() == [False, False]
