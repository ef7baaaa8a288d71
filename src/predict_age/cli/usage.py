"""Options that all commands have, and messages about options and commands that do not exist."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from predict_age.cli.failure import note_usage_error
from predict_age.errors import ConfigError
from predict_age.letters import nearest
from predict_age.terminal_text import visible

HELP_OPTIONS = ["-h", "--help"]
PATH_METAVARS = ("DIR", "FILE", "PATH", "RUN|FILE", "FILE|-")  # of options whose values are paths

VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say on stderr what the command does, step by step, with durations.")
]
LogJsonOption = Annotated[
    bool,
    typer.Option("--log-json", help="Write the log to stderr as one JSON object a line, instead of text and progress bars."),
]
LOG_OPTIONS = {"verbose": VerboseOption, "log_json": LogJsonOption}  # read from the arguments before Typer parses them


class ExplainedGroup(TyperGroup):
    """The commands of the program. A wrong option names the one that was probably meant, and is noted for ``--json``."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Parse the options before the command."""
        try:
            return super().make_context(*arguments, **more)
        except Exception as error:
            raise _explained(error) from None

    def invoke(self, ctx: Any) -> Any:
        """Parse the options of the command, and run it."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if hasattr(error, "format_message"):
                raise _explained(error) from None
            raise


class ValueCheckingCommand(TyperCommand):
    """A command that refuses values which Typer takes: empty ones, as of an unset variable of a script, infinity and no number."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Parse the options. ``-h`` is one of them without the program around the command, too: Typer keeps those it saw first."""
        return super().make_context(*arguments, **{"help_option_names": HELP_OPTIONS, **more})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options. Raises ConfigError for an option that is empty, or a number that is not finite."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in self.params:
            self._check(parameter, given.get(str(parameter.name)))
        return super().parse_args(ctx, args)

    def _check(self, parameter: Any, value: object) -> None:
        is_path = getattr(parameter, "metavar", None) in PATH_METAVARS
        if value == "":
            expected, fix = ("a path", "write . for the current folder") if is_path else ("a value", "give one, or leave it out")
            raise ConfigError(f"{parameter.opts[0]} is empty", expected=expected, fix=fix)
        if isinstance(value, str) and parameter.type_descriptor.annotation is float:
            with suppress(ValueError):
                if not math.isfinite(float(value)):
                    raise ConfigError(f"{parameter.opts[0]} is not finite", expected="a finite number", found=value)


def check_encoding(arguments: Sequence[str]) -> None:
    """Raise ConfigError for an argument that is not UTF-8: records, reports and DuckDB's statements could not name it."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                "an argument is not UTF-8", expected="names in UTF-8", found=visible(argument), fix="rename the file or folder"
            ) from None


def _explained(error: Exception) -> Exception:
    """Usage error ``error`` with a message that names the option that was probably meant."""
    name, known = getattr(error, "option_name", ""), getattr(error, "possibilities", None)
    if name and known:
        error.message = f"No such option: {name}. Did you mean {nearest(name, known, 0.0)}?"  # type: ignore[attr-defined]
        error.possibilities = None  # type: ignore[attr-defined]
    if isinstance(said := getattr(error, "message", None), str):
        error.message = said.replace("Value error, ", "")  # type: ignore[attr-defined]
    if form := getattr(error, "format_message", None):
        note_usage_error(str(form()))
    return error


def with_log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The ``command`` with the options of the log, which it does not see: they are read before it begins."""
    signature = inspect.signature(command, eval_str=True)
    more = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=a) for n, a in LOG_OPTIONS.items()]

    @functools.wraps(command)
    def called(*arguments: Any, verbose: bool = False, log_json: bool = False, **options: Any) -> Any:
        return command(*arguments, **options)

    parameters = [*signature.parameters.values(), *more]
    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return called
