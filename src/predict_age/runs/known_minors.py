"""The frequency of minors in a run, by those whose age its sources know."""

from __future__ import annotations

import numpy as np

from predict_age.config import AgesConfig
from predict_age.models.age_weights import known_by_age
from predict_age.models.delivery import TrainedModels
from predict_age.models.withholding import minors_by_ages, minors_rate, rate_of_reused
from predict_age.records.model_quality import MinorsRate
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.tally import fold_tails


def rate_in_training(trained: TrainedModels, source: ReadSourceFacts, ages: AgesConfig) -> MinorsRate | None:
    """The rate for models that this run trained; None where nobody is withheld."""
    limit = ages.min_age
    if not limit:
        return None
    known_ages = fold_tails(np.rint(known_by_age(trained.people.age, source.labelled)).astype(int).tolist())
    by_ages = minors_by_ages(limit, ages.youngest, known_ages)
    return minors_rate(limit, trained.suggested_minors, source.labelled, _known(source), by_ages)


def rate_in_reuse(before: MinorsRate | None, source: ReadSourceFacts, ages: AgesConfig) -> MinorsRate | None:
    """The rate for models of another run, in which it was ``before``. Without known ages of its own a run keeps that one."""
    if not source.known:
        return before
    by_ages = minors_by_ages(ages.min_age, ages.youngest, source.known_ages)
    return rate_of_reused(before, ages.min_age, source.known, source.near_limit or 0, by_ages)


def _known(source: ReadSourceFacts) -> int:
    """Known minors near the limit, of the training source where there is one; 5 stands for 5 to 19, 0 for fewer."""
    return (source.training_near_limit if source.training else source.near_limit) or 0
