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

FURTHER_TREES: tuple[Mapping[str, int], ...] = (  # tried below FEW_PEOPLE
    {"light_leaves": 4, "max_depth": 2, "min_leaf_rows": 5},
    {"light_leaves": 16, "max_depth": 6, "min_leaf_rows": 5},
)


def for_people(settings: TrainingConfig, people: int) -> TrainingConfig:
    """``settings`` for so many people of known age: values other than the defaults stay."""
    if not settings.size_presets:
        return settings
    limits: tuple[tuple[int, Mapping[str, float]], ...]
    limits = ((FEWEST_PEOPLE, FOR_FEWEST), (FEW_PEOPLE, FOR_FEW), (SOME_PEOPLE, FOR_SOME))
    preset = next((preset for below, preset in limits if people < below), {})
    defaults = TrainingConfig.model_fields
    return settings.model_copy(update={k: v for k, v in preset.items() if getattr(settings, k) == defaults[k].default})


def tree_sizes(configured: TrainingConfig, settings: TrainingConfig, people: int) -> list[TrainingConfig]:
    """Settings to choose from, by the error in folds: ``settings``, which are those of so many people, and further sizes of trees.

    Only ``settings`` where the user ``configured`` a size, or no presets, or where there are too many people to try.
    """
    defaults = TrainingConfig.model_fields
    as_usual = all(getattr(configured, key) == defaults[key].default for key in FURTHER_TREES[0])
    if not configured.size_presets or not as_usual or people >= FEW_PEOPLE:
        return [settings]
    return [settings, *(settings.model_copy(update=size) for size in FURTHER_TREES)]


def share_of_columns(share: float, columns: int) -> float:
    """Share of the ``columns`` that each tree may split: ``share`` of many, at least ENOUGH_COLUMNS of fewer.

    A random choice among many columns makes trees differ, which lowers the error of their sum. Among few columns it takes away the
    one that matters, or one of two that only together say something.
    """
    return min(1.0, max(share, ENOUGH_COLUMNS / columns))
