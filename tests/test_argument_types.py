"""Arguments of the Python interface that are of a wrong type: one clear error that names the argument, from every public function."""

import datetime as dt
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import predict_age
from predict_age.errors import ConfigError, InputError

WRONG: dict[str, object] = {"object": object(), "bytes": b"2025-01-01", "complex": 5j, "set": {1}}
CHECKED = ("str", "int", "float", "bool", "Path", "dt.date", "None", "AnySource", "Sequence", "Mapping")


def public() -> Iterator[tuple[str, Callable[..., object], list[str]]]:
    """Public functions and methods with those of their parameters whose type is an ordinary one."""
    for name in predict_age.__all__:
        thing = getattr(predict_age, name)
        members = vars(thing).items() if inspect.isclass(thing) else [(name, thing)]
        for member, function in members:
            if member.startswith("_") or not inspect.isfunction(function):
                continue
            kinds = {
                key: [part.strip().partition("[")[0] for part in str(p.annotation).split("|")]
                for key, p in inspect.signature(function).parameters.items()
            }
            ordinary = [key for key, parts in kinds.items() if key != "self" and all(part in CHECKED for part in parts)]
            if ordinary:
                yield f"{name}.{member}" if inspect.isclass(thing) else name, function, ordinary


PUBLIC = {name: (function, keys) for name, function, keys in public()}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", PUBLIC)
def test_wrong_types_are_named(name: str, wrong: str) -> None:
    """Whatever the function would do, it says which argument is wrong before it begins."""
    function, keys = PUBLIC[name]
    for key in keys:
        needed = [k for k, p in inspect.signature(function).parameters.items() if p.default is p.empty]
        given: dict[str, Any] = {k: "2025-10-23" if k == "as_of" else "/nowhere" for k in needed}
        with pytest.raises(ConfigError, match=f"^{key} cannot be of the type") as failed:
            function(**{**given, key: WRONG[wrong]})
        assert "expected: " in str(failed.value)


def test_all_public_functions_are_among_them() -> None:
    assert {"profile", "init", "read", "run", "open_run", "load", "batch_predictor", "AgeModel.predict", "Results.select"} <= set(
        PUBLIC
    )


@pytest.mark.parametrize("as_of", [5, 20251023, True, dt.datetime(2025, 10, 23), dt.timedelta(1)])
def test_a_date_that_is_none(as_of: Any) -> None:
    with pytest.raises(ConfigError, match=r"as_of cannot be of the type \w+"):
        predict_age.profile("/nowhere", as_of=as_of)


@pytest.mark.parametrize("missing", ["gone.csv", Path("gone.csv")])
def test_right_types_go_on(missing: Any) -> None:
    with pytest.raises(InputError, match="does not exist"):
        predict_age.profile(missing, as_of=dt.date(2025, 10, 23))
