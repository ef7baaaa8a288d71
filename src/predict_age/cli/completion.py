"""Command that prints a completion script for a shell. The script knows all commands and options: a TAB starts no program."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from predict_age.cli.app import app
from predict_age.cli.output import print_line
from predict_age.cli.usage import HELP_OPTIONS, PATH_METAVARS

KNOWN_VALUES = {
    "--platform": ("local", "aws"),
    "--shift": ("missing", "longer", "unseen", "older", "unstated"),
    "--model": ("champion",),
}
RUNS = ("current",)  # names that every workspace has


class Shell(StrEnum):
    """Shells for which there is a script."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


@dataclass(frozen=True)
class CompletedOption:
    """An option: its spellings, what it is for, and its value: none (a flag), ``choices``, a path, or any text."""

    names: tuple[str, ...]
    meaning: str
    takes_value: bool
    choices: tuple[str, ...]
    is_path: bool


@dataclass(frozen=True)
class CompletedCommand:
    """A command with its options, and the choices of its first argument."""

    name: str
    meaning: str
    options: tuple[CompletedOption, ...]
    choices: tuple[str, ...]


@app.command("completion", epilog='Example: eval "$(predict-age completion bash)"')
def completion_command(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print a script that completes commands, options and their values in a shell.

    bash: eval "$(predict-age completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc, after compinit;
    fish: predict-age completion fish > ~/.config/fish/completions/predict-age.fish
    """
    script = {Shell.bash: bash_script, Shell.zsh: zsh_script, Shell.fish: fish_script}[shell]
    print_line(script(completed_commands()))


def completed_commands() -> list[CompletedCommand]:
    """All commands that help shows, with what can be completed."""
    import typer.main

    group: Any = typer.main.get_command(app)
    return [_command(name, command) for name, command in group.commands.items() if not command.hidden]


def _command(name: str, command: Any) -> CompletedCommand:
    options, choices = [_HELP], tuple[str, ...]()
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            choices = choices or _choices(parameter) or (RUNS if (parameter.metavar or "").startswith("RUN") else ())
        elif not parameter.hidden:
            names, metavar = tuple(parameter.opts), parameter.metavar or ""
            given = KNOWN_VALUES.get(names[0], ()) or _choices(parameter) or (RUNS if metavar == "RUN" else ())
            if names[0] == "--purpose":
                from predict_age.purposes import PURPOSES

                given = tuple(PURPOSES)
            options.append(CompletedOption(names, _first(parameter.help), not parameter.is_flag, given, metavar in PATH_METAVARS))
    return CompletedCommand(name, _first(command.help), tuple(options), choices)


_HELP = CompletedOption(tuple(HELP_OPTIONS), "Show the help of the command", False, (), False)


def _choices(parameter: Any) -> tuple[str, ...]:
    kind = parameter.type_descriptor.annotation
    return tuple(str(value) for value in kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


def _first(text: str) -> str:
    """First sentence of a help text, on one line."""
    line = " ".join((text or "").split("\n\n")[0].split())
    return line.split(". ")[0].split("; ")[0].rstrip(".").replace("`", "")


def _value_cases(command: CompletedCommand) -> list[tuple[str, str, bool]]:
    """Pattern of the spellings of each option with a value, the words to choose from, and whether it is a path."""
    return [("|".join(o.names), " ".join(o.choices), o.is_path) for o in command.options if o.takes_value]


def bash_script(commands: list[CompletedCommand]) -> str:
    """Script for bash 3.2 and newer, as macOS has it; it needs no package of completions."""
    names = " ".join(c.name for c in commands)
    lines = [
        '# completion of predict-age for bash: eval "$(predict-age completion bash)"',
        "_predict_age() {",
        '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" command="" word i',
        "    COMPREPLY=()",
        '    if [[ "$current" == "=" ]]; then current=""',
        '    elif [[ "$previous" == "=" ]]; then previous="${COMP_WORDS[COMP_CWORD-2]}"; fi',
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        word="${COMP_WORDS[i]}"',
        '        [[ "$word" == -* ]] || { command="$word"; break; }',
        "    done",
        '    local options="" values="" paths=""',
        '    case "$command" in',
        f'        "") options="-h --help --version"; [[ "$current" == -* ]] || values="{names}" ;;',
    ]
    for command in commands:
        options = " ".join(name for option in command.options for name in option.names)
        lines += [f"        {command.name})", f'            options="{options}"', '            case "$previous" in']
        for pattern, choices, is_path in _value_cases(command):
            action = "paths=yes" if is_path else f'values="{choices}"'
            lines.append(f'                {pattern}) options=""; {action} ;;')
        words = f'[[ "$current" == -* ]] || values="{" ".join(command.choices)}"' if command.choices else ":"
        lines += [f"                *) {words} ;;", "            esac ;;"]
    return "\n".join(
        [
            *lines,
            "    esac",
            '    if [[ -n "$paths" ]]; then',
            "        local IFS=$'\\n'",
            "        compopt -o filenames 2>/dev/null",
            '        COMPREPLY=($(compgen -f -- "$current"))',
            "    else",
            '        COMPREPLY=($(compgen -W "$options $values" -- "$current"))',
            "    fi",
            "}",
            "complete -F _predict_age predict-age",
        ]
    )


def zsh_script(commands: list[CompletedCommand]) -> str:
    """Script for zsh, with what each command and option is for."""
    lines = ["#compdef predict-age", "_predict_age() {", "    local -a commands", "    commands=("]
    lines += [f"        {_quoted(f'{c.name}:{c.meaning}')}" for c in commands]
    lines += [
        "    )",
        "    if (( CURRENT == 2 )); then",
        "        _describe command commands",
        "        compadd -- --version --help -h",
        "        return",
        "    fi",
        '    local command="${words[2]}"',
        "    shift words",
        "    (( CURRENT-- ))",
        '    case "$command" in',
    ]
    for command in commands:
        rules = [_zsh_rule(name, option) for option in command.options for name in option.names]
        rules.append(_quoted(f"*:argument:({' '.join(command.choices)})" if command.choices else "*:argument:_files"))
        lines.append(f"        {command.name}) _arguments {' '.join(rules)} ;;")
    return "\n".join([*lines, "    esac", "}", "compdef _predict_age predict-age"])


def _zsh_rule(name: str, option: CompletedOption) -> str:
    meaning = option.meaning.replace("[", "(").replace("]", ")").replace(":", " -")
    value = ""
    if option.takes_value:
        value = ":value:" + ("_files" if option.is_path else f"({' '.join(option.choices)})" if option.choices else " ")
    return _quoted(f"*{name}[{meaning}]{value}")


def fish_script(commands: list[CompletedCommand]) -> str:
    """Script for fish, with what each command and option is for."""
    lines = ["# completion of predict-age for fish", "complete -c predict-age -f"]
    for command in commands:
        lines.append(f"complete -c predict-age -n __fish_use_subcommand -a {command.name} -d {_fish_quoted(command.meaning)}")
    for command in commands:
        begin = f"complete -c predict-age -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            spelt = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = "" if not option.takes_value else " -r -F" if option.is_path else " -x"
            value += f" -a {_fish_quoted(' '.join(option.choices))}" if option.choices else ""
            lines.append(f"{begin} {spelt}{value} -d {_fish_quoted(option.meaning)}")
        if command.choices:
            lines.append(f"{begin} -a {_fish_quoted(' '.join(command.choices))}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return shlex.quote(text)


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
