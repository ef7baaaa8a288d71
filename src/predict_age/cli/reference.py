"""Reference of the command line as Markdown: ``python -m predict_age.cli.reference > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import typer.main
from typer.core import TyperCommand

from predict_age.cli import COMMAND_ORDER, app
from predict_age.cli.usage import LOG_OPTIONS
from predict_age.runtime.command_log import EVENTS, FIELDS

OPENING = """# Command line

Made from the program by `python -m predict_age.cli.reference > docs/cli.md`; a test compares. Each command explains itself with
`--help` or `-h`.

Exit codes: 0 done, 2 configuration, 3 input, 4 integrity, 5 quality gate, 6 resources, 75 busy, 130 or 143 stopped.
[Troubleshooting](troubleshooting.md) says what to do about each.

Every command takes

| option | meaning |
|---|---|
| `--help`, `-h` | Show the help of the command. |
| `--verbose`, `-v` | Say on stderr what the command does, step by step, with durations. |
| `--log-json` | Write the log to stderr as one JSON object a line, instead of text and progress bars: [JSON log](#json-log). |

With `--json`, a command that fails prints one object with the key `error`, which has `exit_code`, `kind`, `message`, `expected`,
`found` and `fix`.

| command | purpose |
|---|---|
"""
LOG_OPENING = """
## JSON log

`--log-json` writes one object a line to stderr, also when a run fails, is stopped by a gate or is interrupted; only `kill -9` ends
it without a last line. Fields without a value are left out. No field holds values of people. Results still go to stdout, and
`--json` may be given with it.

    predict-age run --source people --workspace work --as-of 2025-10-23 --json --log-json 2> run.log > run.json

"""


def command_line() -> dict[str, TyperCommand]:
    """Every command of the program by its name, in the order of ``--help``."""
    commands: dict[str, TyperCommand] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {name: commands[name] for name in COMMAND_ORDER}


def reference() -> str:
    """The page: a table of all commands, then one section a command."""
    commands = command_line()
    listed = "".join(f"| [`{name}`](#{name}) | {_cell((c.help or '').splitlines()[0])} |\n" for name, c in commands.items())
    fields, events = _table("field", FIELDS), _table("event", EVENTS)
    return OPENING + listed + "".join(_section(n, c) for n, c in commands.items()) + LOG_OPENING + fields + "\n" + events


def _table(what: str, meanings: dict[str, str]) -> str:
    return f"| {what} | meaning |\n|---|---|\n" + "".join(f"| `{name}` | {_cell(text)} |\n" for name, text in meanings.items())


def _section(name: str, command: Any) -> str:
    lines = [f"\n## {name}\n", command.help.replace("\n\n", "\n").strip(), ""]
    lines += [f"    {example}" for example in command.epilog.removeprefix("Example: ").split("; ")]
    lines += ["", "| option | value | meaning |", "|---|---|---|"]
    lines += list(_parameters([p for p in command.params if not getattr(p, "hidden", False) and p.name not in LOG_OPTIONS]))
    return "\n".join(lines) + "\n"


def _parameters(parameters: list[Any]) -> Iterator[str]:
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            yield f"| `{parameter.metavar or parameter.name.upper()}` | | {_cell(parameter.help)} |"
            continue
        default = parameter.default
        if parameter.required:
            note = " Required."
        elif default in (None, "", 0, ()) or default is False:
            note = ""
        else:
            note = f" Default: `{default}`."
        value = "" if parameter.is_flag else f" `{_value(parameter)}`"
        yield f"| `{', '.join(parameter.opts)}` |{value} | {_cell(parameter.help)}{note} |"


def _value(option: Any) -> str:
    """The value of an option: its metavar, or its type, with its limits."""
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "\\|".join(kind)
    name = option.metavar or {int: "INTEGER", float: "NUMBER"}.get(kind, "TEXT")
    low, high = (f"{bound:g}" if bound is not None else "" for bound in (option.min, option.max))
    limits = f" {low}..{high}" if low and high else f" >= {low}" if low else ""
    return _cell(f"{name}{limits}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
