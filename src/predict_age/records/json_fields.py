"""Dataclasses as JSON and back. The order of the fields is the order of the keys on disk; values are kept as they are.

The metadata of a field tell its key on disk where that is not its name (:func:`stored_as`), and that it has no key when it is None
(:data:`OPTIONAL`). A missing key is read as the field's default: so records of earlier versions can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_KEY, _OPTIONAL = "key", "optional"


OPTIONAL = {_OPTIONAL: True}


def stored_as(key: str) -> dict[str, str]:
    """Metadata of a field with another ``key`` on disk."""
    return {_KEY: key}


def _key(entry: Field[Any]) -> str:
    return str(entry.metadata.get(_KEY, entry.name))


def plain(value: object) -> Any:
    """``value`` as dictionaries, lists, strings, numbers and None."""
    if is_dataclass(value):
        items = ((f, getattr(value, f.name)) for f in fields(value))
        return {_key(f): plain(v) for f, v in items if v is not None or not f.metadata.get(_OPTIONAL)}
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def as_json(value: object) -> dict[str, object]:
    """The JSON object of a dataclass instance."""
    made: dict[str, object] = plain(value)
    return made


@cache
def _types(kind: type) -> dict[str, object]:
    return get_type_hints(kind)


def from_json(kind: type[T], value: object) -> T:
    """Read back what :func:`as_json` gave. Raises ValueError naming the field that is missing or of another type."""
    made: T = _read(kind, value, kind.__name__)
    return made


def _read(kind: Any, value: object, where: str) -> Any:
    if type(value) is kind:
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, value, where)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        (inner,) = (a for a in arguments if a is not NoneType)
        return _read(inner, value, where)
    if origin in (list, tuple):
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where} is no list")
        if all(type(v) is arguments[0] for v in value):  # a histogram has hundreds of numbers
            return origin(value)
        return origin(_read(arguments[0], v, where) for v in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is no object")
        return {k: _read(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where} is {type(value).__name__}, not {kind.__name__}")
    return value


def _dataclass(kind: type, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no object")
    found = {}
    for entry in fields(kind):
        key = _key(entry)
        if key in value:
            found[entry.name] = _read(_types(kind)[entry.name], value[key], f"{where}.{key}")
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise ValueError(f"{where}.{key} is missing")
    return kind(**found)
