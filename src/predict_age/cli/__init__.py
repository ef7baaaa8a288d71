"""The command line. Heavy imports happen inside commands, so that ``--help`` is quick."""

from predict_age.cli import aws, completion, export, init, inspect, maintain, models, plan, profile, run, schedule, serving  # noqa: F401 - they register commands
from predict_age.cli.app import app, run_cli
from predict_age.cli.usage import ValueCheckingCommand, with_log_options

COMMAND_ORDER = (  # in the order of a run's life: the order of ``--help`` and of the reference
    "generate",
    "profile",
    "init",
    "plan",
    "run",
    "resume",
    "status",
    "runs",
    "report",
    "sql",
    "export",
    "diff",
    "verify",
    "rollback",
    "prune",
    "suppress",
    "models",
    "card",
    "promote",
    "score",
    "ab",
    "serve",
    "check-skew",
    "schedule",
    "completion",
    "aws-task",
    "aws-api",
)
app.registered_commands.sort(key=lambda command: COMMAND_ORDER.index(command.name or ""))
for _command in app.registered_commands:
    _command.cls = ValueCheckingCommand
    if _command.callback is not None:
        _command.callback = with_log_options(_command.callback)

__all__ = ["COMMAND_ORDER", "app", "run_cli"]
