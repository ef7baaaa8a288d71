"""Kernels against the slower code that they stand in for: equal to the last bit, whatever the input."""

import datetime as dt
import json
import random
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from predict_age.evaluation.drift import sketch
from predict_age.features import json_fast_path
from predict_age.features.extract import MAX_RARE_PROFILES, FeatureReader, extract_features
from predict_age.features.spec import default_text, parse_features
from predict_age.kernels import MIN_KERNEL_ROWS, kernels_usable, prepare_kernels
from predict_age.kernels.json_scanner import MAX_DEPTH, JsonScan, PathTree, scan_texts
from predict_age.kernels.value_cache import LOOKED_UP, RuleTables, ValueCache, read_values
from predict_age.models import age_distribution, density_network, density_network_training, network_data
from predict_age.source import profile_hash
from predict_age.source.row_rules import connect
from predict_age.synthetic.write import Chunk, record_batch

AS_OF = dt.date(2025, 10, 23)
BOUNDS = "min = -5\nmax = 100\ndefault = 1\n"
EVERY_KIND = f"""format = 1
[features.n]
kind = "number"
path = "n"
{BOUNDS}
[features.scaled]
kind = "number"
path = "n"
scale = 0.08333333333333333
outside = "clip"
{BOUNDS}
[features.d]
kind = "date"
path = "o.d"
max = 70
default = 1
[features.item]
kind = "number"
path = "l[1].n"
{BOUNDS}
[features.last]
kind = "number"
path = "l[-1]"
{BOUNDS}
[features.any]
kind = "number"
path = "l[*].n"
pick = "max"
{BOUNDS}
[features.rank]
kind = "ordered"
path = "r"
levels = ["low", ["mid", "Mitte ü"], "high"]
default = 1
[features.c]
kind = "category"
path = "o.some key"
[features.b]
kind = "boolean"
path = "b"
[features.count]
kind = "count"
path = "l"
max = 3
[features.t]
kind = "text"
path = "t"
rules = [{{ match = "^a", value = 2 }}, {{ match = "b|c", value = 1 }}]
otherwise = 0
default = 0
[features.s]
kind = "sql"
expression = "json_array_length(profile, '$.l')"
{BOUNDS}
"""
FEATURES = EVERY_KIND.replace('kind = "', 'meaning = "m"\nkind = "')

KEYS = st.sampled_from(["n", "o", "d", "l", "r", "b", "t", "some key", "x", "", "nn", 'q"', "ü", "tenure_months_long", "n\\"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-9, 120),
    st.floats(),
    st.floats(-9, 120, width=16),
    st.sampled_from(
        ["low", "MID ", "Mitte ü", "2020-05-17", "2019", "2018-07", "[1,2]", "7.5", "true", "a", "b", "-0", "NaN", " "]
    ),
    st.text(max_size=40),
)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(KEYS, v, max_size=6), max_leaves=25)
WRITTEN = [
    {},
    {"indent": 1},
    {"separators": (",", ":")},
    {"ensure_ascii": False},
    {"ensure_ascii": False, "separators": (" , ", " :\t")},
]
ODD = [
    "",
    " ",
    "{}",
    "{} ",
    " {}",
    "[]",
    "null",
    "1",
    '"{}"',
    "{",
    "}",
    '{"n":1,}',
    '{"n":01}',
    '{"n":1.}',
    '{"n":.5}',
    '{"n":+1}',
    '{"n":1e3}',
    '{"n":-}',
    '{"n":-0}',
    '{"n":-0.0}',
    '{"n":1 2}',
    '{"n":1}x',
    '{"n":1}{}',
    '{"n":1,"n":2}',
    '{"o":{"d":"2001"},"o":{"d":"2002"}}',
    '{"\\u006e":1}',
    '{"n":"\\ud800"}',
    '{"n":"\\u00e9\\n"}',
    '{"t":"\\x"}',
    '{"t":"a\x01"}',
    '{"t":"\t"}',
    "{'n':1}",
    '{"n":tru}',
    '{"n":nulL}',
    '{"b":truefalse}',
    '{"n" 1}',
    '{"n":1 "b":2}',
    "{n:1}",
    '{"l":[1,{"n":3}]}',
    '{"l":[1,{"n":3},]}',
    '{"l":[,1]}',
    '{"l":[[1],[2,3]]}',
    '{"n":123456789012345678}',
    '{"n":99.99999999999999999}',
    '{"n":0.1234567890123456}',
    '{"n":12345678.9012345}',
    '{"n":1e999}',
    '{"n":NaN}',
    '{"l":' + "[" * 70 + "]" * 70 + "}",
    '{"l":' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}",
    '{"n":5}\x00',
    '\ufeff{"n":5}',
    '{"o":{"some key":"' + "v" * 300 + '"}}',
    '{"t":"' + "x" * 31 + '"}',
    '{"t":"' + "x" * 32 + '\\""}',
    '{"n":/*c*/1}',
]


