"""People given to a model in Python: ids and ages are found in every form, so that nobody who must have no number gets one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from predict_age.api.people import given_people
from predict_age.config import SourceConfig
from predict_age.errors import ConfigError
from predict_age.pipeline.suppress import parse_ids, refuse_empty_list

FLAT = SourceConfig(profile_json="*", approximate_age="age")
FORMS: list[Any] = [7, "7", 7.0, np.int32(7), np.float64(7), np.float32(7), Decimal(7), Decimal("7.00"), b"7", np.array(7)]


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{type(f).__name__} {f}")
def test_an_id_is_found_in_every_form(form: Any) -> None:
    given = given_people([{"pid": form, "x": 1}, {"pid": None, "x": 2}], FLAT)
    assert given.light[0]["pid"].to_pylist() == ["7", None]


@pytest.mark.parametrize(
    "form",
    [
        True,
        np.bool_(True),
        7.5,
        float("nan"),
        float("inf"),
        2.0**53,
        np.float32(2**24),
        Decimal("7.5"),
        Decimal("NaN"),
        [7],
        np.array([7]),
    ],
)
def test_what_is_no_exact_whole_number_is_no_id(form: Any) -> None:
    assert given_people([{"pid": form, "x": 1}, {"pid": 1, "x": 1}], FLAT).light[0]["pid"].to_pylist() == [None, "1"]


def test_ids_that_drivers_give_as_objects_are_found() -> None:
    """UUIDs of databases, and bytes: such a person would not be found on the suppression list."""
    text = "123e4567-e89b-12d3-a456-426614174000"
    given = given_people([{"pid": UUID(text)}, {"pid": text.encode()}, {"pid": b"\xff"}], FLAT)
    assert given.light[0]["pid"].to_pylist() == [text, text, "\x00"]


def test_records_of_a_data_frame_have_its_ids() -> None:
    """pandas makes ids floating where one is missing."""
    frame = pd.DataFrame({"pid": [7, None], "x": [1, 2]})
    assert given_people(frame.to_dict("records"), FLAT).light[0]["pid"].to_pylist() == ["7", None]


@pytest.mark.parametrize("pid", ["7", "7.0", '"7"', "70e-1"])
def test_texts_have_their_ids_and_ages_where_dictionaries_have_them(pid: str) -> None:
    """A JSON text is a line of a source whose profile is all other keys; of a source with a column of profiles it is a profile."""
    text = f'{{"pid": {pid}, "age": 10, "x": 1}}'
    given = given_people([text, "[]", "{", '"x"'], FLAT)
    (light,) = given.light
    assert light["pid"].to_pylist() == ["7", None, None, None]
    assert [(number, record["age"]) for number, record in given.records] == [(0, 10)]
    assert not given_people([text], SourceConfig()).has_ids
    large = json.dumps({"pid": 9007199254740993, "x": 1})
    assert given_people([large], FLAT).light[0]["pid"].to_pylist() == ["9007199254740993"]


@pytest.mark.parametrize("line", ["2.000", "1.234", "12.345.678", "-2.000"])
@pytest.mark.parametrize("rule", ["integer", None])
def test_groups_of_digits_on_a_list_name_nobody(line: str, rule: Any) -> None:
    """Two thousand as Excel writes it in many countries is 2 to a program: another person would be suppressed."""
    with pytest.raises(ConfigError, match="line 2 of ids is no id") as error:
        parse_ids(f"5\n{line}\n".encode(), "ids", rule)
    assert line not in str(error.value)
    assert parse_ids(f"5\n{line}\n".encode(), "ids", "text").count == 2
    assert parse_ids(b"7.0\n7.00\n1234.000\n", "ids", "integer").pids["integer"].tolist() == [7, 7, 1234]


def test_a_list_of_nobody_replaces_none() -> None:
    for data in (b"", b"\xef\xbb\xbf"):
        with pytest.raises(ConfigError, match="there is no id in"):
            refuse_empty_list(parse_ids(data, "ids", "integer"), "ids")
    refuse_empty_list(parse_ids(b"7\n", "ids", "integer"), "ids")
