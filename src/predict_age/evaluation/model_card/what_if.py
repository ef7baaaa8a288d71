"""Error and coverage among people who are older or younger than those whose age is known."""

from __future__ import annotations

import numpy as np

from predict_age.arrays import Float64Array
from predict_age.evaluation.model_card.contents import AgeWhatIf
from predict_age.models.age_weights import effective_count
from predict_age.models.held_out import HeldOutPredictions
from predict_age.models.metrics import weighted_metrics

SHIFTS_YEARS = (-10.0, -5.0, 5.0, 10.0)
MIN_EFFECTIVE = 50.0  # people; fewer would say nothing
MAX_TILT = 6.0
BISECTIONS = 50


def older_or_younger(held_out: HeldOutPredictions) -> list[AgeWhatIf]:
    """Quality if the people to predict were older by some years on average; shifts that too few people could show are left out.

    The ages of the held-out people are tilted: each person counts exp(t x age), with the t that moves the mean age as wanted.
    """
    predictions, rows = held_out.predictions, []
    if len(held_out.age) < MIN_EFFECTIVE or held_out.age.std() == 0:
        return []
    for years in SHIFTS_YEARS:
        weights = tilted(held_out.age, years)
        if weights is None or effective_count(weights) < MIN_EFFECTIVE:
            continue
        measured = weighted_metrics(held_out.age, predictions.age, predictions.lower, predictions.upper, weights)
        rows.append(AgeWhatIf(years, effective_count(weights), **measured))
    return rows


def tilted(age: Float64Array, years: float) -> Float64Array | None:
    """Weights (n,), exp(t x age), with which the mean of ``age`` (n,) is ``years`` higher; None where no t up to 6 reaches it."""
    scaled = (age - age.mean()) / age.std()
    low, high = -MAX_TILT, MAX_TILT

    def moved(tilt: float) -> float:
        return float(np.average(age, weights=_weights(scaled, tilt))) - float(age.mean())

    if not moved(low) <= years <= moved(high):
        return None
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if moved(middle) < years else (low, middle)
    return _weights(scaled, (low + high) / 2)


def _weights(scaled: Float64Array, tilt: float) -> Float64Array:
    exponents = tilt * scaled
    return np.exp(exponents - exponents.max())
