"""Features proposed for the fields of a sample: kind, bounds and default from the values, or the reason for leaving a field out."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from predict_age.features.inspection import written
from predict_age.features.protected_categories import attribute_of_values
from predict_age.features.refused_names import refusal_reason
from predict_age.features.spec import FEATURE_NAME, parse_path
from predict_age.letters import fold
from predict_age.proposal.coded_numbers import levels_tell_more
from predict_age.proposal.date_candidates import (
    FEWEST_ROWS,
    YEARS_BACK,
    date_settings,
    why_no_feature,
    written_date_features,
    years_since,
)
from predict_age.proposal.fields import Field, FieldPath, share_of_profiles
from predict_age.proposal.identifiers import counts_rows, is_contact, is_repeated_id
from predict_age.proposal.person_names import is_person_name
from predict_age.proposal.shared_numbers import range_in_words, shared_ends, shared_median
from predict_age.proposal.text_candidates import (
    COVERED_SHARE,
    MOST_CODE_VALUES,
    Settings,
    amount_of,
    are_codes,
    code_settings,
    item_flags,
    level_share,
    meaning_of,
    text_features,
)
from predict_age.proposal.written_dates import have_short_years
from predict_age.source.usual_names import words_of
from predict_age.tally import MIN_SHOWN_PEOPLE

_YEAR_WORDS = frozenset(
    ["year", "yr", "since", "start", "started", "end", "grad", "graduation", "joined", "hired", "founded", "debut"]
)
_ID_WORDS = frozenset(["id", "uuid", "guid", "key", "no", "nr", "number", "phone", "zip", "postcode", "hash", "code", "index"])


@dataclass(frozen=True)
class Candidate:
    """A proposed feature of a ``field``: its table in the feature file as ``settings``, and ``about``: on what it rests."""

    name: str
    settings: Settings
    about: str
    field: str


@dataclass(frozen=True)
class LeftOut:
    """A field that becomes no feature, and the reason in words."""

    field: str
    reason: str


def propose(
    fields: dict[FieldPath, Field], as_of: dt.date, taken: Iterable[str], ages: Sequence[int | None]
) -> tuple[list[Candidate], list[LeftOut]]:
    """Candidates for the ``fields`` of profiles with ``ages`` (n_rows,), years or None; ``taken``: columns of ids and ages."""
    rows = len(ages)
    used: set[str] = set()
    candidates: list[Candidate] = []
    left: list[LeftOut] = []
    for path, field in fields.items():
        shown = written(path)
        reason = next((r for step in path if (r := refusal_reason(step, tuple(taken)))), "")
        reason = reason or _unreachable(path) or _unusable(field, rows)
        made = [] if reason else _features_of(field, as_of, ages)
        if not made:
            left.append(LeftOut(shown, reason or why_no_feature(field)))
        for suffix, settings in made:
            name = _name_of(path, suffix, used)
            if refused := refusal_reason(name):
                left.append(LeftOut(shown, refused))
                continue
            used.add(name)
            candidates.append(Candidate(name, settings, _about(field, rows), shown))
    return candidates, left


def _unreachable(path: FieldPath) -> str:
    """Reason why no path of a feature file leads to a field; empty where one does."""
    try:
        parse_path(written(path))
    except ValueError:
        return "a feature file has no path to a name like this, or to lists inside lists"
    return ""


def _unusable(field: Field, rows: int) -> str:
    """Reason for leaving out a field whatever its kind; empty where there is none."""
    if len(field.rows) < max(FEWEST_ROWS, rows // 1000):
        return f"only {share_of_profiles(field, rows)} of the profiles have it"
    if field.lengths:
        return protected_values(field)
    if len(field.counts) == 1:
        return "the same value everywhere"
    if len(field.date_formats) > 1:
        return f"day and month may be either way round ({' or '.join(field.date_formats)}): declare it by hand"
    return protected_values(field) or identity_reason(field)


def protected_values(field: Field) -> str:
    """Reason why the values of a field, or the items of a list, are those of a protected attribute; empty where they are not."""
    counts = Counter(item for some in field.items for item in {str(i) for i in some}) if field.lengths else field.counts
    found = attribute_of_values(counts, next((step for step in reversed(field.path) if step != "*"), ""))
    if found is None:
        return ""
    attribute, values = found
    return f"its values are those of a protected attribute ({attribute}{': ' if values else ''}{', '.join(values)})"


def identity_reason(field: Field) -> str:
    """Reason why the values of a field are taken for ids or names of people; empty where they are not."""
    if not _are_shared_codes(field) and is_person_name(field.path, numbers=2 * len(field.numbers) > len(field.values)):
        return "a name of a person"
    if counts_rows(field) and len(field.values) >= FEWEST_ROWS:
        return "it numbers the rows"
    if is_repeated_id(field.path[-1], field):
        return f"an id by its name, {len(field.counts):,} different ones: declare it by hand where it says more than who it is"
    if is_contact(field.path[-1], field):
        return "contact data by its name"
    if _is_identifier(field):
        return "nearly every person has a value of their own: an identifier"
    return ""


def _are_shared_codes(field: Field) -> bool:
    """Whether all values are numbers, or yes and no, each of which 20 people share on average: such values name nobody."""
    shared = MIN_SHOWN_PEOPLE * len(field.counts) <= len(field.values)
    return shared and (field.is_boolean or len(field.numbers) == len(field.values))


def _is_identifier(field: Field) -> bool:
    if len(field.counts) < 0.98 * len(field.values) or len(field.values) < 100 or field.date_formats or field.written_dates:
        return False
    if len(field.numbers) == len(field.values):
        whole = all(n.is_integer() for n in field.numbers)
        dense = max(field.numbers) - min(field.numbers) < 3 * len(field.numbers)
        return whole and (dense or bool(_ID_WORDS & set(words_of(field.path[-1]))))
    known_form = field.is_iso_date or field.has_decimal_comma or have_short_years(field.texts)
    return not known_form and not any(_is_prose(t) for t in field.texts[:200])


def _is_prose(text: str) -> bool:
    """Whether a text has words: those of a telephone number or an IBAN are digits."""
    return " " in text and sum(c.isalpha() for c in text) > sum(c.isdigit() for c in text)


def _features_of(field: Field, as_of: dt.date, ages: Sequence[int | None]) -> list[tuple[str, Settings]]:
    """Suffix of the name and settings of each feature that a field gives."""
    if field.lengths:
        top = float(shared_ends(field.lengths)[1])
        settings: Settings = {"kind": "count", "path": written(field.path[:-1]), "max": max(10.0, 2 * top)}
        count = [("count", settings | {"meaning": meaning_of(field, "how many there are")})] if len(set(field.lengths)) > 1 else []
        return count + item_flags(field)
    if field.written_dates:
        return written_date_features(field, field.written_dates, as_of)
    if "*" in field.path:
        return _of_items(field, as_of)
    if field.is_boolean:
        return [("", {"kind": "boolean", "path": written(field.path), "meaning": meaning_of(field, "yes or no")})]
    if are_codes(field):
        return [("", code_settings(field))]
    if scalar := _number_or_date(field, as_of):
        number: tuple[str, Settings] = ("", {**scalar, "path": written(field.path)})
        if scalar["kind"] != "number" or not levels_tell_more(field, ages):
            return [number]
        few = len(field.counts) <= MOST_CODE_VALUES  # of many codes, neighbours are often alike, too
        return [("", code_settings(field))] if few else [number, ("code", code_settings(field))]
    if field.has_decimal_comma:
        return [("", _decimal_comma(field))]
    return text_features(field)


def _of_items(field: Field, as_of: dt.date) -> list[tuple[str, Settings]]:
    """Smallest and largest number or date of all items; the first value of texts."""
    made: list[tuple[str, Settings]] = []
    if scalar := _number_or_date(field, as_of):
        for pick in ("min", "max"):
            made.append((pick, {**scalar, "path": written(field.path), "pick": pick}))
    elif level_share(field) >= COVERED_SHARE:
        for pick in ("first", "last"):
            settings = {"kind": "category", "path": written(field.path), "pick": pick, "max_values": 1000}
            made.append((pick, {**settings, "meaning": meaning_of(field, f"of the {pick} item, as the source writes it")}))
    return made


def _number_or_date(field: Field, as_of: dt.date) -> Settings:
    """Settings of a number or date without its path; empty where the values are neither."""
    words = set(words_of(field.path[-1]))
    if field.is_iso_date:
        return date_settings(field, [years_since(t, as_of) for t in field.texts])
    if len(field.numbers) < 0.95 * len(field.values):
        return {}
    numbers = sorted(field.numbers)
    whole = all(n.is_integer() for n in numbers)
    if (
        whole
        and numbers[0] >= as_of.year - YEARS_BACK
        and numbers[-1] <= as_of.year + 1
        and (words & _YEAR_WORDS or len(field.counts) > 5)
    ):
        return date_settings(field, [as_of.year - n for n in numbers])
    low, high = shared_ends(numbers)
    margin = max((high - low) / 2, abs(high) / 2, 0.5)
    middle = _rounded(shared_median(numbers), down=True)
    return {
        "kind": "number",
        "min": 0.0 if low >= 0 else _rounded(low - margin, down=True),
        "max": _rounded(high + margin, down=False),
        "default": middle,
        "outside": "clip",
        "meaning": meaning_of(field, amount_of(field)),
    }


def _rounded(value: float, *, down: bool) -> float:
    """``value`` to two significant digits, down or up."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return round((math.floor if down else math.ceil)(value / unit) * unit, 10)