def same(texts: list[str | None], features: str = FEATURES) -> None:
    """Both ways give the same columns and the same problems."""
    profiles = pa.chunked_array([pa.array(texts, pa.string())])
    slow = extract_features(connect(), profiles, features, AS_OF, kernels=False)
    fast = extract_features(connect(), profiles, features, AS_OF, kernels=True)
    assert fast.problem.to_pylist() == slow.problem.to_pylist()
    for name in slow.columns.column_names:
        expected, found = slow.columns[name], fast.columns[name].cast(slow.columns[name].type)
        assert found.null_count == expected.null_count and found.to_pylist() == expected.to_pylist(), name


def test_kernels_run_here() -> None:
    """Otherwise this file compares the slower code with itself."""
    assert kernels_usable()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.dictionaries(KEYS, VALUES, max_size=8) | VALUES, st.sampled_from(WRITTEN)), min_size=1, max_size=12))
def test_same_features_as_sql(documents: list) -> None:
    """Any JSON, in any layout."""
    same([json.dumps(value, **how) for value, how in documents])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=8), st.integers(0, 2**32), st.sampled_from(WRITTEN))
def test_same_features_of_broken_json(document: dict, seed: int, how: dict) -> None:
    """Characters of a JSON text dropped, doubled and changed."""
    dice = random.Random(seed)
    text, broken = json.dumps(document, **how), []
    for _ in range(20):
        at = dice.randrange(len(text))
        broken.append(
            text[:at]
            + dice.choice(["", text[at] * 2, '"', "\\", "{", "}", "[", "]", ",", ":", "0", "-", "\n", "é"])
            + text[at + 1 :]
        )
        broken.append(text[:at])
    same(broken)


def test_same_features_of_odd_texts() -> None:
    """Texts that parsers are known to disagree about, at the beginning, in the middle and at the end of a buffer."""
    same([*ODD, None, *reversed(ODD)])
    for text in ODD:
        same([text])


def test_texts_that_mean_something_in_sql() -> None:
    """A few new texts are written into a statement, many are handed over as a table: both must take them as they are."""
    odd = [
        "it's",
        "''",
        "'; DROP TABLE x; --",
        "$1",
        "?",
        "E'\\n'",
        "\\",
        "\\'",
        "/*",
        "{}",
        "{0}",
        "a''b'",
        "ü'",
        "\u2019",
        "%s",
        "[']']",
    ]
    texts = [json.dumps({"o": {"some key": value}, "t": value, "d": value}) for value in odd]
    same(texts)
    same(texts + [json.dumps({"o": {"some key": f"'{n}'"}}) for n in range(MAX_RARE_PROFILES)])


def test_same_numbers() -> None:
    """Decimal numbers of up to 17 digits: one that is read in two roundings would differ in its last bit now and then."""
    dice = random.Random(5)
    numbers = [
        f"{dice.choice(['', '-'])}{dice.randrange(100)}.{dice.randrange(10**d):0{d}d}" for d in range(1, 16) for _ in range(200)
    ]
    same([f'{{"n":{n}}}' for n in numbers])


def test_same_features_of_generated_people() -> None:
    """The document's profile, all features, and only of some of the rows."""
    people, _ = record_batch(Chunk(3, 0, 6000, AS_OF))
    profiles = pa.chunked_array([people["profile_json"]])
    rows = np.arange(6000) % 3 > 0
    slow = extract_features(connect(), profiles, default_text(), AS_OF, rows, kernels=False)
    for given_ in (profiles, pa.chunked_array([people["profile_json"].slice(0, 2500), people["profile_json"].slice(2500)])):
        fast = extract_features(connect(), given_, default_text(), AS_OF, rows, kernels=True)
        for name in slow.columns.column_names:
            assert fast.columns[name].cast(slow.columns[name].type).equals(slow.columns[name]), name


