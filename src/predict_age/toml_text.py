"""Text of a TOML file: read with one error for all that can be wrong with it, and values written."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from predict_age.errors import ConfigError


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse the text of a file, which ``where`` names. Raises ConfigError for what is not TOML, too deep, or too long a number."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        problem = "values are nested too deeply"
    except ValueError as error:  # TOMLDecodeError, and an integer or a date that Python refuses
        problem = str(error)
    raise ConfigError(f"{where} is not valid TOML: {problem}")


def toml_value(value: object) -> str:
    """``value`` as TOML writes it, tables in one line. Raises ConfigError for a type that TOML does not have.

    Texts are written as JSON writes them, which is a basic string of TOML.
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return "{" + ", ".join(f"{toml_value(key)} = {toml_value(inner)}" for key, inner in value.items()) + "}"
    raise ConfigError("a value cannot be written as TOML", expected="texts, numbers, lists or tables", found=type(value).__name__)


def list_setting(section: str, name: str, values: Iterable[str]) -> str:
    """Advice to set a list to all of ``values``, each once: a list in the configuration replaces the one that was there."""
    return f"{name} = {toml_value(list(dict.fromkeys(values)))} under [{section}]"
