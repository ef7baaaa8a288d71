"""Predictions for people whom no member was trained on, and the metrics that they give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from predict_age.features.encode import Matrix
from predict_age.models.age_cells import age_cells
from predict_age.models.age_distribution import Probabilities
from predict_age.models.bundle import (
    MEMBERS,
    Bundle,
    EnsembleWeights,
    MemberOutputs,
    Predictions,
)
from predict_age.models.metrics import (
    errors_by_confidence,
    errors_fall_with_confidence,
    evaluate,
    gain_by_band,
    interval_quality,
    metrics_by_band,
    paired_gain,
    point_errors,
)
from predict_age.records.model_quality import MemberQuality, Metrics, PairedGain, TrainingRows

PREDICTION_CHUNK_ROWS = 16_384  # rows


@dataclass(frozen=True)
class HeldOutPredictions:
    """Predictions for m people of known ``age`` (m,), years, by models that were not trained on them.

    ``rows`` (m,): their numbers in the sample; ``missing_count`` (m,): number of features without a value; ``ridge`` (m,):
    ages that Ridge predicts, whole years; ``median``: the median of all known ages. ``withheld_age``: ages of the others, who would
    be withheld.
    """

    rows: NDArray[np.int64]
    age: NDArray[np.float64]
    predictions: Predictions
    missing_count: NDArray[np.int64]
    ridge: NDArray[np.float64]
    median: float
    withheld_age: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def gain_over_median(self) -> PairedGain:
        """Gain of the model over the constant median."""
        return paired_gain(self.age, self.predictions.age, np.full(len(self.age), self.median))

    @property
    def gain_by_band(self) -> dict[str, PairedGain]:
        """Gain of the model over the constant median in each band of true age."""
        return gain_by_band(self.age, self.predictions.age, np.full(len(self.age), self.median))

    @property
    def ridge_gain_by_band(self) -> dict[str, PairedGain]:
        """Gain of the model over Ridge in each band of true age.

        Ridge leans to the mean, which many old people raise, and the model to the median. So Ridge is centred first: half of the
        people are older than it says.
        """
        return gain_by_band(self.age, self.predictions.age, self.ridge + np.median(self.age - self.ridge))

    @property
    def gain_over_ridge(self) -> PairedGain:
        """Gain of the model over Ridge."""
        return paired_gain(self.age, self.predictions.age, self.ridge)


@dataclass(frozen=True)
class UnseenOutputs:
    """Outputs of all models for people whom they were not trained on, and the people's ages (n,), years."""

    outputs: MemberOutputs
    age: NDArray[np.float64]
    ridge: NDArray[np.float64]

    @classmethod
    def of(cls, bundle: Bundle, matrix: Matrix, age: NDArray[np.float32], threads: int) -> UnseenOutputs:
        """Outputs of all models of ``bundle``, computed in chunks by several threads."""

        def ask(rows: slice) -> UnseenOutputs:
            return cls(
                bundle.member_outputs(matrix[rows], all_members=True),
                age[rows].astype(np.float64),
                bundle.ridge.predict(matrix[rows]),
            )

        pieces = [slice(n, n + PREDICTION_CHUNK_ROWS) for n in range(0, max(1, len(matrix)), PREDICTION_CHUNK_ROWS)]
        with ThreadPoolExecutor(threads) as pool:
            try:
                return cls.all_of(list(pool.map(ask, pieces)))
            except BaseException:  # Ctrl-C or a time limit: drop the remaining chunks
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @classmethod
    def all_of(cls, several: list[UnseenOutputs]) -> UnseenOutputs:
        """Concatenate the outputs of several groups of people."""
        outputs = MemberOutputs(*(np.concatenate([getattr(o.outputs, f.name) for o in several]) for f in fields(MemberOutputs)))
        return cls(outputs, np.concatenate([o.age for o in several]), np.concatenate([o.ridge for o in several]))

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> UnseenOutputs:
        """Outputs for the ``chosen`` people alone: a mask (n,), or their places (m,)."""
        return UnseenOutputs(self.outputs.only(chosen), self.age[chosen], self.ridge[chosen])


