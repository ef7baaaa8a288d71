"""The program: options that several commands share, exit codes, and error messages."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predict_age.cli.failure import tell_failure
from predict_age.cli.output import ReaderEndedError, checked_stdout, print_line
from predict_age.cli.s3_workspace import checked_workspace
from predict_age.cli.usage import HELP_OPTIONS, ExplainedGroup, check_encoding
from predict_age.errors import PredictAgeError, file_error, is_out_of_memory, memory_error
from predict_age.runtime.command_log import LOG
from predict_age.runtime.import_blocking import stub_imports
from predict_age.runtime.named_commands import given_workspace, own_arguments, with_workspace
from predict_age.runtime.signals import exit_code, forget_signal, install_handlers, requested_stop
from predict_age.terminal_text import line_width, say, visible, wrapped
from predict_age.version import __version__

if TYPE_CHECKING:
    from predict_age.storage.workspace import Workspace

USAGE_ERROR = 2  # exit code of Typer; an error of predict-age itself is raised instead
READER_ENDED = 141  # exit code of a command that SIGPIPE ends, as a shell shows it

app = typer.Typer(
    name="predict-age",
    cls=ExplainedGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP_OPTIONS},
    help="Train on the people whose age is known, predict the others with an interval, publish one table with everybody once.",
)

AsOfOption = Annotated[
    str, typer.Option("--as-of", help="Date of the ages, YYYY-MM-DD: everybody gets the age on this day.", metavar="DATE")
]
SourceOption = Annotated[str, typer.Option("--source", help="File, folder or glob: Parquet, JSON lines, CSV.", metavar="PATH")]
TrainingSourceOption = Annotated[
    str,
    typer.Option(
        "--training-source",
        help="Train on the people of this source, which may be of any kind, instead of --source's; they are not in the results.",
        metavar="PATH",
    ),
]
WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace",
        help="Folder of runs and results; some commands: s3://BUCKET/PREFIX.",
        metavar="DIR",
        callback=checked_workspace,
    ),
]
FeaturesOption = Annotated[
    Path | None, typer.Option("--features", help="Feature file; default: features of the built-in profile.", metavar="FILE")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).", metavar="FILE")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", help="Worker processes; default: one for each core.", min=1, max=512)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, and nothing else there.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")]


def open_workspace(path: Path) -> Workspace:
    """Workspace at ``path``; ConfigError when there is none."""
    from predict_age.storage.workspace import Workspace

    return Workspace.existing(path)


def open_people(path: Path) -> Workspace:
    """Workspace at ``path``, for commands that show or use people: ConfigError when it is not known whom to hide."""
    workspace = open_workspace(path)
    workspace.suppression  # noqa: B018 - reading it is the check
    return workspace


@contextmanager
def stop_message(advice: str) -> Iterator[None]:
    """End the command with one sentence and the usual exit code when Ctrl-C or SIGTERM arrive in the block."""
    try:
        yield
    except KeyboardInterrupt as stop:
        say(f"predict-age: stopped; {advice}")
        raise typer.Exit(exit_code(type(stop))) from None


def _version(wanted: bool) -> None:
    if wanted:
        print_line(f"predict-age {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Exit codes: 0 done, 2 configuration, 3 input, 4 integrity, 5 quality gate, 6 resources, 75 busy, 130 or 143 stopped."""


def run_cli() -> None:
    """Run the command of ``sys.argv``. Every known error becomes one message and its exit code, without a traceback."""
    install_handlers()
    with LOG.writing(own_arguments(sys.argv[1:])):
        LOG.event("command.started")
        _run_command()


def _run_command() -> None:
    arguments = own_arguments(sys.argv[1:])
    try:
        if not arguments or set(HELP_OPTIONS) & set(arguments):
            _prepare_help()
        check_encoding(sys.argv[1:])
        with checked_stdout():
            app()
        tell_failure(arguments, 0)
    except (BrokenPipeError, ReaderEndedError):
        raise SystemExit(READER_ENDED) from None
    except SystemExit as end:
        if end.code == USAGE_ERROR:
            _say_example(arguments)
        if end.code == 130 and (stop := requested_stop()):  # Typer's exit code for any KeyboardInterrupt
            tell_failure(arguments, exit_code(stop))
            raise SystemExit(exit_code(stop)) from None
        tell_failure(arguments, end.code if isinstance(end.code, int) else 0)
        raise
    except (Exception, KeyboardInterrupt) as error:  # KeyboardInterrupt: before the command itself runs
        code, known = _say(error)
        tell_failure(arguments, code, known)
        raise SystemExit(code) from None
    finally:
        forget_signal()


def _prepare_help() -> None:
    """Import the modules that print help, but not those for Markdown and stack traces, which would take most of the time."""
    with stub_imports(["attr"], {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}):
        import typer.rich_utils  # noqa: F401


def _say_example(arguments: list[str]) -> None:
    """Print the example of the command that was called with unusable options, below the message about them."""
    for command in app.registered_commands:
        if arguments[:1] == [command.name] and command.epilog:
            say(command.epilog)


def _say(error: BaseException) -> tuple[int, PredictAgeError | None]:
    """Print why the command ended; return its exit code and the error, where it is a known one."""
    if stop := requested_stop():  # a library may have turned the stop into an error of its own
        say("predict-age: stopped")
        return exit_code(stop), None
    known = error
    if is_out_of_memory(error):
        known = memory_error(error)
    elif isinstance(error, OSError):
        known = file_error(error)
    if isinstance(known, PredictAgeError):
        workspace = given_workspace(own_arguments(sys.argv))
        message = with_workspace(str(known), workspace) if workspace else str(known)
        if not LOG.json:  # which ends with the error anyway
            say("\n".join(_wrapped_error(f"predict-age: {message}")))
        return known.exit_code, known
    return _crash(error), None  # a bug: the traceback goes into a file


def _wrapped_error(message: str) -> Iterator[str]:
    """Lines of the ``message`` of an error, those that are too long for a terminal wrapped between words below each other."""
    for line in visible(message).split("\n"):
        label = re.match(r"predict-age: |  (?:expected|found|to fix): |\s*", line)
        lead = label[0] if label else ""
        yield wrapped(lead, line[len(lead) :], line_width(sys.stderr))


def _crash(error: BaseException) -> int:
    import tempfile

    from predict_age.runtime.crash_file import described, type_of
    from predict_age.runtime.temporary_folder import CRASH_FILES

    with tempfile.NamedTemporaryFile("w", prefix=CRASH_FILES, suffix=".txt", delete=False, encoding="utf-8") as stream:
        stream.write(described(error))
    say(
        f"predict-age: internal error: {type_of(error)}\n"
        f"  `predict-age runs` lists what is published; details for the developers are in {stream.name}"
    )
    return 1