def test_slices_of_a_reading_are_one_text_after_another() -> None:
    """Profiles in slices of any size, none and NULL among them, are those of one slice, whoever reads them."""
    people, _ = record_batch(Chunk(4, 0, 3000, AS_OF))
    texts = people["profile_json"].to_pylist()
    texts[1500:1500] = [*ODD, None]
    profiles = pa.array(texts, pa.string())
    rows = np.arange(len(texts)) % 4 > 0
    slow = extract_features(connect(), pa.chunked_array([profiles]), default_text(), AS_OF, rows, kernels=False)
    for kernels in (True, False):
        reading = FeatureReader(connect(), default_text(), AS_OF, kernels=kernels)
        bounds = [0, 0, 1, 2, 700, 700, 1500, 1510, 2999, len(texts)]
        for first, end in pairwise(bounds):
            reading.add(pa.chunked_array([profiles.slice(first, end - first)]), rows[first:end])
        made = reading.finish()
        assert made.problem.equals(slow.problem)
        for name in slow.columns.column_names:
            assert made.columns[name].cast(slow.columns[name].type).equals(slow.columns[name]), name
    assert FeatureReader(connect(), default_text(), AS_OF, kernels=True).finish().columns.num_rows == 0


def test_a_full_value_cache_is_evicted_and_refilled() -> None:
    """A full column of the cache is emptied; categories keep their values."""
    text = 'format = 1\n[features.c]\nmeaning = "m"\nkind = "category"\npath = "c"\n'
    reader = json_fast_path.FastPath(parse_features(text, "t"), AS_OF)
    reader.value_cache = ValueCache(1, max_texts=50)
    for start in (0, 40, 80, 0):
        values = [f"value {i}" for i in range(start, start + 40)]
        profiles = pa.array([json.dumps({"c": v}) for v in values], pa.string())
        reading = reader.reader(lambda _, texts: {"c": [json.loads(t)["c"] for t in texts]})
        assert reading.add(profiles, np.arange(40))[0].all()
        assert reading.finish()["c"].to_pylist() == values
        assert len(reader.value_cache.known[0]) <= 80


def test_collisions_are_no_matter() -> None:
    """More texts than places of a small table, equal lengths and equal beginnings."""
    texts = [f"{i:07d}".encode() for i in range(3000)]
    cache = ValueCache(2)
    cache.add({0: {t: -float(i) for i, t in enumerate(texts)}, 1: {t: float(i) for i, t in enumerate(texts[::2])}})
    data = np.frombuffer(b"".join(texts), np.uint8)
    starts = np.arange(0, len(data), 7, dtype=np.int32)[:, None]
    out = np.full((2, 3000), np.nan)
    ends, plain_, kinds = starts + np.int32(7), np.ones(3000, np.bool_), np.full(2, LOOKED_UP)
    new = cache.read(data, starts, ends, starts, plain_, np.zeros(2, np.int64), kinds, np.zeros((2, 4)), RuleTables.none(2), out)
    assert out[0].tolist() == [-i for i in range(3000)] and out[1, ::2].tolist() == list(range(1500))
    assert new.tolist() == [[1, row] for row in range(1, 3000, 2)] and np.isnan(out[1, 1::2]).all()


def test_tokens_are_where_json_has_them() -> None:
    """Against Python's own parser, with items of lists and keys of more than eight bytes."""
    paths: list[list[str | int]] = [["alphabetical"], ["alphabetic"], ["a", "b", 2], ["a"], ["a", "b"], ["a", "b", 0, "c"]]
    document = {"alphabetic": 1, "alphabetical": [1, 2], "a": {"b": [{"c": "x"}, 2, {"y": [5]}]}, "alphabeti": 0}
    text = json.dumps(document).encode()
    tokens = JsonScan(np.frombuffer(text, np.uint8), np.array([0, len(text)], np.int32), np.array([0]), PathTree(paths))
    tokens.scan_rows(slice(0, 1))
    assert tokens.plain.all()
    found = [json.loads(text[tokens.starts[0, i] : tokens.ends[0, i]]) for i in range(len(paths))]
    assert found == [[1, 2], 1, {"y": [5]}, document["a"], document["a"]["b"], "x"]
    assert tokens.counts[0].tolist() == [2, -1, -1, -1, 3, -1]


