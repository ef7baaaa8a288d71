"""The command line. Heavy imports happen inside commands, so that ``--help`` is quick."""

from predict_age.cli import aws, keep, look, models, work
from predict_age.cli.app import app, main

__all__ = ["app", "aws", "keep", "look", "main", "models", "work"]
