"""Worker warm-up, done while a worker is idle, so that its first batch takes no longer than the others."""

from __future__ import annotations

from pathlib import Path

from predict_age.config import SourceConfig
from predict_age.features.extract import extract_features
from predict_age.kernels import MIN_KERNEL_ROWS, prepare_kernels
from predict_age.models.artifact import load_model
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.run import StepContext
from predict_age.runs.step_outputs import rules_of, training_splits_of
from predict_age.runs.withheld_people import age_keys_of_profiles
from predict_age.source.row_group_reader import CACHE_CHUNK_BYTES, Split, read_split
from predict_age.source.row_rules import RowRules, connect
from predict_age.storage.durable_files import file_sha256


def warm_up(model: Path, model_sha256: str, split: Split, source: SourceConfig, rules: RowRules) -> None:
    """Worker warm-up: load the model, compile its trees, prime the value cache with people of ``split`` to be predicted."""
    bundle, _ = load_model(model, model_sha256)
    prepare_kernels(split.rows)
    first = next(read_split(split, source, with_profile=True, most_bytes=CACHE_CHUNK_BYTES)).raw
    needed = rules.canonical(connect(), first, ("needs_prediction",))["needs_prediction"]
    profiles = first["profile"].filter(needed)
    keys = age_keys_of_profiles(source, rules)  # those of the batches, which have the value cache of readers with the same keys
    found = extract_features(connect(), profiles, bundle.features.text, rules.as_of, keys=keys)
    bundle.predict(bundle.encoders.encode(found.columns))


def warm_up_ahead(context: StepContext, source: ReadSourceFacts) -> None:
    """Let workers load the model that lies in the run's folder, while this process has something left to do alone."""
    splits, _ = training_splits_of(context.folder)
    largest = max(splits, key=lambda split: split.rows)
    if source.to_predict >= context.pool.workers * MIN_KERNEL_ROWS and largest.rows >= MIN_KERNEL_ROWS:
        model_sha256, rules = file_sha256(context.folder.model / "manifest.json"), rules_of(context.plan, source)
        context.pool.ahead(warm_up, context.folder.model, model_sha256, largest, context.plan.config.source, rules)
