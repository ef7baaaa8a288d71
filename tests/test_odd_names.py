"""Names of files, folders, columns and values with every awkward character: in commands, in printed commands, on the terminal."""

import io
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from conftest import TINY, call, cli, tiny_run, write_jsonl
from predict_age.cli import app
from predict_age.cli.console import PlainConsole, grid
from predict_age.cli.schedule import LONGEST_FOLDER
from predict_age.cli.usage import PATH_METAVARS
from predict_age.terminal_text import one_line, shell_word, visible

ESCAPE = "\x1b]0;owned\x07\x1b[31m"
PLAIN_NAMES = [
    "{x}",
    "{",
    "%s %d",
    "[bold]x[/bold]",
    "[/red]",
    "*?[a-z]",
    "a b",
    "it's",
    '"q"',
    "$(id) `id` $HOME",
    ":bug:",
    "-x",
    "é日",
]
WILD_NAMES = ["a\nb", ESCAPE, "\t", "\x9b31m", "\u202egnp.exe", "a\\b", "'\n"]
BAD_BYTES = b"a\xff".decode("utf-8", "surrogateescape")


def path_options() -> Iterator[tuple[str, str]]:
    """Command and option of every path that a command takes."""
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.metavar in PATH_METAVARS:
                yield name, parameter.opts[0]


@pytest.mark.parametrize(("command", "option"), list(path_options()))
def test_every_path_option_refuses_no_name_and_other_bytes(command: str, option: str, tmp_path: Path, monkeypatch: Any) -> None:
    """An empty path is not the current folder, in both spellings; a name that is not UTF-8 is refused with exit code 2."""
    monkeypatch.chdir(tmp_path)
    for given in ([option, ""], [f"{option}="]):
        said = cli(command, *given, check=2).stderr
        assert f"{option} is empty" in said
    said = cli(command, option, BAD_BYTES, check=2).stderr
    assert "not UTF-8" in said
    assert "a\\xff" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [*PLAIN_NAMES, *WILD_NAMES, BAD_BYTES, "", "é\x1b"])
def test_a_shell_reads_back_the_word(name: str) -> None:
    """Bash gets the very name from a printed word, which itself controls no terminal."""
    word = shell_word(name)
    assert one_line(word) == word
    script = f"printf %s {word}"
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout == os.fsencode(name)


@pytest.mark.parametrize("name", [*PLAIN_NAMES, *WILD_NAMES, BAD_BYTES])
@pytest.mark.parametrize("terminal", [False, True])
def test_the_console_prints_names_as_they_are(name: str, terminal: bool) -> None:
    """No markup, no emoji, no escape sequence but the console's own, in sentences, tables and titles."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    screen = Screen()
    table = grid(name, [name])
    table.add_row(name)
    console = PlainConsole(screen, width=200)
    console.print(name)
    console.print(table)
    printed = screen.getvalue()
    assert ESCAPE not in printed
    assert "\x9b" not in printed
    assert "\u202e" not in printed
    printed.encode()
    if name in PLAIN_NAMES:
        assert printed.count(name) >= 4


@pytest.mark.parametrize("text", ["", "plain é 日 \n\t", *PLAIN_NAMES])
def test_text_for_people_stays(text: str) -> None:
    """Printable characters, line ends and tabs are not changed; what is visible stays so."""
    assert visible(text) == text
    assert visible(visible(ESCAPE)) == visible(ESCAPE) == "\\x1b]0;owned\\x07\\x1b[31m"


def test_a_workspace_of_any_name(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """A run, and every command that looks at it, in a folder with all awkward characters; the printed next command is its own."""
    folder = tmp_path / "".join(n for n in [*PLAIN_NAMES, *WILD_NAMES] if "/" not in n)
    folder.mkdir()
    source = write_jsonl(folder / "s {[bold]}*?'.jsonl", people_rows[:300])
    workspace = folder / "w"
    done = tiny_run(source, workspace)
    assert done.code == 0, done.said
    for command in ("status", "runs", "verify", "models", "card", "report", "prune --dry-run", "score current --truth current"):
        code, out, said = call([*command.split(), "--workspace", workspace])
        assert code == 0, (command, said)
        assert ESCAPE not in out + said
        assert "\x1b" not in out + said, command
    [line] = [x for x in cli("status", "--workspace", workspace).stdout.splitlines() if x.startswith("Next")]
    command = line.removeprefix("Next").strip().partition(" ")[2]
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True).stdout.split(b"\0")[:-1]
    assert words[words.index(b"--workspace") + 1] == os.fsencode(workspace)
    assert "pid" in cli(*(os.fsdecode(w) for w in words)).stdout
    cli("export", "--workspace", workspace, "--to", folder / "x [1].csv")
    assert (folder / "x [1].csv").read_text().count("\n") == 301


def test_columns_and_values_do_not_control_the_terminal(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Names of columns, values, and ids of a source with escape sequences, shown by the commands that look at a source and at rows."""
    odd = f"{ESCAPE}\x80\x92\u2028\ud7ff"  # characters that JSON need not escape, and a terminal may obey
    rows = [{**row, f"col{odd}": f"{odd}{i % 2}"} for i, row in enumerate(people_rows[:300])]
    source = write_jsonl(tmp_path / f"s{ESCAPE.replace('/', '')}.jsonl", rows)
    for command in (
        ["plan"],
        ["profile"],
        ["init", "--yes", "--out", tmp_path / "made"],
        ["plan", "--json"],
        ["profile", "--json"],
    ):
        code, out, said = call([*command, "--source", source])
        assert code in (0, 2, 3), (command, said)
        assert "\x1b" not in out + said, command
        assert "\x07" not in out + said, command
        assert "--json" not in command or isinstance(json.loads(out), dict)


