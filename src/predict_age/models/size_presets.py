"""Settings for the number of people: they replace defaults.

Few people need small trees and small steps; many people could use them, too, but would wait. Measured in ADR 2 (the forest) and 13.
"""

from __future__ import annotations

from collections.abc import Mapping

from predict_age.config import TrainingConfig

FEW_PEOPLE, SOME_PEOPLE = 3_000, 30_000
FOR_FEW: Mapping[str, float] = {
    "light_leaves": 8,
    "light_learning_rate": 0.03,
    "light_rounds": 800,
    "max_depth": 4,
    "learning_rate": 0.04,
    "rounds": 600,
    "min_leaf_rows": 8,
    "forest_leaf_rows": 8,
    "networks": 6,
}
FOR_SOME: Mapping[str, float] = {
    "light_learning_rate": 0.03,
    "light_rounds": 800,
    "learning_rate": 0.04,
    "rounds": 700,
    "forest_trees": 60,
    "forest_depth": 16,
    "forest_leaf_rows": 5,
    "networks": 6,
    "network_width": 64,
}


def for_people(settings: TrainingConfig, people: int) -> TrainingConfig:
    """``settings`` for so many people of known age: values other than the defaults stay."""
    if not settings.size_presets:
        return settings
    preset = FOR_FEW if people < FEW_PEOPLE else FOR_SOME if people < SOME_PEOPLE else {}
    defaults = TrainingConfig.model_fields
    return settings.model_copy(update={k: v for k, v in preset.items() if getattr(settings, k) == defaults[k].default})
