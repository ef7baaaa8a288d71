"""Examples of requests that a server answers, for its OpenAPI document."""

from __future__ import annotations

import json

from predict_age.features.fast_columns import fixed_path, minimal_profile
from predict_age.features.spec import Date, FeatureSet, Number, Ordered
from predict_age.serving.openapi import Examples, openapi_document
from predict_age.serving.served_model import ServedModel
from predict_age.version import __version__


def document_of(served: ServedModel | None, wants_key: bool) -> dict[str, object]:
    """The API with examples for what is ``served``; where a key is wanted, without a word of the workspace."""
    if served is None or wants_key:
        return openapi_document(__version__, Examples())
    return openapi_document(__version__, Examples(example_profile(served.predictor.bundle.features), served.people.ids == "text"))


def example_profile(features: FeatureSet) -> dict[str, object]:
    """A profile with a value for the first number, date or rank among the features; empty where there is none."""
    for feature in features.features.values():
        steps = fixed_path(feature)
        value: object = None
        if isinstance(feature, Number):
            value = round(min(max(12.0, feature.min), feature.max) / feature.scale)
        elif isinstance(feature, Date):
            value = "2012-06-01"
        elif isinstance(feature, Ordered):
            value = feature.levels[-1] if isinstance(feature.levels[-1], str) else feature.levels[-1][0]
        if steps and value is not None:
            made: dict[str, object] = json.loads(minimal_profile(steps, json.dumps(value)))
            return made
    return {}
