"""Ages that a source gives: how many of them are known ages, and why the others are not used."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from predict_age.tally import MIN_SHOWN_PEOPLE, counted, in_number

UNREADABLE, IMPLAUSIBLE, AGE_OF_MINOR = "unreadable", "implausible", "withheld (minors)"  # reasons why a value is no known age


@dataclass(frozen=True)
class GivenAges:
    """Rows or people with a value in an age column that counts: with a known age, with none, and younger than ``ages.min``."""

    known: int
    unusable: int
    minor: int

    def __add__(self, other: GivenAges) -> GivenAges:
        return GivenAges(self.known + other.known, self.unusable + other.unusable, self.minor + other.minor)

    def __sub__(self, other: GivenAges) -> GivenAges:
        return GivenAges(self.known - other.known, self.unusable - other.unusable, self.minor - other.minor)

    @property
    def given(self) -> int:
        """All of them."""
        return self.known + self.unusable + self.minor

    @property
    def sentence(self) -> str:
        """Number of known ages beside that of given ones, and why the others are not known."""
        counts = {"younger than ages.min_age": self.minor, "that cannot be used": self.unusable}
        why = [f"{people:,} {reason}" for reason, people in counts.items() if people]
        return f"a known age for {self.known:,} of {self.given:,} people with a given age" + (f" ({', '.join(why)})" if why else "")


@dataclass(frozen=True)
class UnusableAgesRecord:
    """Values of an age column that stand for no known age: name of the column, why, how many, and the form of the first.

    ``tried`` of them were read otherwise, and ``readings`` says how many of those each other reading fits. At least 20 lie at or
    beyond ``low`` and ``high`` each; None where there are too few, or where they are ages of minors.
    """

    column: str
    reason: str
    rows: int
    form: str
    tried: int = 0
    readings: dict[str, int] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None

    def together_with(self, other: UnusableAgesRecord) -> UnusableAgesRecord:
        """Values of both, whose range is not known."""
        readings = {name: self.readings.get(name, 0) + other.readings.get(name, 0) for name in {**self.readings, **other.readings}}
        rows, tried = self.rows + other.rows, self.tried + other.tried
        return UnusableAgesRecord(self.column, self.reason, rows, self.form, tried, readings)

    @property
    def between(self) -> str:
        """Range of the numbers in words; empty where it is not known."""
        return "" if self.low is None or self.high is None else f"between {self.low:g} and {self.high:g}"

    @property
    def one_number(self) -> str:
        """The number that nearly all values are, as its writer wrote it; empty where they differ, or it is not known."""
        number = "" if self.low is None or self.low != self.high else f"{self.low:.15g}"
        return number if re.sub(r"\d", "9", number) == self.form else ""

    @property
    def shared_sentence(self) -> str:
        """As ``sentence``, without the number and the form of fewer than 20 values."""
        if self.rows >= MIN_SHOWN_PEOPLE:
            return self.sentence
        why = {UNREADABLE: "cannot be read", AGE_OF_MINOR: "read as ages below ages.min_age"}.get(
            self.reason, "lie outside the plausible window"
        )
        return f"fewer than {MIN_SHOWN_PEOPLE} values of {self.column} {why} and were not used"

    @property
    def sentence(self) -> str:
        """Sentence that says so."""
        between = f" (nearly all {self.between})" if self.between else ""
        values = f"{counted(self.rows, 'value')} of {self.column}{between}"
        verbs = [in_number(self.rows, word) for word in ("reads", "an age", "was", "lies")]
        if self.reason == AGE_OF_MINOR:
            return (
                f"{values} {verbs[0]} as {verbs[1]} below ages.min_age and {verbs[2]} not used: such people are withheld as minors"
            )
        why = "cannot be read" if self.reason == UNREADABLE else f"{verbs[3]} outside the plausible window"
        return f"{values} {why} and {verbs[2]} not used; the first has the form {self.form} (9: a digit, a: a letter)"
