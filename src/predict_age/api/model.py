"""A trained model of a workspace, which predicts the ages of people that a caller has in memory."""

from __future__ import annotations

import datetime as dt
import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from predict_age.api.people import AnyPeople, given_people
from predict_age.arrays import BoolArray
from predict_age.config import Config
from predict_age.features.extract import extract_features
from predict_age.models.artifact import load_model
from predict_age.models.bundle import Bundle, Predictions, confidence_pct
from predict_age.models.reuse import corrected_bundle
from predict_age.models.withholding import withholding_rule
from predict_age.query.model_registry import CHAMPION, run_of
from predict_age.records.step_facts import ReadSourceFacts, TrainingFacts
from predict_age.runs.run import RunPlan
from predict_age.source.row_rules import IdType, connect, id_type_named, read_ids
from predict_age.source.suppression import hidden_people
from predict_age.source.text_ids import read_text_ids
from predict_age.storage.manifest import verified_run
from predict_age.storage.row_accounting import DEFAULT, ML_PREDICTION, WITHHELD_MINOR
from predict_age.storage.workspace import Workspace

SUPPRESSED = "SUPPRESSED"


@dataclass(frozen=True)
class AgeModel:
    """A model as a run of a workspace has trained and published it. Made by :func:`load_age_model`."""

    version: str
    run_id: str
    as_of: dt.date
    workspace: Workspace
    config: Config
    id_type: IdType
    bundle: Bundle

    @property
    def features(self) -> list[str]:
        """Names of the features, in the order of the feature file."""
        return list(self.bundle.features.names)

    def predict(self, people: AnyPeople, *, as_of: dt.date | None = None) -> pa.Table:
        """Predict the ages of n people, as a run does; ``as_of`` is the date of the ages, by default that of the model's run.

        ``people``: a table or data frame, dictionaries, or JSON texts. A table or dictionary has the profile in the configured
        column (``source.profile_json``), or its columns, but ids and ages, are the profile. Known ages in it are not looked at.

        Returns n rows in the order of ``people``, with the columns of the results: ``pid`` (and ``source_id`` where ids are text)
        if there are ids, ``predicted_age`` (whole years at ``as_of``), ``age_lower`` and ``age_upper`` (years, both included),
        ``confidence_score`` (years between them), ``confidence_pct`` (0..100), ``usable``, ``prediction_source``, ``model_version``
        and ``run_id``. The source is ML_PREDICTION; DEFAULT where no feature can be read; and, without any number, WITHHELD for
        people who may be minors and SUPPRESSED for ids on the suppression list. Raises InputError for people of another form.
        """
        given = given_people(people, self.config.source)
        n = len(given)
        ids, suppressed = self._ids(given.ids, n)
        made = self._made(given.profiles, as_of or self.as_of)
        predicted = made.predicted & ~suppressed
        hidden = made.withheld | suppressed
        width = np.where(predicted, made.upper - made.lower, 0.0)
        pct = np.where(predicted, confidence_pct(width), 0.0)
        sources = np.where(suppressed, SUPPRESSED, np.where(made.withheld, WITHHELD_MINOR, DEFAULT)).astype(object)
        sources[predicted] = ML_PREDICTION
        return pa.table(
            {
                **ids,
                "predicted_age": pa.array(made.age, pa.int32(), mask=hidden),
                "confidence_score": pa.array(width, mask=~predicted),
                "confidence_pct": pa.array(pct, mask=hidden),
                "prediction_source": pa.array(sources, pa.string()),
                "age_lower": pa.array(made.lower, mask=~predicted),
                "age_upper": pa.array(made.upper, mask=~predicted),
                "model_version": pa.array([self.version] * n, pa.string(), mask=~predicted),
                "run_id": pa.array([self.run_id] * n, pa.string()),
                "usable": pa.array(predicted & (pct >= self.config.prediction.usable_from_pct)),
            }
        )

    def _ids(self, ids: pa.ChunkedArray | None, n: int) -> tuple[dict[str, pa.ChunkedArray], BoolArray]:
        """The columns of ids, and who of n people is on the suppression list. Reading the list is a check, ids or not."""
        listed = self.workspace.suppression
        if ids is None:
            return {}, np.zeros(n, np.bool_)
        if self.id_type == "text":
            read = read_text_ids(ids)
            columns = {"pid": read["pid"], "source_id": read["source_id"]}
        else:
            columns = {"pid": read_ids(connect(), ids, "integer")}
        hidden, _ = hidden_people(columns["pid"].fill_null(0).to_numpy(), listed, self.id_type)
        return columns, hidden & columns["pid"].is_valid().to_numpy()

    def _made(self, profiles: pa.ChunkedArray, as_of: dt.date) -> _Made:
        """Predictions from ``profiles`` (n,)."""
        found = extract_features(connect(), profiles, self.bundle.features.text, as_of)
        matrix = self.bundle.encoders.encode(found.columns)
        usable = found.problem.is_null().to_numpy() & ~np.isnan(matrix[:, : len(self.bundle.features)]).all(axis=1)
        n = len(matrix)
        made = _Made(
            np.full(n, self.config.ages.default, np.int32), np.full(n, np.nan), np.full(n, np.nan), usable, np.zeros(n, np.bool_)
        )
        if usable.any():
            made.fill(usable, self.bundle.predict(matrix[usable]))
        return made

    def __repr__(self) -> str:
        return f"<AgeModel {self.version}, {len(self.features)} features, as of {self.as_of.isoformat()}>"

    def _repr_html_(self) -> str:
        """The model card of the run, for notebooks."""
        card = self.workspace.run(self.run_id).model / "card.html"
        return framed(card) if card.exists() else html.escape(repr(self))


@dataclass(frozen=True)
class _Made:
    """Predictions of n people: ``age``, ends, who is ``predicted``, and who is ``withheld`` (n,). Others have the default age."""

    age: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    predicted: BoolArray
    withheld: BoolArray

    def fill(self, rows: BoolArray, made: Predictions) -> None:
        """Set the predictions of the marked ``rows`` (n,)."""
        self.age[rows], self.lower[rows], self.upper[rows] = made.age, made.lower, made.upper
        self.withheld[rows] = made.withheld
        self.predicted[self.withheld] = False


def load_age_model(workspace: str | Path, model: str = CHAMPION) -> AgeModel:
    """Load a model of ``workspace``: the champion, or a version as ``predict-age models`` lists them.

    Raises ConfigError when there is none, IntegrityError when a file is not the one that was written, or the suppression list is
    damaged.
    """
    space = Workspace.existing(Path(workspace))
    space.suppression  # noqa: B018 - reading it is the check
    run = verified_run(space, run_of(space, model))
    run.checked("model/")
    bundle, version = load_model(run.folder.model, run.files["model/manifest.json"])
    plan, trained = RunPlan.from_json(run.folder.record), run.folder.facts(TrainingFacts)
    bundle = corrected_bundle(bundle, trained.correction)
    return AgeModel(
        version,
        run.folder.id,
        plan.as_of,
        space,
        plan.config,
        id_type_named(run.folder.facts(ReadSourceFacts).pid_type),
        bundle.withholding(withholding_rule(plan.config.ages)),
    )


def framed(page: Path, height: int = 640) -> str:
    """A page of this program inside a notebook: it is complete in itself and runs no script."""
    content = html.escape(page.read_text(encoding="utf-8"), quote=True)
    return f'<iframe srcdoc="{content}" sandbox style="width:100%;height:{height}px;border:0"></iframe>'


__all__ = ["AgeModel", "load_age_model"]
