"""Loading of a predictor from a workspace: the champion or another model, with the rules of the published run."""

from __future__ import annotations

import datetime as dt

from predict_age.errors import ConfigError
from predict_age.models.artifact import load_model
from predict_age.predictor.profile_judgement import delivered_bundle
from predict_age.predictor.profile_predictor import DeliveryRules, ProfilePredictor
from predict_age.query.model_registry import CHAMPION, run_of
from predict_age.records.step_facts import TrainingFacts
from predict_age.runs.run import RunPlan
from predict_age.source.flat_records import record_keys
from predict_age.storage.manifest import verified_run
from predict_age.storage.publication import Published
from predict_age.storage.workspace import Workspace

MODEL_MANIFEST = "model/manifest.json"


def load_predictor(
    workspace: Workspace, model: str = CHAMPION, as_of: dt.date | None = None, published: Published | None = None
) -> ProfilePredictor:
    """Predictor of ``model``, "champion" or a version, at ``as_of`` or the date of the published run.

    ``published`` is an earlier state of the pointer, whose champion and run are meant instead of today's.

    Ages are withheld and replaced by the rules of the published run, or of the model's own run where none is published. Intervals
    have the correction, and minors the frequency, that the model's run recorded. Every file is verified. Raises ConfigError or
    IntegrityError.
    """
    published = published or workspace.published
    current = published.current
    if model == CHAMPION and not published.champion:
        raise ConfigError("there is no model to predict with", expected="a published run", fix="`predict-age run` first")
    chosen = verified_run(workspace, workspace.run(published.champion) if model == CHAMPION else run_of(workspace, model))
    bundle, version = load_model(chosen.folder.path / "model", chosen.files[MODEL_MANIFEST])
    ruling = RunPlan.from_json((workspace.run(current) if current else chosen.folder).record)
    ages, prediction = ruling.config.ages, ruling.config.prediction
    delivered = delivered_bundle(bundle, chosen.folder.facts(TrainingFacts).delivery, ages)
    keys = record_keys(ruling.config.source)
    rules = DeliveryRules(ruling.run_id, as_of or ruling.as_of, ages.default, prediction.usable_from_pct, ruling.purpose, keys)
    return ProfilePredictor(delivered, version, rules)
