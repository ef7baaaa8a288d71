"""Quality of a model on held-out people: errors in years, and what else training measured.

The order of the fields is that of the keys on disk. Where a class has several bases, the fields of the last base come first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

from predict_age.records.closeness import Closeness
from predict_age.records.json_fields import OPTIONAL, stored_as

BEYOND_DOUBT = 3.89  # standard errors; one unchanged run in ten thousand exceeds them by chance, on either side
ONE_SIDED_95 = 1.645  # standard errors; one run in twenty exceeds them by chance
AHEAD_YEARS = 1.0  # a constant beside the median is that much worse for everybody, without any chance
NORMAL_95 = 1.96  # standard errors on both sides of a 95 % confidence interval
MANY_WITHHELD = 0.1  # share of the people of unknown age from which on it is the first finding
WITHHELD_WHY = (
    "the model takes them for minors, younger than ages.min_age, or for so with a probability of ages.withhold_probability or more."
)
WITHHELD_FIX = (
    "Where few of them can be minors, write a higher withhold_probability under [ages] of the configuration (default 0.2; at 1.0 "
    "only those predicted to be younger are withheld, and more minors are published with an adult's age), or min_age = 0 (nobody "
    "is withheld), and run again."
)


@dataclass(frozen=True)
class PointErrors:
    """Errors of predicted ages, in years; ``bias`` is predicted - true: positive = too old. NaN where there is nobody."""

    mae: float
    rmse: float
    bias: float
    r2: float


@dataclass(frozen=True)
class PairedGain:
    """Mean over ``rows`` people of (error of a baseline) - (error of the model), both absolute, in years."""

    years: float
    standard_error: float
    rows: int

    @property
    def shared_with_baseline(self) -> bool:
        """Whether the baseline errs less by at most AHEAD_YEARS, up to rounding. Noise is an error, too, and widens nothing."""
        return round(self.years, 6) >= -AHEAD_YEARS


@dataclass(frozen=True)
class IntervalQuality:
    """Coverage of the interval (share of people inside, ends included) and its mean width in years."""

    coverage: float
    width: float


@dataclass(frozen=True)
class _Counted:
    rows: int


@dataclass(frozen=True)
class Quality(IntervalQuality, PointErrors, _Counted):
    """Errors and interval of ``rows`` people."""

    @property
    def mae_doubt(self) -> float:
        """Standard error of the mean absolute error: the variance of |error| is rmse^2 - mae^2."""
        return sqrt(max(self.rmse**2 - self.mae**2, 0.0) / max(self.rows, 1))


@dataclass(frozen=True)
class _OfBand:
    band: str


@dataclass(frozen=True)
class BandQuality(Quality, _OfBand):
    """Quality among the people of one ``band``: of age, or of the number of unknown features."""


@dataclass(frozen=True)
class _OfMember:
    name: str
    weight: float


@dataclass(frozen=True)
class MemberQuality(PointErrors, _OfMember):
    """Errors of one member of the ensemble, and its weight."""


@dataclass(frozen=True)
class ConfidenceStep:
    """Errors of the people with a confidence of ``low`` percent up to the next step; ``p90``: 90 % quantile of the error."""

    low: int = field(metadata=stored_as("from"))
    rows: int
    mae: float
    p90: float
    standard_error: float = field(metadata=stored_as("doubt"))


@dataclass(frozen=True)
class AgePairs:
    """True and predicted ages of single held-out people, in records of earlier versions."""

    true: list[int]
    predicted: list[int]


@dataclass(frozen=True)
class AgeCell:
    """Number of held-out ``people`` whose true and whose predicted age lie in two ranges of years, ends included."""

    true: list[int]
    predicted: list[int]
    people: int


@dataclass(frozen=True)
class TrainingRows:
    """Rows that the last turn was fitted on, rows held out in all turns, and the number of turns."""

    fitted: int = field(metadata=stored_as("learned_from"))
    held_out: int
    turns: int


@dataclass(frozen=True)
class Metrics:
    """Everything that training measured on people whom no model saw."""

    held_out: Quality
    by_band: list[BandQuality]
    by_predicted_band: list[BandQuality]
    members: list[MemberQuality]
    ridge: PointErrors
    median: PointErrors
    uncalibrated: IntervalQuality
    network_share: float
    widen_years: list[float]
    by_confidence: list[ConfidenceStep]
    confidence_is_monotone: bool
    sample: AgePairs | None = field(default=None, metadata=OPTIONAL, kw_only=True)  # earlier versions alone
    importance: dict[str, float]
    missing: dict[str, float]
    rows: TrainingRows
    refit_rows: int
    age_cells: list[AgeCell] | None = field(default=None, metadata=OPTIONAL)  # None in records of earlier versions
    residual_share: float | None = field(default=None, metadata=OPTIONAL)  # None in records of earlier versions


@dataclass(frozen=True)
class IntervalCorrection:
    """Corrections of a run's intervals, instead of those in the model; see :class:`predict_age.models.conformal.Calibration`."""

    few: float
    years: list[float]
    by_cell: list[float]
    width_edges: list[float]
    by_width: list[float]


