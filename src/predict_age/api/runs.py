"""Runs: begin one, open one, and look at its results, report and card."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from predict_age.api.arguments import checks_arguments
from predict_age.api.model import AgeModel, framed, load_age_model
from predict_age.api.program import run_program
from predict_age.api.results import Results
from predict_age.api.sources import AnySource
from predict_age.config import load_config
from predict_age.errors import ConfigError
from predict_age.runs.summary import run_summary
from predict_age.storage.workspace import RunFolder, Workspace
from predict_age.toml_text import toml_value


@dataclass(frozen=True)
class FinishedRun:
    """A run of a workspace. Made by :func:`start` and :func:`open_run`."""

    workspace: Workspace
    folder: RunFolder

    @property
    def id(self) -> str:
        """The run's id, which begins with its time."""
        return self.folder.id

    @property
    def status(self) -> str:
        """done, running, failed, interrupted or damaged."""
        return self.folder.status

    @property
    def is_published(self) -> bool:
        """Whether readers of the workspace see this run as the current one."""
        return self.workspace.published.current == self.id

    @property
    def summary(self) -> dict[str, object]:
        """The object that ``predict-age run --json`` prints: rows by source, quality, findings, gates."""
        return run_summary(self.folder)

    @property
    def results(self) -> Results:
        """The result rows. Reading them raises IntegrityError when a file is not the one that was written."""
        return Results(self.workspace, self.folder)

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder.report

    @property
    def card(self) -> Path:
        """The HTML model card."""
        return self.folder.model / "card.html"

    @property
    def model(self) -> AgeModel:
        """The model that this run used."""
        return load_age_model(self.workspace.root, str(self.summary["model_version"]))

    def __repr__(self) -> str:
        return f"<FinishedRun {self.id}, {self.status}{', published' if self.is_published else ''}>"

    def _repr_html_(self) -> str:
        return framed(self.report)


@checks_arguments
def open_run(workspace: str | Path, run: str = "current") -> FinishedRun:
    """Open a run of ``workspace``: a run id, a published quarter such as "2025q3", or "current".

    Raises ConfigError when there is none, IntegrityError when the suppression list is damaged.
    """
    space = Workspace.existing(Path(workspace))
    space.suppression  # noqa: B018 - reading it is the check
    return FinishedRun(space, space.resolve(run))


@checks_arguments
def start(
    source: AnySource,
    workspace: str | Path,
    as_of: dt.date | str,
    *,
    features: str | Path | None = None,
    config: str | Path | Mapping[str, object] | None = None,
    purpose: str = "",
    training_source: AnySource = "",
    base: str = "",
    model: str = "",
    shadow: bool = False,
    workers: int | None = None,
    max_minutes: float | None = None,
    progress: bool = True,
) -> FinishedRun:
    """Run all steps on ``source``, as ``predict-age run`` does, in a process of its own: train, predict, merge, check, publish.

    ``source``: a file, a folder, a glob, ``s3://...``, ``glue://...``, or what ``read`` returned; so is a ``training_source``, on
    whose people the model is trained instead, and who are not in the results. ``as_of``: the date of the ages. ``features`` and
    ``config``: TOML files; the configuration may be a dictionary of sections, such as ``{"training": {"coverage": 0.8}}``.
    ``progress`` writes what the run does to ``sys.stderr``. An unfinished run with the same inputs is continued.

    Raises the error that the run ends with, all of them PredictAgeError: ConfigError, InputError, IntegrityError, QualityError
    (a gate stopped it), ResourceError, BusyError. Ctrl-C stops the run cleanly; the same call continues it.
    """
    options = {
        "--features": features,
        "--purpose": purpose,
        "--training-source": training_source,
        "--base": base,
        "--model": model,
        "--workers": workers,
        "--max-minutes": max_minutes,
    }
    with ExitStack() as stack:
        if isinstance(config, Mapping):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="predict-age-"))
            config = _written(config, Path(folder) / "config.toml")
        named = {name: str(value) for name, value in {**options, "--config": config}.items() if value not in (None, "")}
        given = [text for pair in named.items() for text in pair]
        date = as_of.isoformat() if isinstance(as_of, dt.date) else as_of
        arguments = ["run", "--source", str(source), "--workspace", str(workspace), "--as-of", date, *given]
        made = run_program([*arguments, *(["--shadow"] if shadow else [])], progress=progress)
    return open_run(workspace, str(made["run_id"]))


def _written(config: Mapping[str, object], path: Path) -> Path:
    """The configuration ``config`` as a TOML file. Raises ConfigError for what is no configuration."""
    tables = {name: section for name, section in config.items() if isinstance(section, Mapping)}
    lines = [f"{toml_value(name)} = {toml_value(value)}" for name, value in config.items() if name not in tables]
    for name, section in tables.items():
        lines += [f"[{toml_value(name)}]", *(f"{toml_value(key)} = {toml_value(value)}" for key, value in section.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        load_config(path)
    except ConfigError as error:  # said here, where the file has no name yet
        raise ConfigError(str(error).replace(str(path), "config")) from None
    return path
