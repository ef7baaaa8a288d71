"""Speeds of one core, measured by `make bench` (docs/performance.md says on which machine), and the times that follow from them."""

from __future__ import annotations

from itertools import pairwise

from predict_age.config import Config, TrainingConfig
from predict_age.models.size_presets import FEW_PEOPLE, SOME_PEOPLE

# Rows/s of one core; PREDICT_RATE is that of models of 30,000 people and more.
READ_RATE, CONVERT_RATE, PREDICT_RATE, MERGE_RATE = 990_000, 60_000, 112_000, 560_000
SLOWER_MODELS = 0.5  # factor of models of 3,000 to 30,000 people, which have more and wider networks and a finer forest
# People to train on, and seconds of processor time for all models, calibration and card; straight lines lie between. Up to 200,000
# people are predicted by models of other folds, so that few people cost nearly as much as many.
TRAINING_SECONDS = ((0, 1.0), (187, 14.0), (1_875, 69.0), (18_750, 138.0), (375_000, 170.0), (1_000_000, 270.0))
TRAINED_SIDE_BY_SIDE = 4  # workers at most that training can use


def training_people(rows: int, known_share: float, config: Config) -> int:
    """Number of people that a model is trained on, of ``rows`` of whom a share has a known age."""
    return min(round(rows * known_share), config.training.sample_rows)


def prediction_rate(people: int, settings: TrainingConfig) -> float:
    """Rows/s of one core with a model that was trained on so many ``people``."""
    is_slower = settings.size_presets and FEW_PEOPLE <= people < SOME_PEOPLE
    return PREDICT_RATE * SLOWER_MODELS if is_slower else PREDICT_RATE


def training_seconds(people: int, workers: int) -> float:
    """Seconds of the training on so many ``people``."""
    if not people:
        return 0.0
    for (fewer, less), (more, longer) in pairwise(TRAINING_SECONDS):
        if people <= more:
            return (less + (longer - less) * (people - fewer) / (more - fewer)) / min(workers, TRAINED_SIDE_BY_SIDE)
    return TRAINING_SECONDS[-1][1] * people / TRAINING_SECONDS[-1][0] / min(workers, TRAINED_SIDE_BY_SIDE)
