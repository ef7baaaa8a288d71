"""Plan of a run from command-line options, with all checks that are possible before a run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from predict_age.cli.app import open_workspace, parse_date
from predict_age.errors import ConfigError

if TYPE_CHECKING:
    from predict_age.run.run import RunPlan
    from predict_age.storage.workspace import RunFolder, Workspace


def checked_plan(
    source: str,
    as_of: str,
    features: Path | None,
    config: Path | None,
    workers: int | None,
    *,
    max_minutes: float | None = None,
    tune: float | None = None,
    timestamp: str = "",
    workspace: Path | None = None,
    base: str = "",
    model: str = "",
    shadow: bool = False,
) -> RunPlan:
    """Check configuration, feature file, source and base run, and return the plan of a run."""
    from predict_age.config import load_config
    from predict_age.features.group_fields import check_groups
    from predict_age.features.spec import load_features
    from predict_age.pipeline.runner import new_plan

    settings = load_config(
        config,
        {
            "running": {"workers": workers} if workers else {},
            "limits": {} if max_minutes is None else {"max_minutes": max_minutes},
            "training": {} if tune is None else {"tune_minutes": tune},
        },
    )
    declared = load_features(features, settings.source.age_columns)
    name = str(features) if features else "built in"
    when = parse_date(as_of)
    if features:  # a test checks the built-in features
        from predict_age.features.extract import check_compiles

        check_compiles(declared, when, name)
    check_groups(settings.card.groups)
    stamp = _timestamp(timestamp) if timestamp else None
    built_on, challengers = _models(workspace, base, model, list(settings.prediction.challengers), declared.text)
    return new_plan(
        source,
        when,
        settings,
        declared.text,
        name,
        timestamp=stamp,
        base=built_on,
        challengers=challengers,
        shadow=shadow,
    )


def _models(
    workspace: Path | None, base: str, model: str, challengers: list[str], features: str
) -> tuple[tuple[str, str], tuple[tuple[str, str], ...]]:
    """Base run, if any, and the challengers' runs, each with the SHA-256 of its model's manifest."""
    from predict_age.query.model_registry import run_of

    if base and model:
        raise ConfigError("--base and --model both name a model", fix="give one of them")
    if workspace is None or not (base or model or challengers):
        return ("", ""), ()
    space = open_workspace(workspace)
    built_on = ("", "")
    if base or model:
        built_on = _usable_model(space, space.resolve(base) if base else run_of(space, model), features)
    return built_on, tuple(_usable_model(space, run_of(space, name), features) for name in challengers)


def _timestamp(text: str) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ConfigError("--timestamp is not a time with a zone", expected="such as 2025-10-23T06:00:00Z", found=text) from None
    return time


def _usable_model(space: Workspace, folder: RunFolder, features: str) -> tuple[str, str]:
    """Id of a run and the SHA-256 of its model's manifest. Raises ConfigError when its model has other features."""
    from predict_age.storage.manifest import verified_run

    run = verified_run(space, folder)
    run.checked("model/")
    if (run.folder.model / "features.toml").read_text(encoding="utf-8") != features:
        raise ConfigError(
            f"run {run.folder.id} cannot be the base: its model was trained with another feature file",
            expected="the same --features",
            found="other features",
            fix="leave out --base or --model, which trains a new model",
        )
    return run.folder.id, run.files["model/manifest.json"]
