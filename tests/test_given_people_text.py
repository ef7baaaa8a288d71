"""People whom a caller gives with text that UTF-8 does not have."""

from __future__ import annotations

import pytest

from predict_age.api.people import given_people
from predict_age.config import SourceConfig
from predict_age.errors import InputError


@pytest.mark.parametrize(
    "person", [{"a": "\ud800"}, {"\ud800": 1}, {"profile_json": "\ud800"}, {"pid": "\ud800", "a": 1}, "\ud800"]
)
def test_half_of_a_surrogate_pair_is_an_input_error(person: object) -> None:
    with pytest.raises(InputError, match="person 1 "):
        given_people([{"a": "fine"}, person] if isinstance(person, dict) else ["{}", person], SourceConfig())  # type: ignore[list-item]
