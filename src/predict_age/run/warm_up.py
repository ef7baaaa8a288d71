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
    """Worker warm-up: load the model, compile its trees, prime the value cache with the first few people of ``split``."""
    bundle, _ = load_model(model, model_sha256)
    prepare_kernels(split.rows)
    first = next(read_split(split, source, with_profile=True, with_ids=False, most_bytes=CACHE_CHUNK_BYTES))
    bundle.predict(
        bundle.encoders.encode(extract_features(connect(), first.raw["profile"], bundle.features.text, rules.as_of).columns)
    )
