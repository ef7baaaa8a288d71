"""Fields of a sample of records: every path that leads to values, with these values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from predict_age.proposal.sample import Record, json_object
from predict_age.proposal.written_dates import WrittenDates, whole_date_forms, written_dates
from predict_age.source.value_sql import BEHIND_ISO_DATE
from predict_age.tally import MIN_SHOWN_PEOPLE, counted, fewest_sharing, share_in_words

DEEPEST = 5  # steps of a path
ITEMS_READ = 20  # of a list
JSON_SHARE = 0.9  # of the values of a text column that are JSON objects, for a column of profiles
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+")
_GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?")
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
_ISO = re.compile(rf"\d{{4}}-\d{{2}}(-\d{{2}}{BEHIND_ISO_DATE})?")
_TRUTH = frozenset(["true", "false", "yes", "no", "1", "0"])
MISSING_TEXTS = frozenset(["", "?", "-", "na", "n/a", "nan", "none", "null", "unknown"])
_YEAR = re.compile(r"(?:18|19|20)\d\d")
FEWEST_DATED = 0.5  # share of the values with a year, for repeated ones without to be codes

FieldPath = tuple[str, ...]


@dataclass
class Field:
    """Values at one path: ``rows`` (positions in the sample) and the scalar ``values`` there; ``lengths`` of lists instead.

    A step "*" stands for every item of a list; of such a path, ``values`` holds those of the first item that has one.
    """

    path: FieldPath
    rows: list[int] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    items: list[list[object]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """FieldPath in words, for messages."""
        return ".".join(self.path)

    @cached_property
    def texts(self) -> list[str]:
        """Values as text: 10.0 is "10"."""
        return [_text(value) for value in self.values]

    @cached_property
    def counts(self) -> Counter[str]:
        """Number of occurrences of each text."""
        return Counter(self.texts)

    @cached_property
    def numbers(self) -> list[float]:
        """Values that are numbers, or text that is one."""
        found = [float(t) for t in self.texts if _NUMBER.fullmatch(t)]
        return [n for n in found if abs(n) < 1e300]

    def share(self, pattern: re.Pattern[str]) -> float:
        """Share (0..1) of the values that match ``pattern`` as a whole."""
        return _share_of(self.texts, pattern)

    @property
    def is_boolean(self) -> bool:
        """Whether all values are true and false, yes and no, or 1 and 0."""
        return len(self.counts) == 2 and {t.casefold() for t in self.counts} <= _TRUTH

    @property
    def is_iso_date(self) -> bool:
        """Whether nearly all values are dates or months as ISO 8601 writes them."""
        return _share_of(self._dated_texts, _ISO) >= 0.95

    @cached_property
    def _dated_texts(self) -> list[str]:
        """Values without codes for a missing date: texts without a year that 20 people share, such as 31.12.9999."""
        codes = {text for text, number in self.counts.items() if number >= MIN_SHOWN_PEOPLE and not _YEAR.search(text)}
        rest = [text for text in self.texts if text not in codes]
        return rest if len(rest) >= FEWEST_DATED * len(self.texts) else self.texts

    @property
    def has_decimal_comma(self) -> bool:
        """Whether the values are numbers some of which have a decimal comma."""
        commas = self.share(_DECIMAL_COMMA)
        return commas >= 0.05 and commas + len(self.numbers) / max(len(self.texts), 1) >= 0.95

    @cached_property
    def comma_numbers(self) -> list[float]:
        """Values as ``decimal = ","`` reads them: one with neither comma nor groups of three digits is read as it is."""
        plain = (t.replace(".", "") if _GROUPED.fullmatch(t) else t for t in self.texts)
        return [float(t.replace(",", ".")) for t in plain if _PLAIN.fullmatch(t.replace(",", "."))]

    @property
    def date_format(self) -> str:
        """Strptime format of values that are dates of another form; empty also where day and month may be either way round."""
        formats = self.date_formats
        return formats[0] if len(formats) == 1 else ""

    @cached_property
    def date_formats(self) -> tuple[str, ...]:
        """Strptime formats by which nearly all values are whole dates of another form."""
        return () if self.is_iso_date else whole_date_forms(self._dated_texts)

    @cached_property
    def written_dates(self) -> WrittenDates | None:
        """Dates or months of another form that nearly all values are; None where day and month may be either way round."""
        return None if self.is_iso_date else written_dates(self.texts, self.date_formats)


def _share_of(texts: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.fullmatch(text)) for text in texts) / max(len(texts), 1)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).strip()


def collect_fields(records: Iterable[Record]) -> dict[FieldPath, Field]:
    """Fields of ``records`` by path, in the order in which they come first. Empty texts and NULL are no values."""
    fields: dict[FieldPath, Field] = {}
    for row, record in enumerate(records):
        _walk(record, (), row, fields)
    return fields


@dataclass(frozen=True)
class SharedFields:
    """Fields of records all of whose keys are shared by at least 20 of them; ``rare`` other keys are those of fewer.

    A key may be a value: an id or an e-mail address, in a map by person. Such keys are counted, never named.
    """

    fields: dict[FieldPath, Field]
    rare: int

    @property
    def sentence(self) -> str:
        """Sentence about the keys that are not named; empty where there are none."""
        if not self.rare:
            return ""
        return f"{counted(self.rare, 'other key')}, each in fewer than {MIN_SHOWN_PEOPLE} profiles"


def shared_fields(records: Sequence[Record]) -> SharedFields:
    """Fields of ``records`` as :func:`collect_fields` has them, without those below a key that fewer than 20 records have."""
    counts = Counter(path for record in records for path in set(_keys(record, ())))
    least = fewest_sharing(len(records))
    named = {path for path, number in counts.items() if number >= least}
    kept = {path: field for path, field in collect_fields(records).items() if path in named}
    rare = [path for path in counts if path not in named and path[-1] != "*" and (len(path) == 1 or path[:-1] in named)]
    return SharedFields(kept, len(rare))


def share_of_profiles(field: Field, rows: int) -> str:
    """Share of ``rows`` profiles in words: their number, beside that of the records, would tell how many minors were left out."""
    have = len(set(field.rows))
    return "all" if have == rows else share_in_words(have, rows)


def _step(key: object) -> str:
    """Step of a path for a key; one that is called "*" is no item of a list, and no path of a feature file leads to it."""
    return '"*"' if key == "*" else str(key)


def _keys(value: object, at: FieldPath) -> Iterator[FieldPath]:
    """Paths of all keys below ``value``, those without a value included; "*" stands for each item of a list."""
    if len(at) > DEEPEST:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, _step(key))
            yield from _keys(inner, (*at, _step(key)))
    elif isinstance(value, list):
        yield (*at, "*")
        for item in value[:ITEMS_READ]:
            yield from _keys(item, (*at, "*"))


def _walk(value: object, at: FieldPath, row: int, fields: dict[FieldPath, Field]) -> None:
    if value is None or len(at) > DEEPEST:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            _walk(inner, (*at, _step(key)), row, fields)
        return
    if isinstance(value, list):
        found = fields.setdefault((*at, "*"), Field((*at, "*")))
        found.rows.append(row)
        found.lengths.append(len(value))
        scalars = [item for item in value[:ITEMS_READ] if item is not None and not isinstance(item, (dict, list))]
        found.items.append(scalars)
        for key in dict.fromkeys(str(k) for item in value[:ITEMS_READ] if isinstance(item, dict) for k in item):
            inner = [item.get(key) for item in value[:ITEMS_READ] if isinstance(item, dict)]
            _items([v for v in inner if v is not None and not isinstance(v, (dict, list))], (*at, "*", key), row, fields)
        return
    text = _text(value)
    if text.casefold() in MISSING_TEXTS:
        return
    found = fields.setdefault(at, Field(at))
    found.rows.append(row)
    found.values.append(value)


def _items(values: list[object], at: FieldPath, row: int, fields: dict[FieldPath, Field]) -> None:
    """Scalars of one key in all items of a list."""
    good = [v for v in values if _text(v).casefold() not in MISSING_TEXTS]
    if good:
        found = fields.setdefault(at, Field(at))
        found.rows.append(row)
        found.values.append(good[0])
        found.items.append(good)


def json_column(records: list[Record], columns: Iterable[str]) -> str:
    """Name of a text column whose values are JSON objects; empty where there is none."""
    for column in columns:
        texts = [v for record in records if isinstance(v := record.get(column), str) and v.strip()][:1000]
        objects = sum(text.lstrip().startswith("{") and json_object(text) is not None for text in texts)
        if texts and objects >= JSON_SHARE * len(texts):
            return column
    return ""
