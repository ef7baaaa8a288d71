"""Statistics and decision of an A/B test, from sums that add up exactly.

Arms with different people are compared by Welch's t-test (1947), models that predicted the same people by the paired t-test, both
on the absolute error in years. Several challengers share the error rate ``alpha`` (Bonferroni). The test is valid for one
evaluation at a sample size planned beforehand: repeated looks raise the chance of a false promotion.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np

from predict_age.arrays import Float64Array
from predict_age.distributions import chi_squared_upper_quantile, normal_upper_quantile, student_t_upper_quantile
from predict_age.tally import percent

MIN_ARM_ROWS = 100
MAX_COVERAGE_LOSS = 0.01
RATIO_ALPHA = 0.001  # of the sample-ratio test
PROMOTE, KEEP, UNDECIDED = "promote", "keep the champion", "undecided"


@dataclass(frozen=True)
class ArmStatistics:
    """Sums over the n people of an arm: error, absolute and squared error (years), people inside the interval, interval widths."""

    rows: int = 0
    error: float = 0.0
    absolute: float = 0.0
    square: float = 0.0
    inside: int = 0
    width: float = 0.0

    def __add__(self, other: ArmStatistics) -> ArmStatistics:
        return ArmStatistics(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(ArmStatistics)))

    @classmethod
    def of(cls, age: Float64Array, predicted: Float64Array, lower: Float64Array, upper: Float64Array) -> Self:
        """Sums of arrays (n,), years."""
        error = predicted - age
        inside = int(((lower <= age) & (age <= upper)).sum())
        return cls(
            len(age), float(error.sum()), float(np.abs(error).sum()), float((error**2).sum()), inside, float((upper - lower).sum())
        )

    @property
    def mae(self) -> float:
        return self.absolute / self.rows if self.rows else math.nan

    @property
    def variance(self) -> float:
        """Variance of the absolute error, years squared; NaN below two rows."""
        return max(self.square - self.absolute**2 / self.rows, 0.0) / (self.rows - 1) if self.rows > 1 else math.nan

    def as_json(self) -> dict[str, float]:
        n = self.rows or math.nan
        return {
            "rows": self.rows,
            "mae": self.mae,
            "bias": self.error / n,
            "coverage": self.inside / n,
            "width": self.width / n,
        }


@dataclass(frozen=True)
class PairedDifferences:
    """Sums over n people whom both models predicted, of |challenger's error| - |champion's error| and of its square."""

    rows: int = 0
    difference: float = 0.0
    square: float = 0.0

    def __add__(self, other: PairedDifferences) -> PairedDifferences:
        return PairedDifferences(self.rows + other.rows, self.difference + other.difference, self.square + other.square)

    @classmethod
    def of(cls, champion: Float64Array, challenger: Float64Array) -> Self:
        """Sums of absolute errors (n,), years."""
        d = challenger - champion
        return cls(len(d), float(d.sum()), float((d**2).sum()))

    @property
    def variance(self) -> float:
        return max(self.square - self.difference**2 / self.rows, 0.0) / (self.rows - 1) if self.rows > 1 else math.nan


@dataclass(frozen=True)
class DecisionRules:
    """Two-sided error rate ``alpha``, ``power``, and ``minimum_effect``, a share of the champion's error."""

    alpha: float = 0.05
    power: float = 0.80
    minimum_effect: float = 0.01


@dataclass(frozen=True)
class Decision:
    """Comparison of one challenger with the champion.

    ``difference`` of the mean errors, years (negative: the challenger errs less), with its interval ``low``..``high``; ``needed``:
    people with a known age, in both arms together (each pair once), to detect the minimum effect with the power asked for.
    """

    challenger: str
    difference: float
    low: float
    high: float
    needed: int
    decision: str
    reason: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def sample_ratio_mismatch(rows: list[int], expected: list[float]) -> str:
    """Reason not to decide when the arms' numbers of people do not fit their shares (chi-squared test); empty when they do.

    ``expected``: shares of the arms, at least 0; arms whose share is not known (0) are left out. People with a known age are as
    likely in one arm as in another, so a mismatch means that some of them were lost or added (Fabijan et al. 2019).
    """
    arms = [(n, share) for n, share in zip(rows, expected, strict=True) if share > 0]
    total, shares = sum(n for n, _ in arms), sum(share for _, share in arms)
    if len(arms) < 2 or not total:
        return ""
    statistic = sum((n - total * share / shares) ** 2 / (total * share / shares) for n, share in arms)
    if statistic <= chi_squared_upper_quantile(RATIO_ALPHA, len(arms) - 1):
        return ""
    people = ", ".join(f"{n:,}" for n, _ in arms)
    wanted = ", ".join(percent(share / shares, 0) for _, share in arms)
    return f"the arms have {people} people where {wanted} were assigned: find out who is missing before you compare"


def decide(
    name: str,
    champion: ArmStatistics,
    challenger: ArmStatistics,
    rules: DecisionRules,
    pairs: PairedDifferences | None = None,
    challengers: int = 1,
) -> Decision:
    """Decide to promote, to keep or not yet. ``pairs``: differences, when both models predicted the same people."""
    rows = pairs.rows if pairs else champion.rows + challenger.rows
    if min(champion.rows, challenger.rows) < MIN_ARM_ROWS:
        reason = f"at least {MIN_ARM_ROWS} people with a known age in each arm are needed to say anything"
        return Decision(name, math.nan, math.nan, math.nan, 0, UNDECIDED, reason)
    alpha = rules.alpha / challengers
    minimum_effect = rules.minimum_effect * champion.mae
    z = normal_upper_quantile(alpha / 2) + normal_upper_quantile(1 - rules.power)
    if pairs:
        difference, error, degrees = pairs.difference / pairs.rows, math.sqrt(pairs.variance / pairs.rows), pairs.rows - 1.0
        needed = z**2 * pairs.variance / minimum_effect**2
    else:
        difference = challenger.mae - champion.mae
        variances = (champion.variance / champion.rows, challenger.variance / challenger.rows)
        error = math.sqrt(sum(variances))
        degrees = (
            sum(variances) ** 2 / (variances[0] ** 2 / (champion.rows - 1) + variances[1] ** 2 / (challenger.rows - 1))
            if error
            else 1.0
        )
        needed = (
            z**2 * (champion.variance * rows / champion.rows + challenger.variance * rows / challenger.rows) / minimum_effect**2
        )
    reach = student_t_upper_quantile(alpha / 2, degrees) * error
    low, high = difference - reach, difference + reach
    missed = champion.inside / champion.rows - challenger.inside / challenger.rows
    coverage_error = 2 * math.sqrt(0.25 / min(champion.rows, challenger.rows))
    needed_rows = math.ceil(needed)
    if high < 0 and missed > MAX_COVERAGE_LOSS + coverage_error:
        return Decision(
            name, difference, low, high, needed_rows, KEEP, f"it errs less, but its interval covers {percent(missed)} fewer people"
        )
    if high < 0:
        return Decision(name, difference, low, high, needed_rows, PROMOTE, f"it errs {-high:.2f} to {-low:.2f} years less")
    if low > -minimum_effect:
        return Decision(
            name,
            difference,
            low,
            high,
            needed_rows,
            KEEP,
            f"a gain of {percent(rules.minimum_effect, 0)} ({minimum_effect:.2f} years) is excluded",
        )
    more = max(needed_rows - rows, 0)
    reason = f"about {more:,} more people with a known age decide" if more else "the gain, if any, is near the least that counts"
    return Decision(name, difference, low, high, needed_rows, UNDECIDED, reason)
