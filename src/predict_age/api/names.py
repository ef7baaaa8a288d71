"""Names of the Python interface, as ``predict_age`` offers them."""

from __future__ import annotations

from predict_age.api.batches import BatchPredictor, batch_predictor
from predict_age.api.model import AgeModel
from predict_age.api.model import load_age_model as load
from predict_age.api.profiles import profile_source as profile
from predict_age.api.proposals import propose_files as init
from predict_age.api.results import Results
from predict_age.api.runs import FinishedRun, open_run
from predict_age.api.runs import start as run
from predict_age.api.scores import Scores
from predict_age.api.scores import evaluate_predictions as evaluate
from predict_age.api.sources import PeopleSource
from predict_age.api.sources import open_source as read
from predict_age.proposal.source_profile import SourceProfile

__all__ = [
    "AgeModel",
    "BatchPredictor",
    "FinishedRun",
    "PeopleSource",
    "Results",
    "Scores",
    "SourceProfile",
    "batch_predictor",
    "evaluate",
    "init",
    "load",
    "open_run",
    "profile",
    "read",
    "run",
]
