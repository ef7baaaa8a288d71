"""Plan of a run from the options of a command or of the Python interface, with all checks that are possible before a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from predict_age.errors import ConfigError, IntegrityError
from predict_age.letters import nearest
from predict_age.runtime.command_log import stage

FIRST_RUN_YEAR, LAST_RUN_YEAR = 1970, 9998  # of a run's time

if TYPE_CHECKING:
    from predict_age.runs.run import RunPlan
    from predict_age.storage.workspace import RunFolder, Workspace


def parse_date(text: str) -> dt.date:
    """Date of an ISO text; ConfigError for any other text."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError("--as-of is not a date", expected="YYYY-MM-DD, such as 2025-10-23", found=text) from None


def date_or_today(as_of: dt.date | str | None) -> dt.date:
    """Date of ``as_of``, which may be an ISO text; today where there is none."""
    return parse_date(as_of) if isinstance(as_of, str) else as_of or dt.date.today()


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
    purpose: str = "",
    training_source: str = "",
) -> RunPlan:
    """Check configuration, feature file, source and base run, and return the plan of a run."""
    from predict_age.config import NOT_A_FILE, load_config
    from predict_age.features.group_fields import check_groups
    from predict_age.features.spec import load_features
    from predict_age.pipeline.runner import new_plan
    from predict_age.runtime.temporary_folder import is_in_own_folder
    from predict_age.storage.workspace import Workspace

    given: dict[str, dict[str, object]] = {
        "running": {"workers": workers} if workers else {},
        "limits": {} if max_minutes is None else {"max_minutes": max_minutes},
        "training": {} if tune is None else {"tune_minutes": tune},
        "run": {"purpose": purpose} if purpose else {},
    }
    with stage(f"read the configuration ({config or 'defaults'}) and the features ({features or 'built in'})"):
        settings = load_config(config, given)
        declared = load_features(features, settings.source.age_columns)
        name = str(features) if features else "built in"
        when = parse_date(as_of)
        if features:  # a test checks the built-in features
            from predict_age.features.extract import check_compiles

            check_compiles(declared, when, name)
        check_groups(settings.card.groups)
        _check_not_leaks(settings.gates.not_leaks, declared.names, name)
    stamp = _timestamp(timestamp) if timestamp else None
    challengers = list(settings.prediction.challengers)
    if base and model:
        raise ConfigError("--base and --model both name a model", fix="give one of them")
    with stage(f"list the files of {source}"):
        plan = new_plan(
            source, when, settings, declared.text, name, timestamp=stamp, shadow=shadow, training_source=training_source
        )
    if config and settings.notify.command:
        plan = replace(plan, notify_config=NOT_A_FILE if is_in_own_folder(config) else str(config.absolute()))
    if workspace is None or not (base or model or challengers):
        return plan
    return _with_models(plan, Workspace.existing(workspace), base, model, challengers, exact=bool(stamp))


def _check_not_leaks(allowed: Sequence[str], features: Sequence[str], name: str) -> None:
    """Raise ConfigError where gates.not_leaks names no feature: its gate would stop the run all the same."""
    for unknown in (feature for feature in allowed if feature not in features):
        close = nearest(unknown, features, 0.5)
        raise ConfigError(
            f"gates.not_leaks names {unknown!r}, which is no feature",
            expected=f"names of features ({name})",
            found=unknown,
            fix=f"did you mean {close!r}?" if close else "correct it, or leave it out",
        )


def _with_models(plan: RunPlan, space: Workspace, base: str, model: str, challengers: list[str], *, exact: bool) -> RunPlan:
    """The plan with base run and challengers, each with the SHA-256 of its model's manifest.

    ``exact``: the time was given, and the same event twice is one run. That run changes the meaning of
    "champion" and "current", so they mean what they meant the first time.
    """
    import hashlib

    from predict_age.pipeline.runner import with_models
    from predict_age.query.model_registry import run_of

    asked = repr((plan.timestamp, plan.identity, base, model, challengers))
    event = hashlib.sha256(asked.encode()).hexdigest() if exact else ""
    for folder in reversed(space.runs()) if exact else ():
        with suppress(IntegrityError):
            record = folder.record
            if record.get("event") == event:
                return with_models(
                    plan,
                    event,
                    (record["base"], record["base_model"]),
                    tuple((str(run), str(seal)) for run, seal in record["challengers"]),
                )
    built_on = ("", "")
    if base or model:
        built_on = usable_model(space, space.resolve(base) if base else run_of(space, model), plan.features_text)
    others = tuple(usable_model(space, run_of(space, name), plan.features_text) for name in challengers)
    return with_models(plan, event, built_on, others)


def _timestamp(text: str) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ConfigError("--timestamp is not a time with a zone", expected="such as 2025-10-23T06:00:00Z", found=text) from None
    try:
        time = time.astimezone(dt.UTC)
    except OverflowError:
        time = dt.datetime.max.replace(tzinfo=dt.UTC)
    if not FIRST_RUN_YEAR <= time.year <= LAST_RUN_YEAR:
        raise ConfigError(
            "--timestamp is out of range", expected=f"a time from {FIRST_RUN_YEAR} to {LAST_RUN_YEAR}, in UTC", found=text
        )
    return time


def usable_model(space: Workspace, folder: RunFolder, features: str) -> tuple[str, str]:
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
