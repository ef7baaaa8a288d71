"""Definitions of features as they are compared between runs."""

from __future__ import annotations

import hashlib

from predict_age.features.spec import FeatureSet

NO_DEFINITION = frozenset(["meaning", "unit", "may_be_absent"])  # keys that change no value


def definitions_of(features: FeatureSet) -> dict[str, str]:
    """Kind and hash of each feature by name: equal where the same profile gives the same value."""
    made = {}
    for name, feature in features.features.items():
        text = feature.model_dump_json(exclude=set(NO_DEFINITION))
        made[name] = f"{feature.kind} {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return made
