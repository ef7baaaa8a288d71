"""Gate on given ages that cannot be used: a wrong date, format or unit makes most of them useless, and no model shows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from predict_age.config import Config
from predict_age.errors import InputError
from predict_age.records.age_reading import ANY_FORMAT, OTHER_FORMAT, AgeReading
from predict_age.records.given_ages import UNREADABLE, GivenAges, UnusableAgesRecord
from predict_age.tally import percent
from predict_age.toml_text import list_setting

FEWEST_GIVEN = 20  # people with a given age; fewer are not judged
NEARLY_ALL = 0.95  # of the dates that were tried, for one format to be that of all
EXAMPLE = dt.date(1985, 12, 31)
SOME_DATES = 0.2  # share of the values that must be dates for a format to be named
MOST_LIKELY = 0.5  # share of the values that a reading must fit to be named
_CODES = "leave codes for a missing one empty, or add them to source.missing_values"
_MISTAKES = {
    AgeReading.ONE_VALUE: "most of {column} is one value, perhaps a code for a missing one: leave it empty, or in CSV "
    "set {missing}",
    AgeReading.TWO_DIGIT_YEARS: "{column} has years of two digits, which tell no century: write all four",
    AgeReading.SERIAL_NUMBERS: "{column} has a spreadsheet's serial numbers: write them as dates",
    AgeReading.SECONDS: "{column} has seconds or milliseconds since 1970: write them as dates",
    AgeReading.MONTHS: "{column} looks like ages in months{between}: divide by 12",
    AgeReading.WEEKS: "{column} looks like ages in weeks{between}: divide by 52.18",
    AgeReading.DAYS: "{column} looks like ages in days{between}: divide by 365.25",
    AgeReading.DECADES: "{column} looks like ages in decades{between}: multiply by 10",
    AgeReading.CENTURIES: "{column} looks like ages divided by 100{between}: multiply by 100",
    AgeReading.LOGARITHMS: "{column} looks like natural logarithms of ages{between}: write exp(value)",
    AgeReading.LOGARITHMS_TO_10: "{column} looks like logarithms of ages to the base 10{between}: write 10 ^ value",
    AgeReading.SQUARES: "{column} looks like squares of ages{between}: write their roots",
    AgeReading.SCALED: "{column} has small fractions{between}, perhaps a standardised or scaled age: write ages in years",
    AgeReading.BAND_CODES: "{column} has few small whole numbers{between}, perhaps codes of age bands: write one age in years",
    AgeReading.BANDS: "{column} has age bands: write one age{others}",
    AgeReading.DECIMAL_COMMA: "{column} has a decimal comma: write a decimal point",
    AgeReading.THOUSANDS: "{column} has a separator between thousands: write digits alone",
    AgeReading.BIRTH_YEARS: "{column} holds birth years: name it as source.birth_year",
    AgeReading.BIRTH_DATES: "{column} holds dates: name it as source.birth_date",
    AgeReading.AFTER_AS_OF: "dates in {column} lie after as_of {as_of}: --as-of is too early",
    AgeReading.TOO_OLD: "people in {column} would be older than {oldest} at as_of {as_of}: --as-of is too late",
}
_OF_FEW = {  # where most of the given ages are right
    AgeReading.ONE_VALUE: "values of {column} that cannot be used are mostly one, perhaps a code for a missing one: leave it "
    "empty, or in CSV set {missing}",
    AgeReading.AFTER_AS_OF: "some dates in {column} lie after as_of {as_of}, as with years of the wrong century: leave them empty",
    AgeReading.TOO_OLD: "some people in {column} would be older than {oldest}, as with years of the wrong century: leave it empty",
}


@dataclass(frozen=True)
class AgeFindings:
    """Given ages of a source: people by what is known of them, values of no use, and the settings that decide it."""

    people: GivenAges
    unusable: Sequence[UnusableAgesRecord]
    config: Config
    as_of: dt.date
    sample: str = ""  # words for the rows that this comes from; empty: all

    def together_with(self, other: AgeFindings, people: GivenAges) -> AgeFindings:
        """Findings about the ``people`` of both sources: values count by column and reason, with the form of the first."""
        values: dict[tuple[str, str], UnusableAgesRecord] = {}
        for found in (*self.unusable, *other.unusable):
            key = found.column, found.reason
            values[key] = values[key].together_with(found) if key in values else found
        return replace(self, people=people, unusable=list(values.values()), sample=self.sample or other.sample)

    @property
    def share(self) -> float:
        """Share (0..1) of the people with a given age who have no known age; minors are none of them."""
        return self.people.unusable / max(self.people.given, 1)

    @property
    def is_judged(self) -> bool:
        """Whether the gate is on and enough people have a given age."""
        return bool(self.config.gates.unusable_ages) and self.people.given >= FEWEST_GIVEN

    @property
    def passes(self) -> bool:
        """Whether the share is within the limit."""
        return not self.is_judged or self.share <= self.config.gates.unusable_ages

    @property
    def expected(self) -> str:
        """Requirement of the gate in words."""
        limit = percent(self.config.gates.unusable_ages, 0)
        return f"a known age for all but {limit} of the people with a given age (gates.unusable_ages), at as_of {self.as_of}"

    @property
    def found(self) -> str:
        """Counts of the source in words, by column and reason."""
        people = f"none for {self.people.unusable:,} of {self.people.given:,} ({percent(self.share)})"
        minors = f", and {self.people.minor:,} more are younger than ages.min_age" if self.people.minor else ""
        return "; ".join([self.sample + people + minors, *(values.sentence for values in self.unusable)])

    @property
    def likely(self) -> str:
        """Likely reasons, the commonest value first; empty where none is apparent."""
        ordered = sorted(self.unusable, key=lambda values: -values.rows)
        return "; ".join(dict.fromkeys(filter(None, (self._likely(values) for values in ordered))))

    def _likely(self, values: UnusableAgesRecord) -> str:
        formats = {name: n for name, n in values.readings.items() if name.startswith(OTHER_FORMAT)}
        dates, most = values.readings.get(ANY_FORMAT, 0), max(formats.values(), default=0)
        if dates >= SOME_DATES * values.tried and most > values.readings.get(AgeReading.ONE_VALUE, 0):
            best_formats = [name.removeprefix(OTHER_FORMAT) for name, n in formats.items() if n == most]
            return self._format(values, best_formats, most / dates, dates / values.tried)
        fits = {name: n for name, n in values.readings.items() if name in _MISTAKES and n >= MOST_LIKELY * values.tried}
        if not fits:
            return self._unread(values)
        best = max(fits, key=fits.__getitem__)  # of equal ones the first
        mistake = _MISTAKES[AgeReading(best)]
        if self.people.known > MOST_LIKELY * self.people.given:
            mistake = _OF_FEW.get(AgeReading(best), mistake)
        return mistake.format(
            column=values.column,
            as_of=self.as_of,
            oldest=self.config.ages.max,
            between=f" ({values.between})" if values.between else "",
            missing=self._missing(values),
            others=self._others(values.column),
        )

    def _missing(self, values: UnusableAgesRecord) -> str:
        """The list of texts for no value with the one that ``values`` are, where it is known."""
        setting = list_setting("source", "missing_values", (*self.config.source.missing_values, values.one_number or "..."))
        return setting if values.one_number else f'{setting}, with the value for "..."'

    def _others(self, column: str) -> str:
        """Advice to use the other age columns; empty where there is none."""
        source = self.config.source
        left = [name for name in self.config.ages.precedence if getattr(source, name) != column]
        return f", or leave the column out: {list_setting('ages', 'precedence', left)}" if left else ""

    def _unread(self, values: UnusableAgesRecord) -> str:
        if values.reason != UNREADABLE:
            return ""
        if values.column == self.config.source.birth_date:
            declared = self.config.source.birth_date_format
            unread = f'{values.column} has values that "{declared}" does not read: {_CODES}'
            return unread if declared else 'set source.birth_date_format, such as "%d/%m/%Y"'
        what = "a year of four digits, such as 1985" if values.column == self.config.source.birth_year else "years, such as 42"
        return f"{values.column} is text that is no number: write {what}"

    def _format(self, values: UnusableAgesRecord, best: list[str], share: float, dates: float) -> str:
        """Sentence about ``values``, of which a share (0..1) are ``dates``; a ``share`` of these fits the ``best`` formats."""
        column = values.column
        usual = [pattern for pattern in best if not (_has_day_after_year(pattern) and _swapped(pattern) in best)]
        patterns = [f'"{pattern}"' for pattern in usual]
        declared = self.config.source.birth_date_format
        swapped = _swapped(declared)
        if declared and f'"{swapped}"' in patterns:
            return f'day and month of {column} are swapped: set source.birth_date_format = "{swapped}"'
        if share < NEARLY_ALL:
            return (
                f"{column} has dates of several forms, of which {' or '.join(patterns)} reads {percent(share, 0)}: write all in one"
            )
        if any(_swapped(pattern) in usual for pattern in usual):
            meant = " or ".join(f"{shown} ({EXAMPLE.strftime(pattern)})" for shown, pattern in zip(patterns, usual, strict=True))
            either = f"day and month of {column} may be either way round"
            return f"{either}: set source.birth_date_format to what its writer means, {meant} being {EXAMPLE:%-d %B %Y}"
        advice = f"{column} reads as another format: set source.birth_date_format = {' or '.join(patterns)}"
        others = f"; {percent(1 - dates, 0)} of the values are no date of birth in any format: {_CODES}"
        return advice if dates >= NEARLY_ALL else advice + others


def _has_day_after_year(pattern: str) -> bool:
    """Whether a format has the year first, and the day before the month, as hardly anybody writes dates."""
    return pattern.startswith("%Y") and 0 <= pattern.find("%d") < pattern.find("%m")


def _swapped(pattern: str) -> str:
    """A format of dates with day and month in each other's place."""
    return pattern.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m")


def check_known_ages(ages: AgeFindings, *, training: bool) -> None:
    """Raise InputError where too few people have a known age for ``training``."""
    least, known = ages.config.training.min_rows, ages.people.known
    if training and known < least:
        from predict_age.source.rejected_rows import (
            too_few_known,
        )  # imports pyarrow, which the process that leads a run does not need

        sentences = [values.sentence for values in ages.unusable]
        raise too_few_known(least, "; ".join([ages.people.sentence, *sentences]), ages.likely)


def unusable_ages_error(ages: AgeFindings) -> InputError:
    """The error of a source most of whose given ages cannot be used."""
    likely = f"likely reason: {ages.likely}; " if ages.likely else ""
    return InputError(
        "too many of the given ages cannot be used",
        expected=ages.expected,
        found=ages.found,
        fix=f"{likely}correct it and start a new run; where the other ages are right, raise gates.unusable_ages, or let a run that "
        "stopped here go on with them: `predict-age resume --accept`",
    )
