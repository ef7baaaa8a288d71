"""Reference of the command line as Markdown: ``python -m predict_age.cli.reference > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import typer.main
from typer.core import TyperCommand

from predict_age.cli import COMMAND_ORDER, app

OPENING = """# Command line

Made from the program by `python -m predict_age.cli.reference > docs/cli.md`; a test compares. Each command explains itself with
`--help` or `-h`.

Exit codes: 0 done, 2 configuration, 3 input, 4 integrity, 5 quality gate, 6 resources, 75 busy, 130 or 143 stopped.
[Troubleshooting](troubleshooting.md) says what to do about each.

| command | purpose |
|---|---|
"""


def command_line() -> dict[str, TyperCommand]:
    """Every command of the program by its name, in the order of ``--help``."""
    commands: dict[str, TyperCommand] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {name: commands[name] for name in COMMAND_ORDER}


def reference() -> str:
    """The page: a table of all commands, then one section a command."""
    commands = command_line()
    listed = "".join(f"| [`{name}`](#{name}) | {_cell((c.help or '').splitlines()[0])} |\n" for name, c in commands.items())
    return OPENING + listed + "".join(_section(name, command) for name, command in commands.items())


def _section(name: str, command: Any) -> str:
    lines = [f"\n## {name}\n", command.help.replace("\n\n", "\n").strip(), ""]
    lines += [f"    {example}" for example in command.epilog.removeprefix("Example: ").split("; ")]
    lines += ["", "| option | value | meaning |", "|---|---|---|"]
    lines += list(_parameters([p for p in command.params if not getattr(p, "hidden", False)]))
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
