"""Trained models with what they say about held-out people: how they are calibrated and measured for the people to be published.

Who is withheld depends on how frequent minors are, which the number of known minors tells. The models do not depend on it: they are
trained, weighed and saved without that number, and calibrated and measured for the published people afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from predict_age.errors import QualityError
from predict_age.models.bundle import Bundle, EnsembleWeights, MemberOutputs, Predictions
from predict_age.models.conformal import calibrate
from predict_age.models.held_out import HeldOutPredictions, UnseenOutputs, held_out_metrics
from predict_age.models.reuse import correction_record, in_order
from predict_age.models.training import TrainingPeople
from predict_age.models.withholding import suggested_minors
from predict_age.models.xgb_model import gain_importance
from predict_age.records.model_quality import IntervalCorrection, Metrics, TrainingRows

EVERYBODY = 0.0  # rate of minors at which nobody is withheld for a probability


@dataclass(frozen=True)
class Calibrator:
    """An ``ensemble`` with weights, and the outputs for ``people`` of known age from whom its intervals are calibrated.

    No member was trained on them. Outputs are those at the rate 1 of minors.
    """

    ensemble: EnsembleWeights
    people: UnseenOutputs

    def calibrated(self, rate: float) -> EnsembleWeights:
        """The ensemble with intervals calibrated for those who are published when minors are ``rate`` times as frequent."""
        return calibrated(self.ensemble.with_minors(rate), self.people.outputs.with_minors(rate), self.people.age)


@dataclass(frozen=True)
class TrainedModels:
    """Trained models, and all that is needed to calibrate and measure them for the people who are published.

    ``models`` have the weights of ``calibrator``. ``by_others``: a calibrator from others for each part of the held-out people;
    ``part_of`` (m,) numbers the part of each. ``held_out`` people have the ``numbers`` (m,) in the sample. ``missing``
    (n_features,): share of people without a value.
    """

    people: TrainingPeople
    models: Bundle
    calibrator: Calibrator
    by_others: tuple[Calibrator, ...]
    parts: tuple[UnseenOutputs, ...]
    part_of: NDArray[np.int64]
    held_out: UnseenOutputs
    numbers: NDArray[np.int64]
    rows: TrainingRows
    missing: NDArray[np.float64]
    refit_rows: int

    @property
    def suggested_minors(self) -> float:
        """Minors for each adult of known age, as frequent as the youngest adults suggest."""
        weights: NDArray[np.float64] = np.ones(len(self.numbers))
        at_limit = 1.0
        if self.people.age_weights is not None:
            limit = np.array([self.models.ensemble.rule.min_age], np.float64)
            weights, at_limit = self.people.age_weights.of(self.held_out.age), float(self.people.age_weights.of(limit)[0])
        return suggested_minors(self.held_out.outputs.younger, weights, at_limit)

    def bundle(self, rate: float = EVERYBODY) -> Bundle:
        """The models with intervals for those who are published at this rate of minors."""
        return replace(self.models, ensemble=self.calibrator.calibrated(rate))

    def correction(self, rate: float) -> IntervalCorrection | None:
        """Correction of the intervals of :meth:`bundle` at this rate of minors; None where they are the same."""
        every, some = (self.calibrator.calibrated(r).calibration for r in (EVERYBODY, rate))
        return None if every == some else correction_record(some)

    def measured(self, rate: float) -> tuple[Metrics, HeldOutPredictions]:
        """Metrics at this rate of minors, and the held-out predictions that they measure.

        They are those of what is delivered: people who are withheld are counted and left out. Raises QualityError when all are.
        With weights by age, groups are measured on people of whom none counts twice, so that they are groups of people; what is
        said of everybody rests on as many people as the weighted ones are worth.
        """
        each = zip(self.by_others, self.parts, strict=True)
        predictions = in_order(
            [calibrator.calibrated(rate).predict(mine.outputs.with_minors(rate)) for calibrator, mine in each], self.part_of
        )
        return self._measured(predictions, self.bundle(rate))

    def _measured(self, predictions: Predictions, bundle: Bundle) -> tuple[Metrics, HeldOutPredictions]:
        people, published = self.people, ~predictions.withheld
        if not published.any():
            raise _nobody_to_measure(len(published))
        withheld_age = self.held_out.age[~published]
        held_out, predictions, numbers = self.held_out.only(published), predictions.only(published), self.numbers[published]
        importance, missing = gain_importance(bundle.xgboost), dict(zip(people.features.names, self.missing.tolist(), strict=True))

        def measured(chosen: NDArray[np.int64]) -> tuple[Metrics, HeldOutPredictions]:
            some, made = held_out.only(chosen), predictions.only(chosen)
            ridge = bundle.ensemble.whole_years(some.ridge)
            median = float(np.median(some.age if people.age_weights else people.age))
            metrics = held_out_metrics(
                bundle.ensemble,
                some,
                made,
                median,
                importance=importance,
                missing=missing,
                rows=self.rows,
                refit_rows=self.refit_rows,
            )
            missing_count = some.outputs.missing_count
            return metrics, HeldOutPredictions(numbers[chosen], some.age, made, missing_count, ridge, median, withheld_age)

        places = np.argsort(numbers, kind="stable")
        if people.age_weights is None:
            return measured(np.arange(len(numbers)))
        ordered = numbers[places]
        everybody = measured(places[np.searchsorted(ordered, people.typical(ordered))])[0]
        metrics, kept = measured(places[np.searchsorted(ordered, people.measured(ordered))])
        of_all = ("held_out", "members", "ridge", "median", "uncalibrated")
        return replace(metrics, **{name: getattr(everybody, name) for name in of_all}), kept


def calibrated(ensemble: EnsembleWeights, outputs: MemberOutputs, age: NDArray[np.float64]) -> EnsembleWeights:
    """The ``ensemble`` with a calibration from the ``outputs`` for people of known ``age`` (n,), withheld ones left out."""
    published = ~ensemble.withheld(outputs)
    raw = ensemble.raw_intervals(outputs.only(published))
    calibration = calibrate(raw, age[published], ensemble.whole_years(raw.point_age), ensemble.coverage)
    return replace(ensemble, calibration=calibration)


def _nobody_to_measure(people: int) -> QualityError:
    return QualityError(
        "the model withholds everybody whom it was tried on",
        expected="held-out people who get a prediction: without them nothing is known about the model",
        found=f"all {people:,} are withheld: the model takes them for minors, or too probably so",
        fix="lower ages.min_age or raise ages.withhold_probability, or give features that tell the age better; start a new run",
    )