AROUND = [b"", b"}", b"]}", b',"b":2}', b'"', b'":1}', b"0", b".5}", b"e", b" ", b"\\", b'\\"', b"\0"]


@pytest.mark.parametrize("after", AROUND)
def test_what_lies_behind_a_text_is_no_matter(after: bytes) -> None:
    """Every beginning of a document, with something behind it that would go on with it, in one buffer and at its very end."""
    document = (
        b'{"a":[1,-20.5,{"c":"x\\"\\u00e9 \xc3\xa9"}],"bb":"'
        + b"y" * 70
        + b'","d":{"e":[],"f":{}},"g":true,"h":null,"i":12345678} '
    )
    paths: list[list[str | int]] = [["a"], ["a", 2, "c"], ["bb"], ["d", "e"], ["g"], ["i"]]
    texts = [document[:n] for n in range(len(document) + 1)]
    whole = b"".join(t + after for t in texts)
    ends = np.cumsum([len(t) + len(after) for t in texts]) - len(after)
    offsets = np.stack([ends - [len(t) for t in texts], ends], axis=1).ravel().astype(np.int32)
    for data in (whole, whole[: len(whole) - len(after)], whole + bytes(100)):
        tokens = JsonScan(np.frombuffer(data, np.uint8), offsets, np.arange(0, len(offsets), 2), PathTree(paths))
        tokens.scan_rows(slice(0, 50))
        tokens.scan_rows(slice(50, len(texts)))
        assert np.flatnonzero(tokens.plain).tolist() == [len(document) - 1, len(document)]
        for row in np.flatnonzero(tokens.plain):
            found = [json.loads(data[s:e]) for s, e in zip(tokens.starts[row], tokens.ends[row], strict=True)]
            assert found == [[1, -20.5, {"c": 'x"\u00e9 \u00e9'}], 'x"\u00e9 \u00e9', "y" * 70, [], True, 12345678]
            assert tokens.counts[row].tolist() == [3, -1, -1, 0, -1, -1]


@pytest.mark.parametrize(
    "form", ["k{:03d}", "beginning {:03d}", "beginning {:03d} ending", "beginning {0:03d} and {0:03d} and on to the ending"]
)
def test_keys_are_told_apart(form: str) -> None:
    """Many keys of one length, with the same first and last bytes or without, a part of which is in the document."""
    keys = [form.format(i) for i in range(0, 400, 2)]
    text = json.dumps({form.format(i): i for i in range(0, 600, 3)}).encode()
    tokens = JsonScan(
        np.frombuffer(text, np.uint8), np.array([0, len(text)], np.int32), np.array([0]), PathTree([[key] for key in keys])
    )
    tokens.scan_rows(slice(0, 1))
    assert tokens.plain.all()
    found = [int(text[s:e]) if s >= 0 else None for s, e in zip(tokens.starts[0], tokens.ends[0], strict=True)]
    assert found == [i if i % 3 == 0 else None for i in range(0, 400, 2)]


def a_network(rng: np.random.Generator, width: int, ages: int, functions: int, dense: bool) -> density_network.DensityNetwork:
    """Two networks over three features, with edges that values may equal; splines, or functions that are 0 at no age."""
    starts = np.array([0, 3, 3, 9])
    m = int(starts[-1]) + 6
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    edges = np.sort(rng.integers(-3, 4, 9).astype(np.float32).reshape(3, 3), axis=1).ravel()
    edges[3:] = np.sort(edges[3:])
    return density_network.DensityNetwork(
        edges,
        starts,
        draw(2, m, width),
        draw(2, width),
        draw(2, width, width),
        draw(2, width),
        draw(2, 2 * width, functions),
        draw(functions, ages) if dense else network_data.spline_basis(ages, functions),
        draw(ages),
    )