@pytest.mark.parametrize("name", [n for n in [*PLAIN_NAMES, *WILD_NAMES, "%h%%", "x" * (LONGEST_FOLDER + 1)] if "/" not in n])
def test_schedules_in_folders_of_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written files are right - cron's line and the script reach the program with the very arguments - or are refused with 2."""
    folder = Path(*[str(tmp_path), *(name[i : i + 200] for i in range(0, len(name), 200))])
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    program = tmp_path / "bin" / "predict-age"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nfor a in "$PWD" "$@"; do printf "%s\\0" "$a"; done > {shlex.quote(str(tmp_path / "called"))}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("sys.argv", ["predict-age"])
    given = ["--source", f"./{name[:100]}", "--workspace", "w"]
    written = cli("schedule", "--every", "week", "--write", folder, "--", *given, check=None)
    refused = one_line(name) != name or "\\" in name or len(name) > LONGEST_FOLDER
    assert written.returncode == (2 if refused else 0), written.stderr
    if refused:
        assert not (folder / "predict-age.sh").exists()
        return
    line = (folder / "predict-age.cron").read_text().splitlines()[-1].split(None, 5)[5]
    assert len(line.encode()) < 998
    assert "%" not in line.replace("\\%", "")
    for command in (["sh", "-c", line.replace("\\%", "%")], [str(folder / "predict-age.sh")]):
        (tmp_path / "called").unlink(missing_ok=True)
        subprocess.run(command, check=True, cwd="/")
        called = (tmp_path / "called").read_bytes().decode().split("\0")
        assert called[:6] == [str(folder), "run", *given]
    unit = (folder / "predict-age.service").read_text().split("ExecStart=")[1].splitlines()[0]
    assert unit.replace("%%", "").count("%") == 0


def test_schedule_writes_all_files_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the place of the folder or of its parents, a dangling link in the place of a file: exit code 2, nothing written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "predict-age.cron").symlink_to("nowhere")
    for folder in ("file", "file/below", "units"):
        cli("schedule", "--every", "week", "--write", folder, "--", "--source", "s", "--workspace", "w", check=2)
    assert [p.name for p in (tmp_path / "units").iterdir()] == ["predict-age.cron"]
    assert (tmp_path / "file").read_text() == "x"


def test_options_after_two_dashes_are_not_the_commands_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log, --json and the workspace of the run that is scheduled belong to that run."""
    monkeypatch.chdir(tmp_path)
    run = ["--source", "s", "--workspace", "w", "--log-json", "-v", "--json"]
    done = cli("schedule", "--every", "week", "--write", "u", "--", *run)
    assert not done.stderr
    done = cli("schedule", "--every", "week", "--write", "u", "--", *run, check=2)
    assert not done.stdout
    assert not done.stderr.startswith("{")


SECRET = "xoxb-TOKEN-4711"


def test_the_secret_of_a_notification_is_in_no_file(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """The command with a token is in no file of the workspace; a repeated event is told with its content; a resumed run tells."""
    told = tmp_path / "told"
    program = tmp_path / "tell.sh"
    program.write_text(f'#!/bin/sh\n[ "$1" = {SECRET} ] && cat > {told}\n')
    program.chmod(0o755)
    config = f'{TINY}\n[notify]\ncommand = ["{program}", "{SECRET}"]\n'
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:300])
    event = ("--timestamp", "2026-01-01T06:00:00Z")
    done = tiny_run(source, tmp_path / "w", *event, config=config)
    first = told.read_text()
    told.unlink()
    assert tiny_run(source, tmp_path / "w", *event, config=config).code == 0
    assert told.read_text() == first
    assert done.run["run_id"] in first
    holding = [p for p in (tmp_path / "w").rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
    assert not holding
    odd = write_jsonl(
        tmp_path / "o.jsonl", [{**r, "birth_year": None, "approximate_age": 20 + i % 40} for i, r in enumerate(people_rows[:700])]
    )
    tiny_run(odd, tmp_path / "g", config=config.replace("baselines = false\n", ""))
    told.unlink()
    (tmp_path / "g.toml").write_text(TINY)
    said = cli("resume", "--workspace", tmp_path / "g", "--accept", "--quiet").stderr
    assert "names no program any more" in said
    assert not told.exists()


@pytest.mark.parametrize(
    "body",
    ["sleep 60 >/dev/null & exit 4", "yes loud >&2 & sleep 0.5; kill $!; echo last >&2; exit 4", "exec <&-; sleep 0.1; exit 4"],
)
def test_stderr_of_a_notification_is_bounded(body: str, tmp_path: Path) -> None:
    """A child that keeps stderr open does not make the command wait; a flood is not kept in memory."""
    import time
    import tracemalloc

    from predict_age.cli.notify import _send
    from predict_age.config import NotifyConfig

    program = tmp_path / "tell.sh"
    program.write_text(f"#!/bin/bash\n{body}\n")
    program.chmod(0o755)
    tracemalloc.start()
    began = time.monotonic()
    problem = _send(NotifyConfig(command=(str(program),), seconds=30), "x" * 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "ended with exit code 4" in problem
    assert time.monotonic() - began < 20, "much less than the 30 s that the program has, on a busy machine too"
    assert peak < 8_000_000
