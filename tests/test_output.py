"""A closed or full stdout, too little memory, odd timestamps, beginnings of run ids: the right code and a true sentence."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import forked
from conftest import AS_OF, TINY, cli, shared, tiny_run, write_jsonl
from predict_age.cli.render_models import show_card
from predict_age.errors import file_error, is_out_of_memory
from predict_age.runtime.named_commands import given_workspace, with_workspace
from predict_age.sql import VIEW
from predict_age.storage.workspace import Workspace


@pytest.fixture(scope="module")
def two_runs(people_rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source and a workspace of two published runs; tests copy it."""

    def make(folder: Path) -> dict[str, Any]:
        write_jsonl(folder / "s.jsonl", people_rows[:160])
        for hour in ("01", "02"):
            outcome = tiny_run(folder / "s.jsonl", folder / "w", "--timestamp", f"2026-11-{hour}T00:00:00Z")
            assert outcome.code == 0, outcome.said
        return {}

    return shared(tmp_path_factory, "output-runs", make)[0]


def said(redirection: str, *arguments: object) -> tuple[int, str]:
    """Exit code and stderr of a command in a shell whose stdout is ``redirection``."""
    command = 'exec "$0" -m predict_age "$@" ' + redirection
    shell = ["/bin/sh", "-c", command, sys.executable, *map(str, arguments)]
    done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, timeout=120, env=dict(os.environ))
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    return done.returncode, done.stderr


BROKEN_OUTPUT = ("closed", "full")


def told(output: str, *arguments: object) -> tuple[int, str]:
    """Exit code and stderr of a command whose stdout is broken in this way."""
    with Path("/dev/full").open("w") as full:
        done = forked.run(arguments, stdout=full.fileno() if output == "full" else forked.CLOSED)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("output", BROKEN_OUTPUT)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_published_run_that_cannot_be_printed(output: str, form: tuple[str, ...], two_runs: Path, tmp_path: Path) -> None:
    """The run is published, stderr says so, and the exit code is 6."""
    shutil.copytree(two_runs, tmp_path / "c")
    source, workspace = tmp_path / "c" / "s.jsonl", tmp_path / "c" / "w"
    before = Workspace(workspace).published.current
    run = ["run", "--source", source, "--workspace", workspace, "--as-of", AS_OF, "--base", "current", "--quiet", *form]
    (tmp_path / "c" / "t.toml").write_text(TINY)
    code, stderr = told(output, *run, "--config", tmp_path / "c" / "t.toml")
    current = Workspace(workspace).published.current
    assert code == 6
    assert current != before
    assert f"predict-age: run {current} is published, but the output could not be written" in stderr
    assert ("it is closed" if output == "closed" else "the disk is full") in stderr
    assert "nothing new was published" not in stderr
    assert f"`predict-age status --workspace {workspace}` prints it" in stderr


@pytest.mark.parametrize("output", BROKEN_OUTPUT)
@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (("rollback", "--to", "previous"), "current is now run 20261101T000000Z-"),
        (("prune", "--keep", "1"), "1 runs were removed, but"),
        (("report",), "was written, but"),
        (("status",), "predict-age: the output could not be written"),
        (("status", "--json"), "predict-age: the output could not be written"),
        (("runs",), "predict-age: the output could not be written"),
        (("verify",), "predict-age: the output could not be written"),
        (("card",), "predict-age: the output could not be written"),
        (("models",), "predict-age: the output could not be written"),
        (("sql", "SHOW TABLES"), "predict-age: the output could not be written"),
        (("sql", "--format", "csv", "SELECT * FROM range(100000)"), "predict-age: the output could not be written"),
    ],
)
def test_other_commands_that_cannot_print(
    output: str, arguments: tuple[str, ...], fact: str, two_runs: Path, tmp_path: Path
) -> None:
    """Exit code 6 and a sentence about the output, for what changes something and for what only prints."""
    shutil.copytree(two_runs / "w", tmp_path / "w")
    code, stderr = told(output, *arguments, "--workspace", tmp_path / "w")
    assert (code, "internal error" in stderr) == (6, False), stderr
    assert fact in stderr