@settings(max_examples=60, deadline=None)
@example(0, 0, 6, 11, 5, False)
@example(0, 513, 32, 87, 20, False)
@example(1, 1, 1, 1, 5, False)
@example(2, 40, 5, 7, 4, True)
@example(3, 1100, 33, 128, 20, False)
@example(4, 40, 6, 129, 9, True)  # too many functions at an age for the kernels
@given(st.integers(0, 2**32), st.integers(0, 150), st.integers(1, 40), st.integers(1, 130), st.integers(4, 24), st.booleans())
def test_same_distribution(seed: int, rows: int, width: int, ages: int, functions: int, dense: bool) -> None:
    """Missing values, infinities, values on an edge; no row, one row, several blocks; any basis."""
    rng = np.random.default_rng(seed)
    net = a_network(rng, width, ages, functions, dense)
    matrix = rng.choice(np.array([np.nan, np.inf, -np.inf, -3, -1, 0, -0.0, 1, 1.5, 3, 1e30], np.float32), (rows, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(density_network, "use_kernels", lambda _: False)
        slow = net.distribution(matrix)
        patch.setattr(density_network, "use_kernels", lambda _: True)
        if functions == 4 or not dense:
            patch.setattr(density_network.DensityNetwork, "_by_numpy", None)
        assert np.array_equal(net.distribution(matrix), slow)
    several = [
        {"basis": net.basis, "prior": net.prior} | {name: getattr(net, name)[s] for name in density_network.LEARNED_ARRAYS}
        for s in range(2)
    ]
    chosen = density_network.bin_indicator(density_network.bin_features(matrix, net.edges, net.starts), net.bins.shape[1])
    defined = np.mean([density_network_training._forward(weights, chosen @ weights["bins"])[-1] for weights in several], axis=0)
    assert np.allclose(slow, defined, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("where", ["last", "hidden", "prior", "bins"])
def test_a_network_that_is_no_number_says_so(where: str) -> None:
    """NaN in a model is not lost on the way, by kernels or without: whoever asks is to see it and refuse the model."""
    net = a_network(np.random.default_rng(0), 6, 40, 9, dense=False)
    getattr(net, where)[...] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        for kernels in (True, False):
            patch.setattr(density_network, "use_kernels", lambda _, on=kernels: on)
            assert np.isnan(net.distribution(np.zeros((70, 3), np.float32))).all()


def test_exponentials() -> None:
    """Within two units of the last place of those of 64 bits, for every number down to where it is cut off."""
    x = np.concatenate([-np.geomspace(1e-30, 87, 400_000), np.linspace(-87, 0, 400_001), [-0.0]]).astype(np.float32)
    right = np.exp(x.astype(np.float64))
    off = np.abs(age_distribution.exponential(x) - right) / np.spacing(right.astype(np.float32))
    assert off.max() < 2
    assert age_distribution.exponential(np.array([-88, -1e30, -np.inf], np.float32)).max() < 2e-38


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFF800001]), max_size=40)
)
def test_same_cells(bits: list[int]) -> None:
    """Any 32 bits: zeros of both signs, infinities, the tiniest numbers, every kind of NaN; two features, one turned round."""
    column = np.array(bits, np.uint32).view(np.float32)
    matrix = np.column_stack([column, column[::-1]])
    counts = np.zeros((2, 2, sketch.GRID_CELLS), np.int64)
    with pytest.MonkeyPatch.context() as patch:
        for kernels in (False, True):
            patch.setattr(sketch, "use_kernels", lambda _, on=kernels: on)
            sketch._count(matrix, counts[int(kernels)])
    assert np.array_equal(*counts) and counts.sum() == 4 * len(bits)


