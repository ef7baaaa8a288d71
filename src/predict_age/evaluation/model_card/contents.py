"""Contents of the model card as frozen dataclasses; :meth:`Card.as_json` is what ``card.json`` holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from predict_age.evaluation.model_card.leakage import LeakageScore
from predict_age.purposes import NOT_STATED
from predict_age.records.json_fields import OPTIONAL, as_json
from predict_age.records.model_quality import (
    BandQuality,
    CardFinding,
    ConfidenceStep,
    GroupQuality,
    MemberQuality,
    PointErrors,
    Quality,
)

CARD_FORMAT = 1


@dataclass(frozen=True)
class Subject:
    """The model that a card is about: run, data, versions; people with a known age (``labelled``), without, and trained on."""

    model_version: str
    trained_at: str
    as_of: str
    quarter: str
    run_id: str
    source: str
    features_name: str
    features_hash: str
    labelled: int
    learned: int
    unlabelled: int
    coverage: float
    versions: dict[str, str]
    code: str
    tuned: dict[str, object] | None
    purpose: str = NOT_STATED
    training_source: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class AgeSides:
    """People on either side of ``age``, with the share of each that is predicted to be on the other side."""

    age: int
    above: int
    made_younger: float
    below: int
    made_older: float


@dataclass(frozen=True)
class Population:
    """Quality weighted towards people without a known age: ``auc`` of the domain classifier, ``effective`` sample size.

    ``mae_increase``: weighted error minus that of the same people without weights, with its standard error ``mae_increase_doubt``.
    """

    rows: int
    unlabelled: int
    auc: float
    effective: float
    mae: float
    rmse: float
    bias: float
    coverage: float
    width: float
    mae_increase: float = 0.0
    mae_increase_doubt: float = 0.0


@dataclass(frozen=True)
class AgeWhatIf:
    """Quality if the people to predict were ``years`` older on average; ``effective``: sample size that this rests on."""

    years: float
    effective: float
    mae: float
    rmse: float
    bias: float
    coverage: float
    width: float


@dataclass(frozen=True)
class PopulationBand:
    """A band of ``population.ages``: share of the people to predict, share of those with a known age, ``weight`` of one of them.

    ``known`` and ``weight`` are None, and ``to_predict`` is the share of all people, where fewer than 20 have a known age.
    """

    band: str
    to_predict: float
    known: float | None
    weight: float | None


@dataclass(frozen=True)
class MinorsWithheld:
    """Withheld people: shares of held-out ``adults`` (all, and those who are ``young``: below ``young_below``), measured.

    And of the ``unlabelled`` people: the share withheld; by the model's own probabilities the share of minors among those who are
    published, and the share of all minors who are ``minors_found``, so withheld. None where there is nobody.
    ``rate``: minors as a multiple of those whom the youngest adults suggest, by the number ``known`` in the source at four years
    below ``min_age`` at most, None when fewer than 20; ``any_known``: whether they are 5; ``expected``: so many are suggested;
    ``by_ages``: so many there were, if the known ages went on below the limit.
    """

    min_age: int
    probability: float
    adults: int
    adults_withheld: float | None
    young_below: int
    young: int
    young_withheld: float | None
    unlabelled: int
    unlabelled_withheld: float | None
    minors_among_published: float | None
    minors_found: float | None
    rate: float = 1.0
    known: int | None = None
    any_known: bool = False
    expected: float = 0.0
    by_ages: float = 0.0


@dataclass(frozen=True)
class Association:
    """Association (0..1) of a feature with a group field beyond chance, its ``measure``, and the ``rows`` that it rests on."""

    feature: str
    strength: float
    measure: str
    rows: int = 0


@dataclass(frozen=True)
class FeatureSummary:
    """A feature of the model: share of the gain, and shares of people without it, with and without a known age."""

    name: str
    kind: str
    meaning: str
    unit: str
    importance: float
    missing_known: float
    missing_unlabelled: float | None


@dataclass(frozen=True)
class Card:
    """The model card. ``groups`` and ``proxies`` are by group field; ``group_features``: the features that read that field."""

    subject: Subject
    held_out: Quality
    ridge: PointErrors
    median: PointErrors
    members: list[MemberQuality]
    by_band: list[BandQuality]
    by_predicted_band: list[BandQuality]
    by_unknown: list[BandQuality]
    by_confidence: list[ConfidenceStep]
    confidence_is_monotone: bool
    confidence_sentence: str
    groups: dict[str, list[GroupQuality]]
    around: AgeSides
    population: Population | None
    leakage: list[LeakageScore]
    proxies: dict[str, list[Association]]
    ages: list[float]
    features: list[FeatureSummary]
    limits: list[str]
    what_if: list[AgeWhatIf] = field(default_factory=list)
    population_ages: list[PopulationBand] = field(default_factory=list)
    minors: MinorsWithheld | None = None
    group_features: dict[str, list[str]] = field(default_factory=dict)
    findings: list[CardFinding] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The contents of ``card.json``."""
        measured = as_json(self)
        del measured["subject"]
        measured["leakage"] = [score.as_json() for score in self.leakage]
        return {"format": CARD_FORMAT, **as_json(self.subject), **measured}
