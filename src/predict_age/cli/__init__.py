"""The command line. Heavy imports happen inside commands, so that ``--help`` is quick."""

from predict_age.cli import keep, look, models, work
from predict_age.cli.app import app, main

__all__ = ["app", "keep", "look", "main", "models", "work"]
