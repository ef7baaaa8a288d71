"""Items of requests: a kernel finds what the strict reader of JSON finds, and leaves everything else to it."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from predict_age.kernels import MIN_KERNEL_ROWS, kernel_switch, use_kernels
from predict_age.serving import strict_json
from predict_age.serving.messages import NDJSON, ProblemError, Request
from predict_age.serving.prediction import Prediction
from predict_age.serving.profile_requests import MOST_PROFILES, TextIds
from predict_age.serving.sent_items import ReadBody, SentItems, items_one_by_one, read_body
from predict_age.serving.small_requests import SmallRequests

JSON = "application/json"
PROFILES = ["{}", "null", '{"a": 1}', '{ "a" : [ 1 , -0.5e+3, "x\\"y\\u00e9" , {"b":true , "c":null}, [], {} ] }', '{"ü": "é"}',
            '{"a": 1, "a": 1}', '{"a": {"b": 1}, "b": 2, "c": {"b": 3}}', '{"a": [{"b": 1}, {"b": 2}]}', '{"\\u0061": 1}', '{"": 0}', '{"a": 01}', '{"a": 1.}',
            '{"a": .5}', '{"a": 1e}', '{"a": -}', '{"a": NaN}', '{"a": tru}', '{"a": "\t"}', '{"a": "\\x"}', '{"a": "\\u12g4"}', '{"a": 1e999}', '{"a":' + "9" * 5000 + "}",
            '{"a": "x', '{"a" 1}', '{"a": 1,}', "[]", "[1]", "5", '"x"', "true", "", '{"a": [1, 2}', '{"a": 1]}', '{"a": "' + "x" * 100 + '"}', '{"a":' + "[" * 61 + "]" * 61 + "}",
            '{"a":' + "[" * 62 + "]" * 62 + "}", '{"a":' + '{"b":' * 62 + "1" + "}" * 62 + "}", "{" + ",".join(f'"k{i}": {i}' for i in range(200)) + "}", "{" + ",".join(f'"k{i % 190}": {i}' for i in range(191)) + "}"]  # fmt: off
PIDS = ["1", "-5", "0", "-0", "007", "null", "true", "1.0", "1e3", "9223372036854775807", "9223372036854775808", "123456789012345678901", '"x"', '"A-1 ü"', '""', '" "', '"\\u0041"', '"\u00a0"', "[]"]  # fmt: off
WHITE = st.sampled_from(["", "", "", " ", "\n", "\t ", "\r\n", "\x0b", "\x00"])


@st.composite
def an_item(draw: st.DrawFn) -> str:
    profile = f'"profile"{draw(WHITE)}:{draw(WHITE)}{draw(st.sampled_from(PROFILES))}'
    pid = f'"pid":{draw(WHITE)}{draw(st.sampled_from(PIDS))}'
    members = draw(
        st.sampled_from(
            [
                [profile],
                [profile, pid],
                [pid, profile],
                [pid],
                [],
                [profile, profile],
                [pid, profile, pid],
                [profile, '"x": 1'],
                [profile, '"explain": true'],
                ['"explain": 0', profile],
            ]
        )
    )
    return f"{draw(WHITE)}{{{draw(WHITE)}{','.join(members)}{draw(WHITE)}}}{draw(WHITE)}"


def found(body: bytes, content_type: str, ids: TextIds, kernels: bool) -> Any:
    """Profiles, ids and problems of all items, or the problem of the body."""
    kernel_switch.on = kernels
    try:
        *_, read = read_body(body, content_type, ids)
        assert isinstance(read, ReadBody)
        parts = [
            ([t for t, row in zip(p.texts.to_pylist(), p.rows, strict=True) if row], p.pids, list(p.problems.items()))
            for p in (part.slice(0, 3) for part in read.parts)
        ]
        flat = SentItems.joined(read.parts) if read.parts else items_one_by_one([])
        texts = [t for t, row in zip(flat.texts.to_pylist(), flat.rows, strict=True) if row]
        assert parts == [] or parts[0][0] == texts[: len(parts[0][0])]
        texts = [None if n in flat.problems else text for n, text in enumerate(texts)]
        return read.several, flat.explained, texts, flat.pids, {n: p.as_json() for n, p in flat.problems.items()}
    except ProblemError as problem:
        return problem.as_json()
    finally:
        kernel_switch.on = True


@settings(max_examples=60, deadline=None)
@example(['{"profile":{}}', '{"profile":{"a":1,"a":2}}'], ",", "[]", False, None)
@example(['{"profile":{}}', " "], ",", "[]", False, None)
@example(['{"profile":{}}'], ",", "[ ", False, None)
@example(['{"profile":{}}', '{"profile":{}}', ""], ",", "[]", False, None)
@example(['{"profile":{}}'], ",", "  ", False, None)
@given(
    st.lists(st.one_of(an_item(), st.sampled_from(["", " ", "1"])), max_size=5),
    st.sampled_from([",", ",", "\n", "\n\n", " , ", ",,"]),
    st.sampled_from(["[]", "[]", "  ", "[ ", "[}", " ]"]),
    st.booleans(),
    st.none() | st.tuples(st.integers(0, 400), st.integers(0, 127)),
)
def test_kernels_read_what_strict_json_reads(
    items: list[str], separator: str, brackets: str, text: bool, changed: tuple[int, int] | None
) -> None:
    assert use_kernels(MIN_KERNEL_ROWS)
    body = bytearray(f"{brackets[0]}{separator.join(items)}{brackets[1]}".encode())
    if changed and changed[0] < len(body):
        body[changed[0]] = changed[1]
    for kind in (JSON, NDJSON):
        sent = bytes(body)
        assert found(sent, kind, TextIds(text), True) == found(sent, kind, TextIds(text), False), (sent, kind)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
)


def value_or_problem(text: str) -> Any:
    try:
        return repr(strict_json.value_at(text, 1, 0))
    except ProblemError as problem:
        return problem.as_json()


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(JSON_VALUES.map(json.dumps), st.sampled_from(PROFILES), st.text('[]{}",:x0-.\\u \n', max_size=40)),
    st.booleans(),
    st.sampled_from([", x", "]", " ", '"', "", "0" * 50]),
    st.tuples(st.integers(0, 30), st.integers(1, 60)),
)
@example("0.0", False, ", x", (0, 2))
@example("1e+5", False, ", x", (0, 3))
def test_the_end_of_a_value_is_found_in_parts(text: str, spaced: bool, after: str, parts: tuple[int, int]) -> None:
    """In parts of any size a value, its end and what is wrong with it are those of the whole text, unless it is too long."""
    sent = f" {text.replace(', ', ' , ' if spaced else ',')}{after}"
    most = 10**6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "_PARTS", (most,))
        whole = value_or_problem(sent)
        patch.setattr(strict_json, "_PARTS", (parts[0], sum(parts), most))
        assert value_or_problem(sent) == whole
        patch.setattr(strict_json, "_PARTS", (parts[0], sum(parts)))
        found = value_or_problem(sent)
        assert found == whole or (found["status"] == 413 and len(sent) > sum(parts))


@pytest.mark.parametrize("body", [b"\n" * 4_000_000, b"x" + b"\r\n" * 2_000_000], ids=["blank lines", "after a bad one"])
def test_blank_lines_take_no_time(body: bytes) -> None:
    """Millions of them were as many steps, between which nobody else was answered."""
    began = time.thread_time()
    *_, read = read_body(body, NDJSON, TextIds(False))
    assert read is not None and len(read) == body.count(b"x") and time.thread_time() - began < 0.2


def test_usual_items_stay_where_they_are() -> None:
    """The fast way is taken: texts of the body itself, in parts of a thousand."""
    body = b"[" + b", ".join(b'{"pid": %d, "profile": {"a": "x\\n%d"}}' % (n, n) for n in range(1500)) + b"]"
    *_, read = read_body(body, JSON, TextIds(False))
    assert isinstance(read, ReadBody)
    assert [len(part) for part in read.parts] == [1000, 500]
    assert all(part.texts.buffers()[2].size == len(body) + 64 for part in read.parts)
    assert read.parts[1].pids == list(range(1000, 1500))
    assert read.parts[1].texts[2].as_py() == '{"a": "x\\n1001"}'


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("kind", [JSON, NDJSON])
def test_too_many_items(kernels: bool, kind: str) -> None:
    for more in (0, 1):
        items = [b'{"profile":{}}'] * (MOST_PROFILES + more)
        answer = found(b"\n".join(items) if kind == NDJSON else b"[" + b",".join(items) + b"]", kind, TextIds(False), kernels)
        assert (answer["status"] == 413) if more else (len(answer[2]) == MOST_PROFILES)


class _Echo(Prediction):
    """A prediction that answers with the profile, and fails at one."""

    def answers(self, items: SentItems) -> list[bytes]:
        taken.append(len(items))
        texts = [t for t, row in zip(items.texts.to_pylist(), items.rows, strict=True) if row]
        if '{"a":7}' in texts:
            raise ZeroDivisionError
        return [b'"n": %b' % text.encode() for text in texts]

    def _headers(self) -> dict[str, str]:
        return {}


taken: list[int] = []


class _Facts:
    facts = {"f": 1}  # noqa: RUF012
    people = SimpleNamespace(some_withheld=False)


def test_requests_that_arrive_together_are_answered_together() -> None:
    """Each has its own answers, of its own model; an error is that of those who were together."""
    first, second = _Facts(), _Facts()

    async def ask(small: SmallRequests, number: int, model: Any) -> bytes:
        prediction = _Echo(model, None, TextIds(False))
        body = (
            b'{"profile": {"a":%d}}' % number
            if number % 2
            else b'[{"profile": {"a":%d}}, {"profile": {"b":%d}}]' % (number, number)
        )
        request = Request("POST", "/v1/predict", "", {"content-type": JSON}, body)
        read = prediction.read_at_once(request)
        assert read is not None
        return (await small.answer(prediction, request, read)).body

    async def all_of_them() -> list[Any]:
        small = SmallRequests()
        models = [first, first, first, second, second, second, second, first]
        return await asyncio.gather(*(ask(small, n, m) for n, m in enumerate(models)), return_exceptions=True)

    taken.clear()
    made = asyncio.run(all_of_them())
    assert taken == [5, 6, 1]
    assert made[1] == b'{"f": 1, "n": {"a":1}}' and made[4] == b'{"f": 1, "answers": [{"n": {"a":4}}, {"n": {"b":4}}]}'
    assert [type(m) for m in made] == [bytes] * 7 + [ZeroDivisionError]
