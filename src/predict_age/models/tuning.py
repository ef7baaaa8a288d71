"""Hyperparameter tuning within a time budget: random search (Bergstra and Bengio 2012), each member alone on validation rows."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config, TrainingConfig
from predict_age.features.encode import Matrix, fit_encoders
from predict_age.features.spec import FeatureSet
from predict_age.models.age_distribution import quantiles
from predict_age.models.density_network_training import train_network
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.size_presets import for_people
from predict_age.models.training import FIT, VALIDATE, assign_roles
from predict_age.models.xgb_model import train_xgboost

MAX_TUNING_ROWS = 60_000  # training rows of a candidate
SEARCH_SPACE: dict[str, dict[str, tuple[float, ...]]] = {
    "network": {"network_width": (24, 32, 48), "network_decay": (1.0, 2.0, 3.0, 4.5, 7.0), "network_passes": (8, 12, 18, 25)},
    "xgboost": {"max_depth": (4, 5, 6, 7, 8), "learning_rate": (0.03, 0.045, 0.06, 0.09)},
    "lightgbm": {"light_leaves": (15, 23, 31, 47, 63), "light_learning_rate": (0.03, 0.05, 0.08)},
}


@dataclass
class TuningResult:
    """Tuned settings, the number of candidates tried, and each member's error in years before and after."""

    minutes: float
    tried: int = 0
    settings: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "changed": len(self.settings)}

    def applied(self, config: Config, people: int) -> Config:
        """``config`` with the tuned settings, for so many people of known age."""
        configured = for_people(config.training, people).model_dump()
        settings = TrainingConfig.model_validate({**configured, "size_presets": False, **self.settings})
        return config.model_copy(update={"training": settings})


def tune(
    features: FeatureSet,
    columns: pa.Table,
    age: NDArray[np.float32],
    sampling_hashes: NDArray[np.float64],
    config: Config,
    threads: int,
) -> TuningResult:
    """Search for ``training.tune_minutes``: members take turns, the configured settings first, so that no member gets worse.

    A candidate that would probably exceed the time is not started. The number of candidates depends on the machine's speed.
    """
    settings = for_people(config.training, len(age))
    began = time.monotonic()
    budget = settings.tune_minutes * 60
    roles = assign_roles(sampling_hashes, settings)
    fit = np.flatnonzero(roles == FIT)[:MAX_TUNING_ROWS]
    encoders = fit_encoders(features, columns.take(pa.array(fit)), age[fit])
    matrix, names = encoders.encode(columns), encoders.column_names(features.names)
    fitting, validation = (matrix[fit], age[fit]), (matrix[roles == VALIDATE], age[roles == VALIDATE])
    network_columns = len(features) + encoders.list_columns
    result = TuningResult(settings.tune_minutes)
    rng = np.random.default_rng(settings.seed)
    slowest = dict.fromkeys(SEARCH_SPACE, 0.0)
    members = dict.fromkeys(SEARCH_SPACE)
    if not len(validation[1]):
        return result
    while members:
        for member in tuple(members):
            space = SEARCH_SPACE[member]
            drawn_settings = {k: v[int(rng.integers(len(v)))] for k, v in space.items()} if member in result.before else {}
            start = time.monotonic()
            if start - began + slowest[member] > budget:
                del members[member]
                continue
            candidate = settings.model_copy(update=drawn_settings)
            error = _member_error(member, fitting, validation, names, network_columns, candidate, config, threads)
            slowest[member] = max(slowest[member], time.monotonic() - start)
            result.tried += 1
            if member not in result.before:
                result.before[member] = result.after[member] = error
            elif error < result.after[member]:
                result.after[member] = error
                changed = {k: v for k, v in drawn_settings.items() if v != getattr(settings, k)}
                result.settings = {k: v for k, v in result.settings.items() if k not in space} | changed
    return result


def _member_error(
    member: str,
    fitting: tuple[Matrix, NDArray[np.float32]],
    validation: tuple[Matrix, NDArray[np.float32]],
    names: list[str],
    network_columns: int,
    settings: TrainingConfig,
    config: Config,
    threads: int,
) -> float:
    """Mean absolute error, years, of one member on ``validation`` rows; networks read the first ``network_columns`` only."""
    youngest, oldest = config.ages.youngest, config.ages.max
    predicted: NDArray[np.float64]
    if member == "xgboost":
        predicted = train_xgboost(*fitting, names, settings, threads, validation).predict(validation[0]).astype(np.float64)
    elif member == "lightgbm":
        predicted = train_lightgbm(*fitting, names, settings, threads, validation).predict(validation[0])
    else:
        network = train_network(fitting[0][:, :network_columns], fitting[1], youngest, oldest, settings)
        shares = network.distribution(validation[0][:, :network_columns])
        predicted = quantiles(shares, youngest, (0.5,))[:, 0]
    return float(np.abs(np.clip(predicted, youngest, oldest) - validation[1]).mean())
