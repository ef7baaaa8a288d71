"""Types of arguments, checked when a public function is called: one clear error instead of one from the depths of the package."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from os import PathLike
from typing import ParamSpec, TypeVar

from predict_age.errors import ConfigError

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "Path": (PathLike,),
    "dt.date": (dt.date,),
    "None": (type(None),),
    "Sequence": (Sequence,),
    "Mapping": (Mapping,),
    "AnySource": (str, PathLike),
}
_WORDS = {
    "str": "a text",
    "bool": "True or False",
    "int": "a whole number",
    "float": "a number",
    "Path": "a path",
    "dt.date": "a date (datetime.date)",
    "None": "None",
    "Sequence": "a list",
    "Mapping": "a dictionary",
    "AnySource": "a path or an address, or what predict_age.read returned",
}
WRITTEN_FIRST = 'sources are files: write the table to one first: df.to_parquet("people.parquet")'


def checks_arguments(function: Callable[_Given, _Returned]) -> Callable[_Given, _Returned]:
    """Decorate a public function: an argument that is of none of its declared types raises ConfigError.

    Only parameters whose types are built-in ones, paths, dates, lists and dictionaries are checked, as they are written in the
    signature; a list of texts has texts. A truth value is no number, and empty text no source unless it is the default.
    """
    signature = inspect.signature(function)
    expected = {name: kinds for name, p in signature.parameters.items() if (kinds := _kinds(str(p.annotation)))}

    @wraps(function)
    def checked(*args: _Given.args, **kwargs: _Given.kwargs) -> _Returned:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            given = {}  # Python's own error of a missing or unknown argument is clear
        for name, kinds in expected.items():
            if name in given and not _fits(given[name], kinds):
                raise ConfigError(
                    f"{name} cannot be {_described(given[name])}",
                    expected=" or ".join(_in_words(kind, kinds) for kind in kinds),
                    found=type(given[name]).__name__,
                    fix=WRITTEN_FIRST if "AnySource" in kinds and hasattr(given[name], "__arrow_c_stream__") else "",
                )
            if "AnySource" in kinds and given.get(name) == "" and signature.parameters[name].default != "":
                raise ConfigError(f"{name} is empty", expected="a path", fix="write . for the current folder")
        return function(*args, **kwargs)

    return checked


def _kinds(annotation: str) -> list[str]:
    """Names of the types in an annotation; none where one of them is not known here."""
    kinds = [part.strip().partition("[")[0] for part in annotation.split("|")]
    return kinds if all(kind in _TYPES for kind in kinds) else []


def _in_words(kind: str, kinds: list[str]) -> str:
    return _WORDS[kind] + (" in the form YYYY-MM-DD" if kind == "str" and "dt.date" in kinds else "")


def _fits(value: object, kinds: list[str]) -> bool:
    if isinstance(value, bool):
        return "bool" in kinds
    if isinstance(value, dt.datetime):
        return False
    if "Sequence" in kinds and not isinstance(value, str) and isinstance(value, Sequence):
        return all(isinstance(item, str) for item in value)
    if "AnySource" in kinds and hasattr(value, "listing"):  # a PeopleSource
        return True
    return any(isinstance(value, _TYPES[kind]) and not (kind == "Sequence" and isinstance(value, str)) for kind in kinds)


def _described(value: object) -> str:
    return "None" if value is None else f"of the type {type(value).__name__}"
