"""Check of the features against the source, before anything runs: a feature that no profile has stops ``plan`` and ``run``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pyarrow as pa

from predict_age.config import SourceConfig
from predict_age.errors import ConfigError
from predict_age.features.extract import compile_features
from predict_age.features.inspection import EXPRESSION, FeatureCoverage, inspect_features, keys_of
from predict_age.features.spec import Feature, FeatureSet, Sql, parse_path
from predict_age.pipeline.as_of_check import as_of_warnings
from predict_age.pipeline.estimate import estimate
from predict_age.runs.run import RunPlan
from predict_age.runtime.command_log import stage
from predict_age.source.missing_keys import PROFILE_COLUMN, EmptyKeys, check_keys
from predict_age.source.row_rules import connect
from predict_age.source.row_walk import RowPiece, RowWalk

PROFILES_SAMPLED = 3_000  # in plan's table
PROFILES_SEARCHED = 100_000  # for a feature that the sample does not have
WHOLE_PROFILES = 50  # of flat files with all their columns, for suggestions
BUILT_IN = "built in"
MAX_FEATURES_NAMED = 8  # absent features or keys that an error names


@stage("look for every feature in a sample of the profiles")
def check_features(plan: RunPlan, notes: list[str] | None = None) -> list[FeatureCoverage]:
    """Coverage of each feature in a sample of the source's profiles. Raises ConfigError for a feature that is of no use.

    Sentences about an ``as_of`` that the dates of the profiles contradict, and about features whose values are those of a protected
    attribute, are added to ``notes``.

    A feature of a feature file is of no use when none of 100,000 profiles (or of all, where there are fewer) has it, or when
    none of its values can be read. Some of the built-in features may be absent, but not all of them.
    """
    if plan.training_source:
        _check(plan.of_training_source(), ages_needed=not plan.base)  # a model cannot be trained on what its people do not have
        return _check(replace(plan, training_source="", training_files=()), notes, ages_needed=False)
    return _check(plan, notes, ages_needed=not plan.base)


def _check(plan: RunPlan, notes: list[str] | None = None, *, ages_needed: bool) -> list[FeatureCoverage]:
    """``check_features`` of one source; ``ages_needed``: a CSV file of it must have an age column."""
    source = plan.config.source
    features, _ = compile_features(plan.features_text, plan.as_of)
    columns = _top_level_keys(features) if source.profile_json == "*" else None
    _refuse_ids(features, source)
    walk = RowWalk(plan.files, source, with_profile=True, with_ids=False, ages_needed=ages_needed, profile_columns=columns)

    @cache
    def whole_profiles() -> pa.ChunkedArray:
        return profiles if columns is None else _profiles(replace(walk, profile_columns=None).sample(WHOLE_PROFILES))

    pieces, most = walk.sample(PROFILES_SAMPLED), PROFILES_SAMPLED
    profiles = _profiles(pieces)
    coverage = inspect_features(connect(), profiles, features, plan.as_of, whole_profiles)
    if any(c.is_absent for c in coverage) and len(profiles) >= PROFILES_SAMPLED:
        pieces, most = walk.sample(PROFILES_SEARCHED), PROFILES_SEARCHED
        wider = inspect_features(connect(), _profiles(pieces), features, plan.as_of, whole_profiles)
        coverage = [w if c.is_absent else c for c, w in zip(coverage, wider, strict=True)]
    _check_keys(plan, pieces, whole=sum(map(len, pieces)) < most)
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


def _profiles(pieces: Sequence[RowPiece]) -> pa.ChunkedArray:
    """The profiles of ``pieces`` as JSON text."""
    return pa.chunked_array([chunk for piece in pieces for chunk in piece.rows["profile"].chunks], pa.string())


def _check_keys(plan: RunPlan, pieces: Sequence[RowPiece], *, whole: bool) -> None:
    """Raise InputError when JSON files among ``pieces`` have no profile, or misspell its key, as a run does.

    ``whole``: the pieces are all records of the source.
    """
    records, with_profile = Counter[int](), Counter[int]()
    for piece in pieces:
        if plan.files[piece.file].format == "jsonl" and len(piece):
            records[piece.file] += len(piece)
            with_profile[piece.file] += len(piece) - piece.rows["profile"].null_count
    no_profile = frozenset([PROFILE_COLUMN])
    empty = [
        EmptyKeys(plan.files[file], frozenset() if with_profile[file] else no_profile, number if whole else 0)
        for file, number in records.items()
    ]
    check_keys(empty, plan.source, plan.config.source)


def _protected(feature: FeatureCoverage) -> str:
    read = "that its expression reads" if feature.path == EXPRESSION else f"of {feature.path}"
    return (
        f"{feature.feature}: the values {read} are those of a protected attribute ({feature.protected}); "
        "predictions would rest on it. Remove the feature; card.groups compares predictions between such groups"
    )


def _found(feature: FeatureCoverage, plan: RunPlan) -> str:
    """Problem of a feature in words. Its path may be a column of ages, which is no part of a flat profile."""
    source = plan.config.source
    if feature.is_absent and source.profile_json == "*" and feature.path in source.light_columns:
        return f"{feature.feature}: {feature.path} is the column of ages, and no part of the profile"
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


def _refuse_ids(features: FeatureSet, source: SourceConfig) -> None:
    """Raise ConfigError where a feature reads the ids: records of JSON have them beside the rest of a flat profile."""
    if source.profile_json != "*":
        return
    reads = [name for name, feature in features.features.items() if source.pid in _keys_read(feature)]
    if reads:
        raise ConfigError(
            f"{len(reads)} of {len(features)} features read ids",
            expected="features that say something about people",
            found="; ".join(
                f"{name}: {source.pid} is the column of ids (source.pid), and no part of the profile" for name in reads
            ),
            fix="remove the feature: ids that grow with age, or with the day on which somebody came, would give the age away",
        )


def _keys_read(feature: Feature) -> set[str]:
    """Keys of a profile at which the paths of a feature begin; none for an SQL expression."""
    paths = [getattr(feature, name, None) for name in ("path", "over")]
    return {str(parse_path(path)[0]) for path in paths if path}


def _top_level_keys(features: FeatureSet) -> frozenset[str] | None:
    """Keys of a profile that the features read; None: perhaps all, because some are SQL expressions."""
    if any(isinstance(feature, Sql) for feature in features.features.values()):
        return None
    return frozenset[str]().union(*map(_keys_read, features.features.values()))
