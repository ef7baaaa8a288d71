"""The command line. Heavy imports happen inside commands, so that ``--help`` is quick."""

from predict_age.cli import aws, inspect, maintain, models, run
from predict_age.cli.app import app, main

__all__ = ["app", "aws", "inspect", "main", "maintain", "models", "run"]