def test_help_and_version_with_a_full_stdout() -> None:
    for arguments in (("--version",), ("--help",), ("sql", "--help")):
        assert said(">/dev/full", *arguments)[0] == 6
        assert said(">/dev/null", *arguments) == (0, "")


def test_closed_stdout_is_no_files_number(two_runs: Path, tmp_path: Path) -> None:
    """Text that libraries print to file 1 must not reach a file of the run; without anything to print, nothing is wrong."""
    out = tmp_path / "o.csv"
    code, stderr = said(">&- <&-", "sql", "--workspace", two_runs / "w", "--format", "csv", "--out", out, "SELECT 7 AS a")
    assert (code, stderr) == (0, "")
    assert out.read_text() == "a\n7\n"
    code, _ = said(">&- 2>&-", "sql", "--workspace", two_runs / "w", "SELECT 7 AS a")
    assert code == 6


def test_reader_that_ends_is_no_error_of_ours(two_runs: Path) -> None:
    code, stderr = said(
        "| head -1 >/dev/null", "sql", "--workspace", two_runs / "w", "--format", "csv", "SELECT * FROM range(3000000)"
    )
    assert (code, stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (MemoryError("Unable to allocate 5 TiB"), "training"),
        (duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block of size 256.0 KiB"), "read_source"),
        (OSError("Out of Memory Error: failed to allocate data"), "final_results"),  # Arrow's, around DuckDB's
        (ImportError("/x/_duckdb.so: failed to map segment from shared object"), "read_source"),
        (RuntimeError("can't start new thread"), "training"),
    ],
)
def test_too_little_memory_in_a_step(
    error: Exception, step: str, two_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 6 with advice, the sentence in the status, and the run can be resumed."""
    from predict_age.pipeline import runner

    real = runner.run_step

    def strike(run: Any, which: Any) -> Any:
        if which.name == step:
            raise error
        return real(run, which)

    monkeypatch.setattr(runner, "run_step", strike)
    outcome = tiny_run(two_runs / "s.jsonl", tmp_path / "w")
    assert outcome.code == 6
    assert "out of resources: the memory is used up" in outcome.said
    assert "resume --workers" in outcome.said
    shown = json.loads(cli("status", "--workspace", tmp_path / "w", "--json").stdout)
    assert (shown["status"], "the memory is used up" in shown["message"]) == ("failed", True)
    monkeypatch.undo()
    cli("resume", "--workspace", tmp_path / "w")


def test_other_errors_are_not_taken_for_memory() -> None:
    others: list[BaseException] = [
        OSError("disk"),
        duckdb.ConversionException("Conversion Error: Out of Memory"),
        ValueError("x"),
        RuntimeError("x"),
        ImportError("no module"),
    ]
    assert not any(map(is_out_of_memory, others))


@pytest.mark.parametrize("command", ["status", "runs", "verify", "sql"])
def test_memory_of_other_commands(command: str, two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sentence and code wherever DuckDB runs out of memory."""

    def strike(*_: object) -> None:
        raise duckdb.OutOfMemoryException("Out of Memory Error: could not allocate")

    monkeypatch.setattr(Workspace, "runs", strike)
    monkeypatch.setattr(Workspace, "resolve", strike)
    monkeypatch.setattr("predict_age.query.tables.connect_tables", strike)
    done = cli(command, "--workspace", two_runs / "w", *(["SELECT 1"] if command == "sql" else []), check=6)
    assert "the memory is used up" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+12:00",
        "0001-01-01T00:00:00Z",
        "1969-12-31T00:00:00Z",
        "2025-10-23T06:00:00",
        "2025-13-01T00:00:00Z",
        "now",
    ],
)
def test_timestamps_that_no_run_can_have(text: str, two_runs: Path, tmp_path: Path) -> None:
    outcome = tiny_run(two_runs / "s.jsonl", tmp_path / "w", "--timestamp", text)
    assert outcome.code == 2
    assert "--timestamp is " in outcome.said
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("command", ["run", "generate", "init"])
def test_names_that_no_file_can_have(command: str, two_runs: Path, tmp_path: Path) -> None:
    """A name of 300 letters is an error of usage, which names the limit, and speaks of no run that could go on."""
    long = str(tmp_path / ("x" * 300))
    given = {
        "run": ("--source", two_runs / "s.jsonl", "--workspace", long, "--as-of", AS_OF),
        "generate": ("--rows", 10, "--out", long),
        "init": ("--source", two_runs / "s.jsonl", "--out", long, "--yes"),
    }
    done = cli(command, *given[command], check=2)
    assert "at most 255 bytes" in done.stderr
    assert "resume" not in done.stderr


