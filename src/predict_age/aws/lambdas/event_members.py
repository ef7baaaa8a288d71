"""Members of an event: known names, each with its type. People write events by hand, so every one of them may be wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping

from predict_age.errors import ConfigError

JSON_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "an object"}
LONGEST_SHOWN = 100  # characters of a wrong value
HALF_OF_PAIR = re.compile("[\ud800-\udfff]")  # of a UTF-16 pair, which stands for no bytes


def checked_members(
    value: object, what: str, kinds: Mapping[str, type], required: Collection[str] = (), *, others: bool = False
) -> dict[str, object]:
    """``value``, an object whose members are of ``kinds``, or null where they are not ``required``; ``others`` may be there, too.

    Raises ConfigError naming what is wrong. The text "false" is not false: it would switch on what somebody switched off.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{what} is no object", expected=", ".join(kinds), found=_shown(value), fix="correct it")
    if (unknown := value.keys() - kinds.keys()) and not others:
        raise ConfigError(f"{what} has unknown keys", expected=", ".join(sorted(kinds)), found=_shown(sorted(unknown)))
    for name, kind in kinds.items():
        member = value.get(name)
        if not _is_of(member, kind) and (member is not None or name in required):
            raise ConfigError(
                f"{what} has {'a wrong' if name in value else 'no'} {name}",
                expected=f'"{name}": {JSON_KINDS[kind]}',
                found=_shown(member) if name in value else "none",
                fix="correct it",
            )
    return value


def _is_of(member: object, kind: type) -> bool:
    if kind is float:
        return type(member) in (int, float) and math.isfinite(member)  # type: ignore[arg-type]
    return type(member) is kind and not (isinstance(member, str) and HALF_OF_PAIR.search(member))


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