@dataclass(frozen=True)
class MinorsRate:
    """Frequency of minors, as a multiple (``rate``) of the one that the youngest adults suggest, for the limit ``min_age``.

    The models suggest to expect ``suggested`` minors for each of ``adults`` people of known age; ``known`` ones are in the
    source, 5 for 5 to 19, 0 for fewer (:func:`~predict_age.tally.fold_part`). Known ages that went on below the
    limit would make it ``by_ages``.
    """

    min_age: int
    suggested: float
    adults: int
    known: int
    by_ages: float
    rate: float

    @property
    def expected(self) -> float:
        """Number of known minors that the youngest adults suggest."""
        return self.adults * self.suggested


@dataclass(frozen=True)
class Delivery:
    """Differences between a model and its answers in a run: the ``correction`` of its intervals and the frequency of ``minors``."""

    correction: IntervalCorrection | None = None
    minors: MinorsRate | None = None


@dataclass(frozen=True)
class ReusedModelQuality:
    """Quality of a model in a run that did not train it, on ``people`` of known age whom it was not trained on.

    ``metrics`` of the delivered intervals; ``as_trained``: the intervals before the run's ``correction``. None where there are too
    few such people, or where it cannot be told who they are; ``sentence`` says so.
    """

    people: int
    sentence: str
    metrics: Metrics | None
    as_trained: IntervalQuality | None
    correction: IntervalCorrection | None


@dataclass(frozen=True)
class _OfGroup:
    group: str


@dataclass(frozen=True)
class GroupQuality(Quality, _OfGroup):
    """Quality of one group, see :func:`predict_age.evaluation.model_card.groups.metrics_by_group`.

    ``median_apart``, ``ridge_apart``: ``apart`` of the constant median and of Ridge; None in records of earlier versions.
    """

    bias_interval: list[float]
    apart: float
    apart_z: float
    same_age: float
    made_younger: float
    made_older: float
    median_apart: float | None = field(default=None, metadata=OPTIONAL, kw_only=True)
    ridge_apart: float | None = field(default=None, metadata=OPTIONAL, kw_only=True)

    @property
    def shared_with_baselines(self) -> bool:
        """Whether the constant median and Ridge are about as far apart on the same side: the ages and the features do it."""
        return all(
            baseline is not None and self.apart * baseline > 0 and round(abs(self.apart) - abs(baseline), 6) <= AHEAD_YEARS
            for baseline in (self.median_apart, self.ridge_apart)
        )


@dataclass(frozen=True)
class _OfField:
    field: str


@dataclass(frozen=True)
class NamedGroup(GroupQuality, _OfField):
    """Quality of one group together with the ``field`` that it is a value of."""


@dataclass(frozen=True)
class CardFinding:
    """A finding of the model card: ``size`` says how serious it is among its ``kind``."""

    kind: str
    size: float
    sentence: str


@dataclass(frozen=True)
class ModelEvaluation:
    """The part of the model card that gates, summary and report use.

    ``closeness``: of the held-out predictions; where they are too close and the configuration allows features to tell the age
    (``allowed_leaks``), of predictions without those features. ``gain_by_band``, ``ridge_gain_by_band``: gain over the
    constant median and over centred Ridge in each of ``by_band``, by its name.
    """

    held_out: Quality
    ridge: PointErrors
    median: PointErrors
    by_band: list[BandQuality]
    findings: list[CardFinding]
    worst_group: NamedGroup | None
    gain_over_median: PairedGain | None = field(default=None, metadata=OPTIONAL)  # None in records of earlier versions
    gain_over_ridge: PairedGain | None = field(default=None, metadata=OPTIONAL)
    closeness: Closeness | None = field(default=None, metadata=OPTIONAL)
    allowed_leaks: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    gain_by_band: dict[str, PairedGain] | None = field(default=None, metadata=OPTIONAL)
    ridge_gain_by_band: dict[str, PairedGain] | None = field(default=None, metadata=OPTIONAL)