def key_of(text: str | None) -> int:
    """The definition of a profile's key, in whole numbers."""
    if text is None:
        return 0
    total, content = 0, text.encode()
    for place in range(0, len(content), 8):
        word = (int.from_bytes(content[place : place + 8], "little") + (place // 8 + 1) * 0x9E3779B97F4A7C15) % 2**64
        word = (word ^ word >> 32) * 0xD1B54A32D192ED03 % 2**64
        total += word ^ word >> 29
    total += (len(content) + 1) * 0x9E3779B97F4A7C15
    for shift, spread in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        total = ((total % 2**64) ^ (total % 2**64) >> shift) * spread
    return total % 2**64 >> 1


@settings(deadline=None)
@example(["", None, "a", "a\0", "12345678", "123456789"], 0)
@given(st.lists(st.none() | st.text(max_size=40), max_size=20), st.integers(0, 5))
def test_same_keys(texts: list[str | None], first: int) -> None:
    """Both ways and the definition; any length and character, parts of a column, several chunks, some of the rows."""
    whole = pa.chunked_array([pa.array(["before"] * first + texts, pa.string())[first:], pa.array(texts[::-1], pa.string())])
    marked = np.arange(len(whole)) % 3 > 0
    expected = np.array([key_of(t) for t in [*texts, *texts[::-1]]], np.int64)
    with pytest.MonkeyPatch.context() as patch:
        for kernels in (False, True):
            patch.setattr(profile_hash, "use_kernels", lambda _, on=kernels: on)
            assert np.array_equal(profile_hash.profile_keys(whole), expected)
            assert np.array_equal(profile_hash.profile_keys(whole, marked), expected[marked])
            assert np.array_equal(profile_hash.profile_keys(whole.slice(0, len(texts))), expected[: len(texts)])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 30))
def test_same_quantiles(seed: int, rows: int) -> None:
    """Smooth, gappy and one-age distributions, levels at the ends included."""
    rng = np.random.default_rng(seed)
    shares = rng.random((rows, 87), np.float32) ** 8 * (rng.random((rows, 87)) < rng.random((rows, 1)))
    shares = (shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-30)).astype(np.float32)
    levels = (0.0, 0.05, 0.5, 0.95, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(age_distribution, "use_kernels", lambda _: False)
        slow = age_distribution.quantiles(shares, 14, levels)
        patch.setattr(age_distribution, "use_kernels", lambda _: True)
        assert np.array_equal(age_distribution.quantiles(shares, 14, levels), slow)


def test_without_kernels_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where kernels cannot be used, the slower code serves, unasked."""
    people, _ = record_batch(Chunk(3, 0, 5000, AS_OF))
    profiles = pa.chunked_array([people["profile_json"]])
    fast = extract_features(connect(), profiles, default_text(), AS_OF)
    monkeypatch.setattr("predict_age.features.extract.use_kernels", lambda _: False)
    slow = extract_features(connect(), profiles, default_text(), AS_OF)
    assert pa.types.is_dictionary(fast.columns["email_provider"].type) and pa.types.is_string(slow.columns["email_provider"].type)
    for name in slow.columns.column_names:
        assert fast.columns[name].cast(slow.columns[name].type).equals(slow.columns[name]), name


def test_kernels_wait_for_enough_rows() -> None:
    """A process that has few rows never loads them; one that has loaded them uses them for any number."""
    code = (
        "import sys\nfrom predict_age import kernels\n"
        "assert not kernels.use_kernels(kernels.MIN_KERNEL_ROWS - 1) and 'numba' not in sys.modules\n"
        "assert kernels.use_kernels(kernels.MIN_KERNEL_ROWS) and kernels.use_kernels(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_workers_load_no_training_library() -> None:
    """Importing what predicts must stay cheap: every worker pays for it."""
    code = (
        "import sys\nimport predict_age.steps.parallel_prediction, predict_age.steps.training\n"
        "print(*({'xgboost', 'lightgbm', 'sklearn', 'scipy', 'numba', 'pandas'} & {m.split('.')[0] for m in sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert found == []


def test_texts_of_any_origin_are_read_by_the_same_compiled_kernels() -> None:
    """Buffers that were received are read-only, those made here are not: a second version would be compiled during a request."""
    made = pa.array(['{"years_experience": 12, "tenure_months": 7}'] * 300)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, pa.schema([("profile", made.type)])) as writer:
        writer.write_table(pa.table({"profile": made}))
    received = pa.ipc.open_stream(stream.getvalue().to_pybytes()).read_all()["profile"].chunk(0)
    prepare_kernels(MIN_KERNEL_ROWS)
    versions = []
    for texts in (made, received):
        FeatureReader(connect, default_text(), AS_OF, kernels=True).add(pa.chunked_array([texts]))
        versions.append([len(kernel.signatures) for kernel in (scan_texts, read_values)])
    assert [buffer.is_mutable for texts in (made, received) for buffer in texts.buffers()[2:]] == [True, False]
    assert versions[0] == versions[1]
