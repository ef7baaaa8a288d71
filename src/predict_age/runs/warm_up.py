"""Worker warm-up, done while a worker is idle, so that its first batch takes no longer than the others."""

from __future__ import annotations

from pathlib import Path

from predict_age.config import SourceConfig
from predict_age.features.extract import extract_features
from predict_age.kernels import prepare_kernels
from predict_age.models.artifact import load_model
from predict_age.source.row_group_reader import CACHE_CHUNK_BYTES, Split, read_split
from predict_age.source.row_rules import RowRules, connect


def warm_up(model: Path, model_sha256: str, split: Split, source: SourceConfig, rules: RowRules) -> None:
    """Worker warm-up: load the model, compile its trees, prime the value cache with people of ``split`` to be predicted."""
    bundle, _ = load_model(model, model_sha256)
    prepare_kernels(split.rows)
    first = next(read_split(split, source, with_profile=True, most_bytes=CACHE_CHUNK_BYTES)).raw
    needed = rules.canonical(connect(), first, ("needs_prediction",))["needs_prediction"]
    profiles = first["profile"].filter(needed)
    bundle.predict(bundle.encoders.encode(extract_features(connect(), profiles, bundle.features.text, rules.as_of).columns))
