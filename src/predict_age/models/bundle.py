"""The trained models together: one matrix in, one prediction a row out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config, Training
from predict_age.errors import IntegrityError
from predict_age.features.encode import Encoders, Matrix, defaults, learn_encoders
from predict_age.features.spec import FeatureSet
from predict_age.models.boosted import Boosted, importance, train_boosted
from predict_age.models.conformal import NO_CALIBRATION, Calibration, calibrate
from predict_age.models.density import Shares, quantiles
from predict_age.models.ensemble import mixed, network_share, point_weights
from predict_age.models.evaluate import by_band, evaluate, interval_quality, point_errors
from predict_age.models.forest import QuantileForest, train_forest
from predict_age.models.light import Light, train_light
from predict_age.models.network import Network, train_network
from predict_age.models.ridge import RidgeModel, train_ridge
from predict_age.source.scan import uniform

YEARS_PER_PERCENT = 3.33
FIT, CALIBRATE, HELD_OUT, VALIDATE = 0, 1, 2, 3
MEMBERS = ("xgboost", "lightgbm", "network")
COSTS = (5.0, 8.0, 1.0)  # of evaluating a member for a row, roughly
MOST_JUDGES = 20_000  # more rows to calibrate or to validate would decide nothing better; fewer to learn from would


ASKED_AT_ONCE = 16_384  # rows
PARTS = 100  # of a year, in which ends of intervals are given


@dataclass(frozen=True)
class Predictions:
    """For n rows: ``age`` (whole years, inside the window), ``lower`` <= age <= ``upper`` (years); width = upper - lower.

    Ends and width are whole hundredths of a year: finer ones would say nothing, and fill most of the disk.
    """

    age: NDArray[np.int32]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @property
    def width(self) -> NDArray[np.float64]:
        """The document's confidence_score: the length of the interval in years; larger is less certain."""
        result: NDArray[np.float64] = np.round(self.upper - self.lower, 2)
        return result


def confidence_pct(width: NDArray[np.float64]) -> NDArray[np.float64]:
    """The document's percentage: 100 - 3.33 for each year of interval, inside 0..100."""
    result: NDArray[np.float64] = np.clip(100 - YEARS_PER_PERCENT * np.abs(width), 0, 100)
    return result


def with_point(matrix: Matrix, raw: NDArray[np.float32]) -> Matrix:
    """The forest's matrix: all features and, as the last column, the boosted trees' unrounded prediction."""
    return np.column_stack([matrix, raw])


@dataclass(frozen=True)
class Seen:
    """What the models say about n rows, years: ``points`` (n, 3) in the order of MEMBERS; ``ends`` (n, 3), the lower end,
    median and upper end of the distribution, not calibrated; and ``unknown`` (n,), the number of features without a value.
    """

    points: NDArray[np.float64]
    ends: NDArray[np.float64]
    unknown: NDArray[np.int64]


