"""Command that prints what a scheduler needs to repeat a run: a script, a systemd service and timer, and a cron line."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from predict_age.cli.app import app
from predict_age.cli.output import completed, print_line
from predict_age.errors import ConfigError
from predict_age.file_names import did_you_mean_file
from predict_age.terminal_text import one_line, say

SET_BY_SCHEDULE = ("--as-of", "--timestamp")
LONGEST_FOLDER = 800  # bytes; cron takes commands of up to 998


class Every(StrEnum):
    """Intervals of a schedule."""

    quarter = "quarter"
    month = "month"
    week = "week"


@dataclass(frozen=True)
class Interval:
    """An interval: its days for systemd and for cron, and the shell lines that compute its first day, in UTC."""

    calendar: str
    cron: str
    slot: str


INTERVALS = {
    Every.quarter: Interval(
        "*-01,04,07,10-01",
        "2 1,4,7,10 *",
        "month=$(date -u +%m)\nslot=$(date -u +%Y)-$(printf '%02d' $(((${month#0} - 1) / 3 * 3 + 1)))-01",
    ),
    Every.month: Interval("*-*-01", "2 * *", "slot=$(date -u +%Y-%m)-01"),
    Every.week: Interval(
        "Mon *-*-*",
        "* * 2",
        'slot=$(date -u -d "@$(($(date -u +%s) - ($(date -u +%u) - 1) * 86400))" +%Y-%m-%d)',
    ),
}


@app.command(
    "schedule",
    epilog="Example: predict-age schedule --every quarter --write units -- --source people --workspace work --config c.toml",
)
def schedule_command(
    every: Annotated[Every, typer.Option("--every", help="How often the run is repeated.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- RUN_ARGUMENTS]", help="Options of `run`, without --as-of and --timestamp.")
    ] = None,
    text: Annotated[
        str, typer.Option("--run-arguments", help="The same as one text, as a shell would read it.", metavar="TEXT")
    ] = "",
    at: Annotated[str, typer.Option("--at", help="Time of day in UTC.", metavar="HH:MM")] = "06:00",
    name: Annotated[str, typer.Option("--name", help="Name of the units and of the script.")] = "predict-age",
    folder: Annotated[
        Path | None, typer.Option("--write", help="Write the files into this folder instead of printing them.", metavar="DIR")
    ] = None,
) -> None:
    """Print a script, a systemd service with its timer, and a cron line that repeat a run every quarter, month or week.

    The run's date is the first day of the interval, and its timestamp that day at --at: a run that comes late or twice is one run.
    """
    try:
        given = [*shlex.split(text), *(arguments or [])]
    except ValueError as error:
        raise ConfigError("--run-arguments cannot be read", expected="balanced quotes", found=str(error)) from None
    hour, minute = _time(at)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ConfigError("--name is no name of a unit", expected="letters, digits, - and _", found=name)
    context = _check(given)
    for note in _missing_files(context):
        say(f"note: {note}")
    there = folder.absolute() if folder else Path.cwd()
    _check_characters({"an argument of the run": given, "the folder of the files": [str(there)], "this folder": [str(Path.cwd())]})
    _check_cron(there)
    files = schedule_files(name, INTERVALS[every], (hour, minute), given, there)
    if folder is None:
        for file, content in files.items():
            print_line(f"# --- {file}\n{content}")
        return
    _write(files, folder)
    completed(f"{len(files)} files were written to {folder}", "")
    unit = shlex.quote(str(there / name))
    print_line(f"systemd: cp {unit}.service {unit}.timer /etc/systemd/system/ && systemctl enable --now {name}.timer")
    print_line(f"cron:    crontab -l 2>/dev/null | cat - {unit}.cron | crontab -")


def schedule_files(name: str, interval: Interval, at: tuple[int, int], given: list[str], folder: Path) -> dict[str, str]:
    """Content of each file by its name; the script lies in ``folder``."""
    hour, minute = at
    program = shutil.which("predict-age") if Path(sys.argv[0]).name != "__main__.py" else None
    command = [program] if program else [sys.executable, "-m", "predict_age"]
    script = folder / f"{name}.sh"
    options = f'--as-of "$slot" --timestamp "${{slot}}T{hour:02d}:{minute:02d}:00Z"'
    return {
        script.name: (
            "#!/bin/sh\n# the run of this interval: its first day decides the ages, and one interval is one run\nset -eu\n"
            f"cd {shlex.quote(str(Path.cwd()))}\n{interval.slot}\nexec {shlex.join([*command, 'run', *given])} {options}\n"
        ),
        f"{name}.service": (
            "[Unit]\nDescription=Predict ages\nWants=network-online.target\nAfter=network-online.target\n\n"
            f"[Service]\nType=oneshot\nExecStart=/bin/sh {_unit_text(script)}\n"
            "# 75: another run holds the workspace\nSuccessExitStatus=75\n"
            "# the run is stopped as by Ctrl-C, and goes on the next time\n"
            "KillMode=mixed\nTimeoutStopSec=120\nTimeoutStartSec=infinity\n"
        ),
        f"{name}.timer": (
            f"[Unit]\nDescription=Predict ages\n\n[Timer]\nOnCalendar={interval.calendar} {hour:02d}:{minute:02d}:00 UTC\n"
            "# after a time without power, once\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
        ),
        f"{name}.cron": (
            "# a day later than the timer: cron counts in the machine's time zone; 75: another run holds the workspace\n"
            f"{minute} {hour} {interval.cron} {_cron_text(script)} || [ $? -eq 75 ]\n"
        ),
    }


def _write(files: dict[str, str], folder: Path) -> None:
    """Write ``files`` into ``folder``, all or none; scripts can be executed."""
    from predict_age.storage.durable_files import make_folder

    nearest = next(place for place in (folder, *folder.absolute().parents) if place.is_symlink() or place.exists())
    if not nearest.is_dir():
        raise ConfigError(f"--write {folder} is no folder", expected="a folder, or a new name", found=f"{nearest} is a file")
    if taken := [file for file in files if (folder / file).is_symlink() or (folder / file).exists()]:
        raise ConfigError(f"{folder / taken[0]} exists already", fix="choose another --write or --name")
    written: list[Path] = []
    try:
        make_folder(folder)
        for file, content in files.items():
            written.append(folder / file)
            with written[-1].open("x", encoding="utf-8") as stream:
                stream.write(content)
            if file.endswith(".sh"):
                written[-1].chmod(0o755)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _check_characters(texts: dict[str, list[str]]) -> None:
    """Raise ConfigError for line ends and control characters, which neither crontabs nor units can hold, and for other bytes."""
    for what, values in texts.items():
        for value in values:
            if one_line(value) != value:
                raise ConfigError(
                    f"{what} cannot stand in a unit or a crontab",
                    expected="a name in UTF-8 without line ends and control characters",
                    found=one_line(value),
                    fix="rename it, or give it a symbolic link with a plain name",
                )


def _check_cron(folder: Path) -> None:
    """Raise ConfigError for a folder that no crontab line can name: implementations read a backslash differently, and cut lines."""
    if "\\" in str(folder) or len(os.fsencode(folder)) > LONGEST_FOLDER:
        raise ConfigError(
            "the folder of the files cannot stand in a crontab",
            expected=f"a path without backslashes of at most {LONGEST_FOLDER} bytes",
            found=str(folder)[:100],
            fix="choose another --write",
        )


def _unit_text(path: Path) -> str:
    """A path as an argument in a unit file: quoted, without specifiers and variables. Names of programs may hold no quotes."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"'


def _cron_text(path: Path) -> str:
    return shlex.quote(str(path)).replace("%", "\\%")


def _time(at: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", at)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise ConfigError("--at is not a time of day", expected="HH:MM in UTC, such as 06:00", found=at)
    return int(found[1]), int(found[2])


def _missing_files(run: Any) -> list[str]:
    """Sentence for each file that the options of ``run`` name and that is not there yet: every scheduled run would stop."""
    options = {"--config": "config", "--features": "features"}
    given = [(option, run.params.get(name)) for option, name in options.items()]
    return [
        f"{option} {path} is not there yet; {did_you_mean_file(Path(path)) or 'each run stops without it'}"
        for option, path in given
        if path and not Path(path).is_file()
    ]


def _check(given: list[str]) -> Any:
    """The options of ``run`` as it reads them. Raise ConfigError, or a usage error as ``run`` does, for those that it refuses."""
    import typer.main

    for argument in given:
        if argument.partition("=")[0] in SET_BY_SCHEDULE:
            raise ConfigError(f"{argument.partition('=')[0]} is set by the schedule", fix="leave it out of the run's arguments")
    group: Any = typer.main.get_command(app)
    return group.commands["run"].make_context("predict-age run", [*given, "--as-of", "2025-10-23"])