@pytest.mark.parametrize(("of_run", "said"), [(True, True), (False, False)])
def test_only_a_run_can_be_resumed(of_run: bool, said: bool) -> None:
    """A full disk in another command than a run is no reason to resume one."""
    error = file_error(OSError(errno.ENOSPC, "No space left on device"), of_run=of_run)
    assert error.exit_code == 6
    assert ("predict-age resume" in error.fix) is said


def test_last_possible_timestamp(two_runs: Path, tmp_path: Path) -> None:
    """The latest time can be used twice: the second run is a second later."""
    for _ in range(2):
        assert tiny_run(two_runs / "s.jsonl", tmp_path / "w", "--timestamp", "9998-12-31T11:59:59-12:00", "--shadow").code == 0


@pytest.mark.parametrize(
    ("command", "option"),
    [("rollback", "--to"), ("verify", "--run"), ("card", "--run")],
)
def test_unique_beginning_of_a_run_id(command: str, option: str, two_runs: Path, tmp_path: Path) -> None:
    """The beginning of one run's id names it; that of several is refused with their ids, and so is what none begins with."""
    shutil.copytree(two_runs / "w", tmp_path / "w")
    space = Workspace(tmp_path / "w")
    first, second = (r.id for r in space.runs())
    for unique in (first, first[:8], first[:-1]):
        cli(command, "--workspace", space.root, option, unique)
        assert command != "rollback" or space.published.current == first
    for ambiguous in ("2", "202611", first[:7]):
        done = cli(command, "--workspace", space.root, option, ambiguous, check=2)
        assert f"several run ids begin with {ambiguous!r}" in done.stderr
        assert f"found: {first}, {second}" in done.stderr
    for nothing in ("x", first + "0", "../" + first, "."):
        assert "there is no run" in cli(command, "--workspace", space.root, option, nothing, check=2).stderr
    assert f"{option} is empty" in cli(command, "--workspace", space.root, option, "", check=2).stderr


def test_names_without_a_run_are_explained(tmp_path: Path) -> None:
    """They were "no run 'previous'", and "previous" was expected."""
    (tmp_path / "ids.txt").write_text("5\n")
    cli("suppress", "--workspace", tmp_path / "w", "--pid-file", tmp_path / "ids.txt")
    assert "no run has been published yet" in cli("verify", "--workspace", tmp_path / "w", check=2).stderr
    said = cli("diff", "previous", "current", "--workspace", tmp_path / "w", check=2).stderr
    assert "no other run was published before the current one" in said


def test_whole_id_wins_over_beginnings(two_runs: Path, tmp_path: Path) -> None:
    """A run whose id begins another's is meant by its own id."""
    shutil.copytree(two_runs / "w", tmp_path / "w")
    space = Workspace(tmp_path / "w")
    first = space.runs()[0].id
    shutil.copytree(space.run(first).path, space.run(first + "0").path)
    assert space.resolve(first).id == first
    assert space.resolve(first + "0").id == first + "0"


