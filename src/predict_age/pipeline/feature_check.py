"""Check of the features against the source, before anything runs: a feature that no profile has stops ``plan`` and ``run``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pyarrow as pa

from predict_age.errors import ConfigError
from predict_age.features.extract import compile_features
from predict_age.features.inspection import EXPRESSION, FeatureCoverage, inspect_features, keys_of
from predict_age.features.spec import FeatureSet, Sql, parse_path
from predict_age.pipeline.as_of_check import as_of_warnings
from predict_age.pipeline.estimate import estimate
from predict_age.runs.run import RunPlan
from predict_age.runtime.command_log import stage
from predict_age.source.missing_keys import check_profile_key
from predict_age.source.parquet_file import open_parquet
from predict_age.source.row_group_reader import read_split, splits_of_file
from predict_age.source.row_rules import connect
from predict_age.source.text_readers import read_text

PROFILES_SAMPLED = 3_000  # in plan's table
PROFILES_SEARCHED = 100_000  # for a feature that the sample does not have
WHOLE_PROFILES = 50  # of flat files with all their columns, for suggestions
PLACES = 6  # files, or row groups of a file, that the sample is taken from
BUILT_IN = "built in"
MAX_FEATURES_NAMED = 8  # absent features or keys that an error names


@stage("look for every feature in a sample of the profiles")
def check_features(plan: RunPlan, notes: list[str] | None = None) -> list[FeatureCoverage]:
    """Coverage of each feature in a sample of the source's profiles. Raises ConfigError for a feature that is of no use.

    Sentences about an ``as_of`` that the dates of the profiles contradict, and about features whose values are those of a protected
    attribute, are added to ``notes``.

    A feature of a feature file is of no use when none of 100,000 profiles (or of all, where there are fewer) has it, or when
    none of its values can be read. Of the built-in features some may be absent, but not all of them.
    """
    if plan.training_source:
        check_features(plan.of_training_source())  # a model cannot be trained on what its people do not have
        plan = replace(plan, training_source="", training_files=())
    features, _ = compile_features(plan.features_text, plan.as_of)
    columns = _top_level_keys(features) if plan.config.source.profile_json == "*" else None

    @cache
    def whole_profiles() -> pa.ChunkedArray:
        return profiles if columns is None else _sample(plan, WHOLE_PROFILES)

    profiles = _sample(plan, PROFILES_SAMPLED, columns)
    coverage = inspect_features(connect(), profiles, features, plan.as_of, whole_profiles)
    if any(c.is_absent for c in coverage) and len(profiles) >= PROFILES_SAMPLED:
        wider = inspect_features(connect(), _sample(plan, PROFILES_SEARCHED, columns), features, plan.as_of, whole_profiles)
        coverage = [w if c.is_absent else c for c, w in zip(coverage, wider, strict=True)]
    if notes is not None:
        notes += as_of_warnings(profiles, features, plan.as_of)
        notes += [_protected(c) for c in coverage if c.protected]
    if not len(profiles):
        return coverage
    if plan.base and estimate(plan).to_predict == 0:
        return coverage  # no profile will be read
    built_in = plan.features_name == BUILT_IN
    useless = [c for c in coverage if c.is_useless]
    if useless and (not built_in or len(useless) == len(coverage)):
        raise ConfigError(
            _headline(useless, coverage),
            expected="values at the path of every feature",
            found="; ".join(_found(c, plan) for c in useless[:MAX_FEATURES_NAMED]) + _more(useless, whole_profiles()),
            fix=(
                "let `predict-age init` propose a feature file for your own columns, or write one (docs/feature-file.md), and "
                "give it with --features"
                if built_in
                else "correct the path, the kind or the bounds, remove the feature, or write may_be_absent = true in its table"
            ),
        )
    return coverage


def _protected(feature: FeatureCoverage) -> str:
    read = "that its expression reads" if feature.path == EXPRESSION else f"of {feature.path}"
    return (
        f"{feature.feature}: the values {read} are those of a protected attribute ({feature.protected}); "
        "predictions would rest on it. Remove the feature; card.groups compares predictions between such groups"
    )


def _found(feature: FeatureCoverage, plan: RunPlan) -> str:
    """Problem of a feature in words. Its path may be a column of ids or ages, which is no part of a flat profile."""
    source = plan.config.source
    if feature.is_absent and source.profile_json == "*" and feature.path in source.light_columns:
        role = "ids (source.pid)" if feature.path == source.pid else "ages"
        return f"{feature.feature}: {feature.path} is the column of {role}, and no part of the profile"
    return feature.sentence


def _headline(useless: list[FeatureCoverage], coverage: list[FeatureCoverage]) -> str:
    if len(useless) == len(coverage):
        return f"none of the {len(coverage)} features can be read from a profile"
    return f"{len(useless)} of {len(coverage)} features cannot be read from any profile"


def _more(useless: list[FeatureCoverage], profiles: pa.ChunkedArray) -> str:
    rest = f"; and {len(useless) - MAX_FEATURES_NAMED} more" if len(useless) > MAX_FEATURES_NAMED else ""
    keys = keys_of(profiles)
    return rest + (
        f". The profiles have {', '.join(keys[:MAX_FEATURES_NAMED])}" + (", ..." if len(keys) > MAX_FEATURES_NAMED else "")
        if keys
        else ""
    )


def _top_level_keys(features: FeatureSet) -> frozenset[str] | None:
    """Keys of a profile that the features read; None: perhaps all, because some are SQL expressions."""
    if any(isinstance(feature, Sql) for feature in features.features.values()):
        return None
    paths = [getattr(feature, name, None) for feature in features.features.values() for name in ("path", "over")]
    return frozenset(str(parse_path(path)[0]) for path in paths if path)


def _sample(plan: RunPlan, most: int, columns: frozenset[str] | None = None) -> pa.ChunkedArray:
    """Up to ``most`` profiles as JSON text, from the beginning of several files and row groups.

    Flat ones hold the ``columns`` alone, where these are given.
    """
    chunks: list[pa.Array] = []
    rows = 0
    step = max(1, len(plan.files) // PLACES)
    numbers = [*range(0, len(plan.files), step)]
    for number in numbers:
        share = max(1, most // min(len(numbers), PLACES))
        for profiles in _profiles(plan, number, share, columns):
            chunks += profiles.chunks
            rows += len(profiles)
        if rows >= most:
            break
    return pa.chunked_array(chunks, pa.string())


def _profiles(plan: RunPlan, number: int, most: int, columns: frozenset[str] | None) -> Iterator[pa.ChunkedArray]:
    """Up to ``most`` profiles of one file."""
    file, source = plan.files[number], plan.config.source
    left = most
    if file.format == "parquet":
        metadata = open_parquet(file.path).metadata
        splits = splits_of_file(metadata, 0, number, file.path, working=False, partition=file.partition)
        for split in splits[:: max(1, len(splits) // PLACES)]:
            if left <= 0:
                return
            share = max(1, min(left, most // PLACES + 1)) if len(splits) > 1 else left
            pieces = read_split(split, source, with_profile=True, with_ids=False, most_rows=share, profile_columns=columns)
            if (piece := next(pieces, None)) is not None:
                yield piece.raw["profile"].slice(0, share)
                left -= min(share, piece.raw.num_rows)
        return
    for chunk in read_text(file, source, ages_needed=not plan.base, profile_columns=columns):
        if left <= 0:
            return
        profiles = chunk.rows["profile_json"]
        if len(profiles) and profiles.null_count == len(profiles):
            check_profile_key(file, source)
        yield profiles.slice(0, left)
        left -= chunk.rows.num_rows
