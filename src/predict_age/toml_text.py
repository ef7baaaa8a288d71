"""Text of a TOML file, read with one error for all that can be wrong with it."""

from __future__ import annotations

import tomllib
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