def test_output_check_can_fail(monkeypatch: pytest.MonkeyPatch, two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the checked stdout, a failed write is reported as one of the machine, without what was done."""
    from contextlib import nullcontext

    app = sys.modules["predict_age.cli.app"]

    class Full:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(app, "checked_stdout", nullcontext)
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "argv", ["predict-age", "runs", "--json", "--workspace", str(two_runs / "w")])
    with pytest.raises(SystemExit) as end:
        app.run_cli()
    assert end.value.code == 6
    assert "the output could not be written" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("or `predict-age resume --accept`", "or `predict-age resume --accept --workspace 'my work'`"),
        (
            "`predict-age resume`, or `predict-age runs`",
            "`predict-age resume --workspace 'my work'`, or `predict-age runs --workspace 'my work'`",
        ),
        ("`predict-age rollback --to` a valid run", "`predict-age rollback --workspace 'my work' --to` a valid run"),
        ("`predict-age rollback --to RUN` writes it", "`predict-age rollback --to RUN --workspace 'my work'` writes it"),
        ("`predict-age resume --workspace other`", "`predict-age resume --workspace other`"),
        ("`predict-age run` and `predict-age runsx` and `resume`", "`predict-age run` and `predict-age runsx` and `resume`"),
    ],
)
def test_named_commands_can_be_copied(text: str, completed: str) -> None:
    """Commands in messages name the workspace, quoted where needed, once, and before an option whose value follows in words."""
    assert with_workspace(text, Path("my work")) == completed


@pytest.mark.parametrize(
    ("arguments", "workspace"),
    [
        (["runs", "--workspace", "w"], Path("w")),
        (["runs", "--workspace=w/x", "--json"], Path("w/x")),
        (["runs", "--workspace"], None),
        (["runs"], None),
    ],
)
def test_workspace_of_the_command(arguments: list[str], workspace: Path | None) -> None:
    assert given_workspace(arguments) == workspace


def test_errors_name_the_workspace(two_runs: Path) -> None:
    """A message of a command on a workspace names commands that work as they stand."""
    space = two_runs / "w"
    said = cli("verify", "--workspace", space, "--run", "nothing", check=2).stderr
    assert f"`predict-age runs --workspace {space}`" in said


def test_diff_of_a_run_with_itself(two_runs: Path) -> None:
    """Two names of one run are refused with a sentence that names the run and what to do."""
    space = Workspace(two_runs / "w")
    published = space.published
    quarter = next(q for q, r in published.quarters.items() if r == published.current)
    said = cli("diff", quarter, "current", "--workspace", space.root, check=2).stderr
    assert "both names mean the same run" in said
    assert f"{quarter} and current are run {published.current}" in said
    assert f"name the earlier run by its id; `predict-age runs --workspace {space.root}` lists them" in said


def test_unknown_table_names_those_that_exist(two_runs: Path) -> None:
    said = cli("sql", "--workspace", two_runs / "w", "SELECT * FROM foo", check=2).stderr
    tables = said.partition("tables: ")[2].strip().split(", ")
    assert {VIEW, "predict_age_final_results", "predict_age_human_qa"} <= set(tables)
    assert "pg_" not in said, "tables of DuckDB's own catalogue are not proposed"
    near = cli("sql", "--workspace", two_runs / "w", "SELECT * FROM predict_age_human_q", check=2).stderr
    assert 'Did you mean "predict_age_human_qa' in near
    assert "tables: " not in cli("sql", "--workspace", two_runs / "w", f"SELECT nothing FROM {VIEW}", check=2).stderr


def test_next_query_can_be_run(two_runs: Path) -> None:
    """The query of the line Next gives the columns to look at first: with usable, and with source_id only for ids that are text."""
    said = cli("status", "--workspace", two_runs / "w").stdout
    [query] = re.findall(r'^Next .*"(SELECT [^"]*)"', said, re.MULTILINE)
    header = cli("sql", "--workspace", two_runs / "w", "--format", "csv", query).stdout.splitlines()[0]
    assert header == "pid,predicted_age,age_lower,age_upper,usable,prediction_source"
    assert "of all people" not in said


@pytest.mark.parametrize("command", ["run", "diff", "sql", "status"])
def test_missing_options_show_an_example(command: str) -> None:
    done = cli(command, check=2)
    assert f"Example: predict-age {command} " in done.stderr


PRINTING = {
    "plan": ("--source", "{s}", "--as-of", AS_OF, "--config", "{tiny}"),
    "status": (),
    "runs": (),
    "report": (),
    "sql": ("SELECT * FROM predict_age_final_results",),
    "diff": ("{first}", "current"),
    "verify": (),
    "models": (),
    "card": (),
    "prune": ("--dry-run",),
    "generate": ("--rows", "50", "--out", "{out}"),
    "init": ("--source", "{s}", "--out", "{out}"),
}
WITHOUT_WORKSPACE = ("plan", "generate", "init")


@pytest.mark.parametrize("command", [*PRINTING, "--help"])
def test_a_reader_that_has_ended_ends_the_command_quietly(command: str, two_runs: Path, tmp_path: Path) -> None:
    """As `command | head`: exit code 141, that of a command which SIGPIPE ends, and not a word on stderr."""
    runs = Workspace(two_runs / "w").runs()
    (tmp_path / "t.toml").write_text(TINY)
    names = {"s": two_runs / "s.jsonl", "first": runs[0].id, "tiny": tmp_path / "t.toml", "out": tmp_path / "out"}
    arguments = [str(a).format(**names) for a in PRINTING.get(command, ())]
    if command in PRINTING and command not in WITHOUT_WORKSPACE:
        arguments += ["--workspace", str(two_runs / "w")]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = forked.run([command, *arguments], stdout=writing)
    finally:
        os.close(writing)
    quiet = [line for line in done.stderr.splitlines() if "Generate" not in line]
    assert (done.returncode, quiet) == (141, []), done.stderr


def test_json_lines_of_a_query_are_json(two_runs: Path) -> None:
    """Numbers that JSON does not have are null; a second column of one name is an error, since an object has each key once."""
    query = "SELECT 0.0/0.0 AS a, 1e400::DOUBLE AS b, [0.0/0.0, 1.5] AS c LIMIT 1"
    out = cli("sql", "--workspace", two_runs / "w", "--format", "jsonl", query).stdout
    assert json.loads(out, parse_constant=pytest.fail) == {"a": None, "b": None, "c": [None, 1.5]}
    refused = cli("sql", "--workspace", two_runs / "w", "--format", "jsonl", "SELECT 1 AS a, 2 AS a", check=2)
    assert "appears twice" in refused.stderr


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [_Terminal, io.StringIO])
def test_sentences_are_wrapped_between_words(stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 60 columns broke them inside words; piped, each is one line. A command stays in one line, to be copied."""
    sentence = "People aged 55–64 are predicted 12.9 years too young on average (95 % interval 11.4 to 14.4) and covered in 71 %."
    command = "see `predict-age rollback --workspace a/very/long/path/to/the/workspace --to 2025q3`"
    held_out = {"mae": 5.0, "coverage": 0.9, "rows": 10}
    findings = [{"kind": "age band", "sentence": sentence}, {"kind": "other", "sentence": command}]
    printed = stream()
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stdout", printed)
    show_card({"model_version": "age-1", "held_out": held_out, "findings": findings}, Path("card.html"))
    lines = printed.getvalue().splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("  1. age band: People"))
    last = lines.index(f"  2. other: {command}")
    assert " ".join(line.strip() for line in lines[first:last]) == f"1. age band: {sentence}"
    assert last - first == (3 if stream is _Terminal else 1)
    assert stream is io.StringIO or all(len(line) <= 60 for line in lines[first:last])


