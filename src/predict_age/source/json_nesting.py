"""Rejected JSON records that hold several people: a wrapper, a table by columns, or many objects of which one is damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable

from predict_age.errors import InputError
from predict_age.source_config import SourceConfig

_DEEPEST = 4  # containers inside each other, from the record on, among which people are looked for
OF_A_PERSON = 1
UNNAMED = "\0"  # no name of a column begins so


class PeopleInside:
    """Search for several people in the records of a JSON file that cannot be used. Each of them would be lost without a word.

    Readers of whole records do not know the key of ids, and ask for one that no record has: they show what is there.
    """

    def __init__(self, path: str, source: SourceConfig) -> None:
        self._path, self._source = path, source
        self._own_keys = {*source.age_columns, source.profile_json}
        self._usable = self._people = 0  # records that can be used, and people in others that hold several
        self._by_id = False  # whether the keys of one of these are ids

    def check(self, texts: Iterable[str], usable: int) -> None:
        """Look at the ``texts`` of records that cannot be used, between ``usable`` ones.

        Raises InputError when a record holds more people than records may be rejected anyhow.
        """
        pid, most = self._source.pid, self._source.max_set_aside_floor
        self._usable += usable
        if pid.startswith(UNNAMED):
            return
        for text in texts:
            people = count_people(text, pid, self._own_keys)
            if people > most and json.dumps(pid, ensure_ascii=False).casefold() in text.casefold():
                raise self._several(people)
            if people > OF_A_PERSON:
                self._people += people
                self._by_id |= is_table_by_id(parsed(text))

    def check_end(self) -> None:
        """Raise InputError when no record of the file can be used, and they hold more people than may be rejected anyhow."""
        if not self._usable and (self._by_id or self._people > self._source.max_set_aside_floor):
            raise self._several(self._people)

    def _several(self, people: int) -> InputError:
        return InputError(
            f"records of {self._path} that cannot be used hold several people each",
            expected=f'one JSON object for each person, with the key "{self._source.pid}" at its top',
            found=f"{people:,} ids, objects or lists inside them",
            fix="write the file again as JSON lines (one person a line), or as one array of objects; or remove it from the source",
        )


def count_people(text: str, pid: str, own_keys: Collection[str]) -> int:
    """Number of people that the text of a rejected record seems to hold; 1 where nothing tells of several.

    People are seen by the key of ids, whatever its case, or by ids that are a container. Where there is no such key, nor one of a
    person's ``own_keys``, the longest list of objects, or of lists, counts. An object with an id, or an age, of its own is one
    person, whose profile may have keys that are called as the id.
    """
    value = parsed(text)
    if isinstance(value, dict) and any(not isinstance(value.get(key, {}), dict | list) for key in (pid, *own_keys)):
        return OF_A_PERSON
    keys = len(re.findall(rf'"{re.escape(json.dumps(pid)[1:-1])}"\s*:', text, re.IGNORECASE))
    if keys > 1:
        return keys
    if isinstance(value, str):
        value = parsed(value)
    if keys and isinstance(value, dict):
        ids = value.get(pid)
        return len(ids) if isinstance(ids, dict | list) else OF_A_PERSON
    if isinstance(value, dict) and any(key in value for key in own_keys):
        return OF_A_PERSON
    return max(_longest(value, _DEEPEST), OF_A_PERSON)


def is_table_by_id(value: object, *, alone: bool = False) -> bool:
    """Whether an object, or one inside, has members of one form: then its keys are probably ids, and nothing that may be shown.

    An object with texts or numbers of its own is a person, whose languages may be such a table, unless it is ``alone``: nothing
    tells it from a table with a date or a version beside it.
    """
    if not isinstance(value, dict):
        return False
    inner = list(value.values())
    if not alone and not all(isinstance(one, dict | list) for one in inner):
        return False
    keys = {frozenset(one) if isinstance(one, dict) else None for one in inner}
    if len(inner) > 1 and len(keys) == 1 and any(keys - {None}):
        return True
    return any(is_table_by_id(one, alone=alone) for one in inner)


def parsed(text: str) -> object:
    """The JSON value ``text``; None where Python's parser refuses it."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _longest(value: object, deepest: int) -> int:
    """Number of containers in the list or object that has most of them, among ``value`` and what is inside."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    containers = [one for one in inner if isinstance(one, dict | list)]
    below = (_longest(one, deepest - 1) for one in containers) if deepest > 1 else ()
    return max(len(containers), *below, 0)