def _decimal_comma(field: Field) -> Settings:
    """Settings of a number that is written with a decimal comma."""
    numbers = field.comma_numbers
    low, high = shared_ends(numbers)
    return {
        "kind": "number",
        "path": written(field.path),
        "decimal": ",",
        "min": min(0.0, _rounded(2 * low, down=True)),
        "max": max(1.0, _rounded(2 * high, down=False)),
        "default": _rounded(shared_median(numbers), down=True),
        "outside": "clip",
        "meaning": meaning_of(field, amount_of(field)),
    }


def _about(field: Field, rows: int) -> str:
    text = f"in {share_of_profiles(field, rows)} of the profiles"
    if field.lengths:
        return ", items: ".join(filter(None, [text, range_in_words(field.lengths)]))
    if len(field.numbers) >= 0.95 * len(field.values) and field.numbers:
        return ", ".join(filter(None, [text, range_in_words(field.numbers)]))
    return f"{text}, {len(field.counts):,} different values"


def _name_of(path: FieldPath, suffix: str, used: set[str]) -> str:
    """Name of a feature in lower_case_with_underscores, unique among those ``used``; the last keys of the path tell most."""
    keys = [step for step in path if step != "*"]
    for first in range(len(keys) - 1, -1, -1):
        text = "_".join(words_of(" ".join([*keys[first:], suffix])))
        text = re.sub(r"[^a-z0-9_]", "", fold(text))[:50].strip("_")
        name = text if re.match(r"[a-z]", text) else f"field_{text}".strip("_")
        if name not in used and FEATURE_NAME.match(name):
            return name
    number = 2
    while f"{name}_{number}" in used:
        number += 1
    return f"{name}_{number}"