@pytest.mark.parametrize("width", [60, 0])
def test_errors_on_a_terminal_are_wrapped_between_words(width: int, tmp_path: Path) -> None:
    """Each part of the message below its own first word, with nothing lost; 0: a terminal that does not know its width."""
    (tmp_path / "staff.csv").write_text(",".join(f"column {n}" for n in range(30)) + "\n" + ",".join("1" * 30) + "\n")
    command = [sys.executable, "-m", "predict_age", "plan", "--source", "staff.csv"]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stderr
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=follower)
    shown = os.read(leader, 1 << 16).decode().replace("\r\n", "\n")
    os.close(leader)
    os.close(follower)
    assert shown.split() == piped.split() and "found: columns column 0" in shown
    long = [line for line in shown.splitlines() if len(line) > (width or 80) and " " in line.strip()]
    assert len(long) == 1 and "`predict-age init`" in long[0], "a line with a command stays one, to be copied"


@pytest.mark.parametrize("arguments", [("sql", "SELECT 1", "--workspace", "w", "--format", "xml"), ("completion", "powershell")])
def test_a_choice_that_does_not_exist_is_said_plainly(arguments: tuple[str, ...]) -> None:
    """Without the name that a library has for such errors."""
    said = cli(*arguments, check=2).stderr
    assert "is not one of" in said and "Value error" not in said
