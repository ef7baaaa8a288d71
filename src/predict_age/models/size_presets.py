"""Settings for the number of people, which replace defaults, and for the number of columns.

Few people need small trees and small steps; many people could use them, too, but would wait. Measured in ADR 2 (the forest) and 13.
"""

from __future__ import annotations

from collections.abc import Mapping

from predict_age.config import TrainingConfig

FEWEST_PEOPLE, FEW_PEOPLE, SOME_PEOPLE = 1_000, 3_000, 30_000
ENOUGH_COLUMNS = 10  # that a tree may split; ADR 13
FOR_FEWEST: Mapping[str, float] = {
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
FOR_FEW: Mapping[str, float] = {**FOR_FEWEST, "networks": 16, "network_passes": 16, "network_sharing": True}
FOR_SOME: Mapping[str, float] = {
    "light_learning_rate": 0.03,
    "light_rounds": 800,
    "learning_rate": 0.04,
    "rounds": 700,
    "forest_trees": 60,
    "forest_depth": 16,
    "forest_leaf_rows": 5,
    "networks": 8,
    "network_width": 64,
    "network_passes": 16,
    "network_decay": 1.0,
    "network_sharing": True,
}


def for_people(settings: TrainingConfig, people: int) -> TrainingConfig:
    """``settings`` for so many people of known age: values other than the defaults stay."""
    if not settings.size_presets:
        return settings
    limits: tuple[tuple[int, Mapping[str, float]], ...]
    limits = ((FEWEST_PEOPLE, FOR_FEWEST), (FEW_PEOPLE, FOR_FEW), (SOME_PEOPLE, FOR_SOME))
    preset = next((preset for below, preset in limits if people < below), {})
    defaults = TrainingConfig.model_fields
    return settings.model_copy(update={k: v for k, v in preset.items() if getattr(settings, k) == defaults[k].default})


def share_of_columns(share: float, columns: int) -> float:
    """Share of the ``columns`` that each tree may split: ``share`` of many, at least ENOUGH_COLUMNS of fewer.

    A random choice among many columns makes trees differ, which lowers the error of their sum. Among few columns it takes away the
    one that matters, or one of two that only together say something.
    """
    return min(1.0, max(share, ENOUGH_COLUMNS / columns))