@dataclass(frozen=True)
class UnseenMembers:
    """Outputs of all models for n people whom they were not trained on, before the models are weighed.

    ``rows`` (n,): the people's numbers in the sample; ``age`` (n,), years; ``points`` (n, 4) in the order of MEMBERS; ``network``
    and ``forest`` (n, n_ages): distributions of the age; ``missing_count`` (n,): features without a value; ``ridge`` (n,).
    """

    rows: NDArray[np.int64]
    age: NDArray[np.float64]
    points: NDArray[np.float64]
    network: Probabilities
    forest: Probabilities
    missing_count: NDArray[np.int64]
    ridge: NDArray[np.float64]

    @classmethod
    def of(cls, bundle: Bundle, matrix: Matrix, rows: NDArray[np.int64], age: NDArray[np.float32]) -> UnseenMembers:
        """Outputs of all models of ``bundle`` for the people ``rows`` (n,) of ``matrix`` and ``age``, those of the sample."""
        chosen = matrix[rows]
        points, network, forest, _ = bundle.evaluate_members(chosen, all_members=True)
        assert network is not None and forest is not None
        missing_count = np.isnan(chosen).sum(axis=1)
        return cls(rows, age[rows].astype(np.float64), points, network, forest, missing_count, bundle.ridge.predict(chosen))

    @classmethod
    def all_of(cls, several: list[UnseenMembers]) -> UnseenMembers:
        """Concatenate the outputs of several groups of people."""
        return cls(*(np.concatenate([getattr(some, f.name) for some in several]) for f in fields(cls)))

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> UnseenMembers:
        """Outputs for the ``chosen`` people alone: a mask (n,), or their places (m,)."""
        return UnseenMembers(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def outputs(self, ensemble: EnsembleWeights) -> MemberOutputs:
        """Member outputs whose distribution is mixed by ``ensemble``."""
        return ensemble.outputs(self.points, self.network, self.forest, self.missing_count)


def held_out_metrics(
    ensemble: EnsembleWeights,
    unseen_outputs: UnseenOutputs,
    predictions: Predictions,
    median: float,
    *,
    importance: dict[str, float],
    missing: dict[str, float],
    rows: TrainingRows,
    refit_rows: int,
) -> Metrics:
    """Metrics of ``predictions`` for held-out people of known age; ``median``: of the known ages, as a baseline."""
    outputs, truth = unseen_outputs.outputs, unseen_outputs.age
    steps = errors_by_confidence(predictions, truth)
    members = [
        MemberQuality(name, weight, **vars(point_errors(truth, ensemble.whole_years(outputs.points[:, i]))))
        for i, (name, weight) in enumerate(zip(MEMBERS, ensemble.weights, strict=True))
    ]
    return Metrics(
        held_out=evaluate(truth, predictions.age, predictions.lower, predictions.upper),
        by_band=metrics_by_band(truth, predictions.age, predictions.lower, predictions.upper),
        by_predicted_band=metrics_by_band(truth, predictions.age, predictions.lower, predictions.upper, of=predictions.age),
        members=members,
        ridge=point_errors(truth, ensemble.whole_years(unseen_outputs.ridge)),
        median=point_errors(truth, np.full(len(truth), median)),
        uncalibrated=interval_quality(truth, outputs.interval_quantiles[:, 0], outputs.interval_quantiles[:, 2]),
        network_share=ensemble.network_share,
        widen_years=ensemble.calibration.mean_years(ensemble.raw_intervals(outputs)),
        by_confidence=steps,
        confidence_is_monotone=errors_fall_with_confidence(steps),
        importance=importance,
        missing=missing,
        rows=rows,
        refit_rows=refit_rows,
        age_cells=age_cells(truth, predictions.age),
        residual_share=ensemble.residual_share,
    )