@dataclass(frozen=True)
class Blend:
    """How what the models say becomes a prediction.

    ``weights`` are those of MEMBERS, ``share`` the network's in the distribution that the interval is read from.
    """

    weights: tuple[float, ...]
    share: float
    calibration: Calibration
    coverage: float
    youngest: int
    oldest: int

    def levels(self) -> tuple[float, float, float]:
        """Of the interval's ends and the median between them."""
        tail = (1 - self.coverage) / 2
        return tail, 0.5, 1 - tail

    def point(self, seen: Seen) -> NDArray[np.float64]:
        """The ensemble's unrounded age (n,)."""
        return seen.points @ np.array(self.weights)

    def whole(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Whole years inside the age window."""
        return np.clip(np.floor(point + 0.5), self.youngest, self.oldest)

    def interval(self, seen: Seen) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The calibrated interval alone, never crossed, inside the age window."""
        widen = self.calibration.widen(seen.unknown, self.point(seen))
        middle = seen.ends[:, 1]
        lower = np.clip(np.minimum(seen.ends[:, 0] - widen, middle), self.youngest, self.oldest)
        upper = np.clip(np.maximum(seen.ends[:, 2] + widen, middle), self.youngest, self.oldest)
        return lower, upper

    def predict(self, seen: Seen) -> Predictions:
        """Point by the ensemble, interval by the calibrated distribution, widened where needed to contain the point.

        Ends are rounded outwards, so that rounding takes no coverage away.
        """
        age = self.whole(self.point(seen))
        lower, upper = self.interval(seen)
        lower, upper = np.floor(np.minimum(lower, age) * PARTS) / PARTS, np.ceil(np.maximum(upper, age) * PARTS) / PARTS
        return Predictions(age.astype(np.int32), lower, upper)


@dataclass(frozen=True)
class Bundle:
    """Everything that prediction needs."""

    features: FeatureSet
    encoders: Encoders
    ridge: RidgeModel
    boosted: Boosted
    light: Light
    network: Network
    forest: QuantileForest
    blend: Blend

    def predict(self, matrix: Matrix) -> Predictions:
        """Predict (n_rows, n_features), NaN = unknown. Raises IntegrityError when a model gives NaN or infinity."""
        return self.blend.predict(self.see(matrix))

    def see(self, matrix: Matrix, everything: bool = False) -> Seen:
        """What the models say; those without weight are only asked for ``everything``."""
        points, network, forest = self.evaluated(matrix, everything)
        ends = quantiles(mixed(network, forest, self.blend.share), self.blend.youngest, self.blend.levels())
        return Seen(points, ends, np.isnan(matrix).sum(axis=1))

    def evaluated(self, matrix: Matrix, everything: bool) -> tuple[NDArray[np.float64], Shares | None, Shares | None]:
        """The members' points (n, 3), 0 where a member was not asked, and the distributions (n, ages) of network and forest."""
        weights = self.blend.weights
        points = np.zeros((len(matrix), len(MEMBERS)))
        network = forest = None
        if everything or weights[2] or self.blend.share > 0:
            network = self.network.distribution(matrix)
            _check_finite(network)
            points[:, 2] = quantiles(network, self.blend.youngest, (0.5,))[:, 0]
        needs_forest = everything or self.blend.share < 1
        if needs_forest or weights[0]:
            points[:, 0] = self.boosted.predict(matrix)
        if everything or weights[1]:
            points[:, 1] = self.light.predict(matrix)
        _check_finite(points)
        if needs_forest:
            forest = self.forest.distribution(with_point(matrix, points[:, 0].astype(np.float32)))
            _check_finite(forest)
        return points, network, forest


def _check_finite(*predicted: NDArray[Any]) -> None:
    if not all(np.isfinite(p).all() for p in predicted):
        raise IntegrityError(
            "the model predicts something that is no number", expected="finite ages", found="NaN or infinity",
            fix="train a new model: run without --base",
        )  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """Predictions for m people of known ``age`` (m,) by models that did not learn from them; ``rows`` (m,) of the sample.

    ``unknown`` (m,) counts their features without a value.
    """

    rows: NDArray[np.int64]
    age: NDArray[np.float64]
    made: Predictions
    unknown: NDArray[np.int64]


@dataclass(frozen=True)
class _Outside:
    """What models say about people whom they did not learn from."""

    seen: Seen
    age: NDArray[np.float64]
    ridge: NDArray[np.float64]

    @classmethod
    def of(cls, bundle: Bundle, matrix: Matrix, age: NDArray[np.float32], threads: int) -> _Outside:
        """What all models of ``bundle`` say, asked by several threads for some of the people each."""

        def ask(some: slice) -> _Outside:
            return cls(bundle.see(matrix[some], everything=True), age[some].astype(np.float64), bundle.ridge.predict(matrix[some]))

        pieces = [slice(n, n + ASKED_AT_ONCE) for n in range(0, max(1, len(matrix)), ASKED_AT_ONCE)]
        with ThreadPoolExecutor(threads) as pool:
            try:
                return cls.all_of(list(pool.map(ask, pieces)))
            except BaseException:  # Ctrl-C, a time limit: nobody wants the rest
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @classmethod
    def all_of(cls, some: list[_Outside]) -> _Outside:
        seen = Seen(*(np.concatenate([getattr(o.seen, f.name) for o in some]) for f in fields(Seen)))
        return cls(seen, np.concatenate([o.age for o in some]), np.concatenate([o.ridge for o in some]))


def train(
    features: FeatureSet, columns: pa.Table, age: NDArray[np.float32], lucky: NDArray[np.float64], config: Config, threads: int
) -> tuple[Bundle, dict[str, object], Judged]:
    """Train, choose, calibrate, judge. ``columns``: feature table (n rows), ``age`` (n,) whole years, ``lucky`` (n,) in [0, 1).

    By luck each row is one of FIT (learned from), VALIDATE (decides when boosting stops and how members are weighted), CALIBRATE
    (corrects the interval) or HELD_OUT (judges). With fewer than ``cross_fit_below_rows`` rows this is done in turns until
    everybody was held out once, since few judges would judge badly. With fewer than ``refit_below_rows`` the models are trained
    again on all rows, with what was chosen: they know more than the models that were judged. Returns the bundle,
    all metrics, and the predictions that they were taken from.
    """
    settings = config.training
    turns = round(1 / settings.test_share) if len(age) < settings.cross_fit_below_rows else 1
    bundles, calibrating, judging, rows = [], [], [], []
    for turn in range(turns):
        part = parts(lucky, settings, turn / turns)
        bundle, matrix = _learn(features, columns, age, part == FIT, part == VALIDATE, config, threads)
        bundles.append(bundle)
        calibrating.append(_Outside.of(bundle, matrix[part == CALIBRATE], age[part == CALIBRATE], threads))
        judging.append(_Outside.of(bundle, matrix[part == HELD_OUT], age[part == HELD_OUT], threads))
        rows.append(np.flatnonzero(part == HELD_OUT))
    blend = replace(
        bundle.blend,
        weights=tuple(np.mean([b.blend.weights for b in bundles], axis=0).tolist()),
        share=float(np.mean([b.blend.share for b in bundles])),
    )
    outside = _Outside.all_of(calibrating)
    ends = outside.seen.ends
    calibration = calibrate(outside.seen.unknown, blend.point(outside.seen), ends[:, 0], ends[:, 2], outside.age, settings.coverage)
    bundle = replace(bundle, blend=replace(blend, calibration=calibration))
    held_out = _Outside.all_of(judging)
    made = bundle.blend.predict(held_out.seen)
    judged = Judged(np.concatenate(rows), held_out.age, made, held_out.seen.unknown)
    metrics = _judge(bundle.blend, held_out, made, float(np.median(age)))
    missing = np.isnan(matrix).mean(axis=0)
    metrics |= {
        "importance": importance(bundle.boosted),
        "missing": dict(zip(features.names, missing.tolist(), strict=True)),
        "rows": {"learned_from": int((part == FIT).sum()), "held_out": sum(len(o.age) for o in judging), "turns": turns},
    }
    metrics["refit_rows"] = len(age) if len(age) < settings.refit_below_rows else 0
    if metrics["refit_rows"]:
        rounds = [(b.boosted.rounds, b.light.booster.num_trees()) for b in bundles]
        boosted, light = (max(1, int(n)) for n in np.median(rounds, axis=0))
        again = config.model_copy(update={"training": settings.model_copy(update={"rounds": boosted, "light_rounds": light})})
        nobody = np.zeros(len(age), np.bool_)
        full, _ = _learn(features, columns, age, ~nobody, nobody, again, threads)
        bundle = replace(full, blend=bundle.blend)
    return bundle, metrics, judged


def parts(lucky: NDArray[np.float64], settings: Training, turn: float = 0.0) -> NDArray[np.int8]:
    """FIT, CALIBRATE, HELD_OUT or VALIDATE for each sampled row (n,), by further bits of its luck: independent of other rows.

    ``turn`` (0..1) turns the wheel: over 1 / test_share even turns everybody is held out once.
    """
    place = (uniform((lucky * 2.0**53).astype(np.int64) ^ np.int64(0x5DEECE66D)) + turn) % 1.0
    most = MOST_JUDGES / max(len(lucky), 1)
    calibrated = settings.test_share + min(settings.calibration_share, most)
    result = np.full(len(lucky), FIT, np.int8)
    result[place < calibrated + min(settings.validation_share, most)] = VALIDATE
    result[place < calibrated] = CALIBRATE
    result[place < settings.test_share] = HELD_OUT
    return result


def _learn(
    features: FeatureSet, columns: pa.Table, age: NDArray[np.float32], fit: NDArray[np.bool_], validate: NDArray[np.bool_],
    config: Config, threads: int,
) -> tuple[Bundle, Matrix]:  # fmt: skip
    """All models, from the rows ``fit``; stopping and weights by the rows ``validate``. The interval is not calibrated yet.

    The forest sees XGBoost's prediction as one more feature: for its training rows that prediction comes from two boosters
    that did not see them (two folds, a third of the rounds). Returns the matrix of all rows, too.
    """
    settings = config.training
    encoders = learn_encoders(features, columns.filter(pa.array(fit)), age[fit])
    matrix = encoders.encode(columns)
    known, ages = matrix[fit], age[fit]
    unseen = (matrix[validate], age[validate])
    youngest, oldest = config.ages.min, config.ages.max
    boosted = train_boosted(known, ages, features.names, settings, threads, unseen)
    others = _cross_fitted(known, ages, features.names, settings, threads)
    bundle = Bundle(
        features, encoders, train_ridge(known, ages, defaults(features, encoders)), boosted,
        train_light(known, ages, features.names, settings, threads, unseen),
        train_network(known, ages, youngest, oldest, settings, threads),
        train_forest(with_point(known, others), ages, youngest, oldest, settings, threads),
        Blend((1 / len(MEMBERS),) * len(MEMBERS), 0.5, NO_CALIBRATION, settings.coverage, youngest, oldest),
    )  # fmt: skip
    points, network, forest = bundle.evaluated(unseen[0], everything=True)
    assert network is not None and forest is not None
    low, _, high = bundle.blend.levels()
    allowed = np.array([name in settings.members for name in MEMBERS])
    blend = replace(
        bundle.blend,
        weights=tuple(point_weights(points, unseen[1], COSTS, settings.worth, allowed).tolist()),
        share=network_share(network, forest, youngest, (low, high), unseen[1], settings.worth) if allowed[2] else 0.0,
    )
    return replace(bundle, blend=blend), matrix


def _cross_fitted(
    matrix: Matrix, age: NDArray[np.float32], names: list[str], settings: Training, threads: int
) -> NDArray[np.float32]:
    """Boosted predictions (n,) for rows that the predicting booster has not seen: two folds, even and odd rows."""
    result = np.empty(len(age), np.float32)
    quick = settings.model_copy(
        update={"rounds": max(1, settings.rounds // 3), "learning_rate": min(1.0, settings.learning_rate * 2.5)}
    )
    fold = np.arange(len(age)) % 2 == 0
    for rows in (fold, ~fold):
        result[~rows] = train_boosted(matrix[rows], age[rows], names, quick, threads).predict(matrix[~rows])
    return result


def _judge(blend: Blend, outside: _Outside, made: Predictions, median: float) -> dict[str, object]:
    """All that can be said about predictions for people with a known age whom no model saw; ``median`` of the known ages."""
    seen, truth = outside.seen, outside.age
    shown = np.sort(np.random.default_rng(0).permutation(len(truth))[:3000])
    by_confidence = _by_confidence(made, truth)
    members = [
        {"name": name, "weight": weight, **point_errors(truth, blend.whole(seen.points[:, i]))}
        for i, (name, weight) in enumerate(zip(MEMBERS, blend.weights, strict=True))
    ]
    return {
        "held_out": evaluate(truth, made.age, made.lower, made.upper),
        "by_band": by_band(truth, made.age, made.lower, made.upper),
        "by_predicted_band": by_band(truth, made.age, made.lower, made.upper, of=made.age),
        "members": members,
        "ridge": point_errors(truth, blend.whole(outside.ridge)),
        "median": point_errors(truth, np.full(len(truth), median)),
        "uncalibrated": interval_quality(truth, seen.ends[:, 0], seen.ends[:, 2]),
        "network_share": blend.share,
        "widen_years": list(blend.calibration.years),
        "by_confidence": by_confidence,
        "confidence_is_monotone": monotone(by_confidence),
        "sample": {"true": truth[shown].astype(int).tolist(), "predicted": made.age[shown].tolist()},
    }


def _by_confidence(made: Predictions, truth: NDArray[np.float64]) -> list[dict[str, float]]:
    """Error by confidence_pct in steps of 10: what the percentage means in years."""
    pct = confidence_pct(made.width)
    rows = []
    for low in range(0, 100, 10):
        chosen = (pct >= low) & ((pct < low + 10) | (low == 90))
        if chosen.any():
            errors = np.abs(made.age[chosen] - truth[chosen])
            rows.append({
                "from": low, "rows": int(chosen.sum()), "mae": float(errors.mean()), "p90": float(np.quantile(errors, 0.9)),
                "doubt": float(errors.std() / np.sqrt(len(errors))),
            })  # fmt: skip
    return rows


def monotone(steps: list[dict[str, float]]) -> bool:
    """Whether no step of confidence has a larger error than the one before, by more than two standard errors of both."""
    return all(
        later["mae"] <= earlier["mae"] + 2 * float(np.hypot(later["doubt"], earlier["doubt"])) for earlier, later in pairwise(steps)
    )
