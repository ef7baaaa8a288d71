"""Evaluation of a model in a run that did not train it, and the correction of its intervals for that run's people."""

from __future__ import annotations

from dataclasses import fields, replace
from math import hypot, sqrt

import numpy as np
from numpy.typing import NDArray

from predict_age.models.bundle import Bundle, EnsembleWeights, Predictions
from predict_age.models.conformal import Calibration, calibrate
from predict_age.models.held_out import UnseenOutputs, held_out_metrics
from predict_age.models.metrics import interval_quality
from predict_age.records.model_quality import BEYOND_DOUBT, IntervalCorrection, Metrics, Quality, ReusedModelQuality
from predict_age.tally import percent

MIN_EVALUATED_ROWS = 100  # people of known age without whom nothing is measured
MIN_RECALIBRATION_ROWS = 1_000
PARTS = 5  # what is claimed for a fifth of the people rests on a correction from the others


def evaluate_reused(bundle: Bundle, unseen: UnseenOutputs, trained: Metrics) -> ReusedModelQuality:
    """Quality of ``bundle`` among n people whom it was not trained on, and a correction where they differ from the training's.

    The correction is made only where the coverage differs from the target, or the error from that at the training, beyond doubt: as
    long as nothing has changed, the model predicts as it did.
    """
    unseen = unseen.only(~bundle.ensemble.withheld(unseen.outputs))  # what is delivered is measured
    ensemble, age, n = bundle.ensemble, unseen.age, len(unseen.age)
    if n < MIN_EVALUATED_ROWS:
        who = f"only {n:,} people of known age in this run were not trained on, too few"
        return not_evaluated(
            n, f"{who if n else 'all people of known age in this run were trained on, nobody is left'} to measure the model"
        )
    predictions = ensemble.predict(unseen.outputs)
    as_trained = interval_quality(age, predictions.lower, predictions.upper)
    metrics = _metrics(ensemble, unseen, predictions, trained)
    who = f"{n:,} people of known age whom it was not trained on"
    if n < MIN_RECALIBRATION_ROWS or not _changed(metrics.held_out, trained.held_out, ensemble.coverage):
        return ReusedModelQuality(n, f"measured in this run, on {who}", metrics, as_trained, None)
    corrected = recalibrated(ensemble, unseen)
    metrics = _metrics(corrected, unseen, _cross_corrected(ensemble, unseen), trained)
    sentence = (
        f"measured in this run, on {who}; its intervals held {percent(as_trained.coverage)} of them and were calibrated again"
    )
    return ReusedModelQuality(n, sentence, metrics, as_trained, correction_record(corrected.calibration))


def not_evaluated(people: int, sentence: str) -> ReusedModelQuality:
    """Record that a reused model could not be measured."""
    return ReusedModelQuality(people, sentence, None, None, None)


def recalibrated(ensemble: EnsembleWeights, unseen: UnseenOutputs) -> EnsembleWeights:
    """The ``ensemble`` with a calibration from the ``unseen`` people."""
    raw = ensemble.raw_intervals(unseen.outputs)
    made = calibrate(raw, unseen.age, ensemble.whole_years(raw.point_age), ensemble.coverage)
    return replace(ensemble, calibration=made)


def correction_record(calibration: Calibration) -> IntervalCorrection:
    """The ``calibration`` as a record."""
    return IntervalCorrection(
        calibration.missing_threshold,
        list(calibration.years),
        list(calibration.by_cell),
        list(calibration.width_edges),
        list(calibration.by_width),
    )


def corrected_bundle(bundle: Bundle, correction: IntervalCorrection | None) -> Bundle:
    """The ``bundle`` with a run's ``correction`` of its intervals, if there is one."""
    if correction is None:
        return bundle
    c = correction
    calibration = Calibration(c.few, tuple(c.years), tuple(c.by_cell), tuple(c.width_edges), tuple(c.by_width))
    return replace(bundle, ensemble=replace(bundle.ensemble, calibration=calibration))


def _changed(now: Quality, then: Quality, coverage: float) -> bool:
    """Whether coverage or error differ from what was promised, beyond doubt."""
    variance = coverage * (1 - coverage)
    coverage_doubt = sqrt(variance / now.rows + variance / max(then.rows, 1))
    error_doubt = hypot(now.mae_doubt, then.mae_doubt)
    return abs(now.coverage - coverage) > BEYOND_DOUBT * coverage_doubt or abs(now.mae - then.mae) > BEYOND_DOUBT * error_doubt


def _cross_corrected(ensemble: EnsembleWeights, unseen: UnseenOutputs) -> Predictions:
    """Predictions with a correction from other people than those whom it is applied to."""
    part_of = np.arange(len(unseen.age)) % PARTS
    pieces = [
        recalibrated(ensemble, unseen.only(part_of != part)).predict(unseen.only(part_of == part).outputs) for part in range(PARTS)
    ]
    return in_order(pieces, part_of)


def in_order(pieces: list[Predictions], part_of: NDArray[np.int64]) -> Predictions:
    """Predictions of all people (n,) in their order, from those of each part; ``part_of`` (n,) numbers the parts from 0."""
    order = np.argsort(np.argsort(part_of, kind="stable"))
    return Predictions(*(np.concatenate([getattr(made, f.name) for made in pieces])[order] for f in fields(Predictions)))


def _metrics(ensemble: EnsembleWeights, unseen: UnseenOutputs, predictions: Predictions, trained: Metrics) -> Metrics:
    return held_out_metrics(
        ensemble,
        unseen,
        predictions,
        float(np.median(unseen.age)),
        importance=trained.importance,
        missing=trained.missing,
        rows=replace(trained.rows, held_out=len(unseen.age), turns=1),
        refit_rows=trained.refit_rows,
    )
