"""The command line. Heavy imports happen inside commands, so that ``--help`` is quick."""

from predict_age.cli import aws, inspect, maintain, models, run
from predict_age.cli.app import app, run_cli

__all__ = ["app", "aws", "inspect", "maintain", "models", "run", "run_cli"]
