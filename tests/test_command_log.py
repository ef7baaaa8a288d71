"""Verbose output, the JSON log, completion, and what commands say about wrong options."""

import datetime as dt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import forked
from conftest import LARGER, TINY, call, cli, cli_process, tiny_run, write_jsonl
from predict_age.cli import COMMAND_ORDER
from predict_age.cli.completion import bash_script, completed_commands
from predict_age.cli.reference import reference
from predict_age.runtime.command_log import EVENTS, FIELDS, LOG
from predict_age.runtime.progress import _rate
from processes import start

Rows = list[dict[str, Any]]
TYPES = {"done": int, "total": int, "rows": int, "seconds": float, "counts": dict, "published": bool, "exit_code": int}


def lines_of(said: str) -> list[dict[str, Any]]:
    """The lines of a JSON log: each is one object of documented fields and events, and the last one ends the command."""
    lines = [json.loads(line) for line in said.splitlines()]
    for line in lines:
        assert set(line) <= set(FIELDS), line
        assert line["event"] in EVENTS
        assert line["level"] in {"debug", "info", "warning", "error"}
        assert dt.datetime.fromisoformat(line["time"]).utcoffset() == dt.timedelta(0)
        for name, value in line.items():
            assert isinstance(value, TYPES.get(name, str)), line
    assert lines[0]["event"] == "command.started"
    assert [line["event"] for line in lines].index("command.finished") == len(lines) - 1
    return lines


def test_log_of_a_run(people_rows: Rows, tmp_path: Path) -> None:
    """Nine steps with seconds, the run's id and counts; stdout has the object of --json alone; no person is in the log."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:300])
    done = tiny_run(source, tmp_path / "w", "--log-json")
    lines = lines_of(done.said)
    finished = [line for line in lines if line["event"] == "step.finished"]
    assert [line["step"] for line in finished][1:3] == ["read_source", "training"]
    assert len(finished) == 9
    assert all(line["seconds"] >= 0 and line["run"] == done.run["run_id"] for line in finished)
    [end] = [line for line in lines if line["event"] == "run.done"]
    assert end["counts"]["distinct"] == done.run["rows"]["distinct"]
    assert end["published"]
    assert lines[-1]["exit_code"] == 0
    for row in people_rows[:300]:
        assert str(row["pid"]) not in done.said
    assert not LOG.json, "the log of one command is no other's"


def test_log_of_runs_that_end_badly(people_rows: Rows, tmp_path: Path) -> None:
    """A gate, too few ages, a time limit and a wrong option: each has its event, its exit code, and a last line."""
    rows = [
        {**r, "birth_year": None, "approximate_age": 20 + i * 7 % 40 if i % 2 else None} for i, r in enumerate(people_rows[:700])
    ]
    source = write_jsonl(tmp_path / "s.jsonl", rows)
    stopped = tiny_run(source, tmp_path / "gate", "--log-json", config=TINY.replace("baselines = false\n", ""))
    [end] = [line for line in lines_of(stopped.said) if line["event"] == "run.stopped"]
    assert (end["gate"], end["exit_code"], end["kind"], end["level"]) == ("model", 5, "QualityError", "error")
    assert "resume --accept" in end["fix"]
    few = tiny_run(source, tmp_path / "few", "--log-json", config=TINY.replace("min_rows = 20", "min_rows = 100000"))
    [end] = [line for line in lines_of(few.said) if line["event"] == "run.failed"]
    assert (end["exit_code"], end["kind"]) == (3, "InputError")
    slow = tiny_run(source, tmp_path / "slow", "--log-json", "--max-minutes", 0.001)
    [end] = [line for line in lines_of(slow.said) if line["event"] == "command.failed"]
    assert (end["exit_code"], end["kind"]) == (6, "LimitError"), "refused before it begins"
    code, out, said = call(["run", "--sorce", source, "--log-json", "--json"])
    [end] = [line for line in lines_of(said) if line["event"] == "command.failed"]
    assert (code, end["exit_code"]) == (2, 2)
    assert end["message"] == json.loads(out)["error"]["message"] == "No such option: --sorce. Did you mean --source?"


def test_log_of_an_interrupted_run(small_files: Path, quick: Path, tmp_path: Path) -> None:
    """SIGTERM in the middle of a run: run.interrupted, exit code 143, and nothing that is no JSON."""
    with start(small_files, tmp_path / "w", quick, "--log-json", "--json") as process:
        assert process.stderr is not None
        said = ""
        while '"run.begun"' not in said:
            said += (line := process.stderr.readline())
            assert line, said
        process.send_signal(signal.SIGTERM)
        said += process.stderr.read()
    assert process.returncode == 143
    lines = lines_of(said)
    [end] = [line for line in lines if line["event"] == "run.interrupted"]
    assert end["exit_code"] == lines[-1]["exit_code"] == 143


def test_training_says_how_far_it_is(people_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that takes longest has lines of progress: its parts that are done, and how many there are."""
    monkeypatch.setattr("predict_age.runtime.progress.SECONDS_BETWEEN_LINES", 0.0)
    folds = LARGER.replace("cross_fit_below_rows = 0", "cross_fit_below_rows = 5000")
    said = tiny_run(write_jsonl(tmp_path / "s.jsonl", people_rows), tmp_path / "w", "--log-json", config=folds).said
    lines = [line for line in lines_of(said) if line["event"] == "step.progress" and line["step"] == "training"]
    assert {line["unit"] for line in lines} >= {"folds that choose boosters", "folds"}
    turns = [(line["done"], line["total"]) for line in lines if "folds" in line["unit"]]
    assert turns and all(done < total for done, total in turns)


def test_python_warnings_and_plain_text_become_messages(tmp_path: Path) -> None:
    """Whatever writes to stderr, a line of the log is one JSON object."""
    with (tmp_path / "log").open("w") as stream:
        before, sys.stderr = sys.stderr, stream
        try:
            with LOG.writing(["verify", "--log-json"]):
                print('a "warning"\nof two lines', file=sys.stderr)
                sys.stderr.write("without an end")
        finally:
            sys.stderr = before
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["message"] for line in lines] == ['a "warning"', "of two lines", "without an end"]


def test_a_stderr_that_takes_nothing_stops_no_command(finished: tuple[Path, dict[str, Any]]) -> None:
    """The log is no result: a command whose log cannot be written does its work."""
    with Path("/dev/full").open("w") as full:
        done = forked.run(["runs", "--workspace", finished[0], "--json", "--log-json", "-v"], stderr=full.fileno())
    assert done.returncode == 0
    assert json.loads(done.stdout)


LOOKING = {
    "status": (),
    "runs": (),
    "models": (),
    "card": (),
    "verify": (),
    "report": (),
    "sql": ("SELECT count(*) FROM predict_age_final_results",),
    "prune": ("--dry-run",),
    "suppress": ("--check",),
}


@pytest.mark.parametrize("name", list(LOOKING))
def test_verbose_says_what_is_done_and_how_long_it_took(name: str, finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """-v and --verbose: stages with seconds on stderr; stdout is that without it; without it nothing of that."""
    writes = name == "report"  # without plots in this process
    workspace = shutil.copytree(finished[0], tmp_path / "w") if writes else finished[0]
    command: list[object] = [name, *LOOKING[name], "--workspace", workspace]
    plain, verbose = cli(*command), cli(*command, "-v")
    assert verbose.stdout == plain.stdout
    assert re.search(r"^  .*: \d+\.\d\d s$", verbose.stderr, re.M), verbose.stderr
    assert " s\n" not in plain.stderr
    stages = [line for line in lines_of(cli(*command, "--log-json").stderr) if line["event"] == "stage.finished"]
    assert stages
    assert all(line["stage"] and line["seconds"] >= 0 for line in stages)


def test_verbose_run_names_steps_as_they_begin(people_rows: Rows, tmp_path: Path) -> None:
    """A run says what it reads, each step as it begins, and each part with its duration."""
    done = tiny_run(write_jsonl(tmp_path / "s.jsonl", people_rows[:300]), tmp_path / "w", "--verbose")
    assert re.search(r"list the files of .*s\.jsonl: \d", done.said)
    assert "  3/9 " in done.said
    assert done.said.count(" ...\n") == 9
    assert re.search(r"^ +\d[\d,]* rows: \d+\.\d s$", done.said, re.M), done.said


@pytest.mark.parametrize("name", COMMAND_ORDER)
def test_short_help_and_suggestions_of_every_command(name: str) -> None:
    """-h is --help; a misspelt command and each misspelt option name the one that was meant."""
    assert cli(name, "-h").stdout == cli(name, "--help").stdout
    if not name.startswith("aws-"):
        assert f"Did you mean '{name}'" in cli(name[:-1] + "x" + name[-1], check=2).stderr
    [command] = [c for c in completed_commands() if c.name == name] or [None]
    for option in [n for o in command.options for n in o.names if len(n) > 5] if command else ():
        wrong = option[:4] + option[5:]  # a letter is missing
        known = {n for o in command.options for n in o.names}
        said = " ".join(cli(name, wrong, check=2).stderr.split())
        assert wrong in known or f"Did you mean {option}?" in said, said


def test_misspelt_keys_of_the_configuration_name_the_right_one(tmp_path: Path) -> None:
    """Every section and key, with a letter missing: the line, and the key that was meant."""
    from predict_age.config import Config

    (tmp_path / "s.csv").write_text("pid,age\n1,2\n")
    for section, field in Config.model_fields.items():
        for key in field.annotation.model_fields:  # type: ignore[union-attr]
            if len(key) < 5:
                continue
            (tmp_path / "c.toml").write_text(f"[{section}]\n{key[:3]}{key[4:]} = 1\n")
            said = cli("plan", "--source", tmp_path / "s.csv", "--config", tmp_path / "c.toml", check=2).stderr
            assert f"line 2: {section}.{key[:3]}{key[4:]}: unknown key; did you mean" in said
            assert key in said.split("did you mean ")[1], said
        (tmp_path / "c.toml").write_text(f"[{section[:-1]}]\n")
        said = cli("plan", "--source", tmp_path / "s.csv", "--config", tmp_path / "c.toml", check=2).stderr
        assert f"did you mean {section}?" in said


def test_the_documented_log_is_the_programs() -> None:
    """docs/cli.md has a row for each field and event."""
    for name in [*FIELDS, *EVENTS]:
        assert f"| `{name}` |" in reference()


def completions(line: str, folder: Path) -> list[str]:
    """Words that bash offers at the end of ``line``."""
    words = line.split(" ")
    script = bash_script(completed_commands()) + "\n"
    script += f"COMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}\n"
    script += '_predict_age; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-u", "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    assert not done.stderr
    return sorted(done.stdout.split("\n")[:-1])


def test_completion_in_bash(tmp_path: Path) -> None:
    """Commands, options, choices and files, as bash offers them."""
    (tmp_path / "people of today.csv").write_text("")
    (tmp_path / "peoples").mkdir()
    shown = {name for name in COMMAND_ORDER if not name.startswith("aws-")}
    assert set(completions("predict-age ", tmp_path)) >= shown
    assert completions("predict-age re", tmp_path) == ["report", "resume"]
    assert completions("predict-age run --work", tmp_path) == ["--workers", "--workspace"]
    assert "--workspace" in completions("predict-age run ", tmp_path)
    assert completions("predict-age run --source peo", tmp_path) == ["people of today.csv", "peoples"]
    assert completions("predict-age sql --format ", tmp_path) == ["csv", "jsonl", "parquet", "table"]
    assert completions("predict-age sql --format = c", tmp_path) == ["csv"], "--format=c, as bash splits it"
    assert completions("predict-age run --purpose d", tmp_path) == ["data_quality"]
    assert completions("predict-age completion ", tmp_path)[-3:] == ["bash", "fish", "zsh"]
    assert completions("predict-age run --workers ", tmp_path) == [""]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_everything(shell: str) -> None:
    """Each script has all commands and options; the shell itself reads it, where there is one."""
    script = cli("completion", shell).stdout
    for command in completed_commands():
        assert command.name in script
        for option in command.options:
            for name in option.names:
                assert name in script or f"-l {name[2:]}" in script or f"-s {name[1:]}" in script, (command.name, name)
    if found := shutil.which(shell):
        subprocess.run(
            [found, "-n", "-c", script] if shell != "fish" else [found, "--no-execute"], input=script, text=True, check=True
        )


def test_completion_starts_no_heavy_import() -> None:
    """The script is made in a moment."""
    began = time.process_time()
    done = cli_process("completion", "bash", env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
    assert not re.search(r"\b(numpy|pyarrow|duckdb)\b", done.stderr)
    assert time.process_time() - began < 5


def test_a_killed_run_says_so(small_files: Path, quick: Path, tmp_path: Path) -> None:
    """kill -9 leaves no message; status, its JSON and the list of runs say what is known."""
    with start(small_files, tmp_path / "w", quick, "--log-json") as process:
        assert process.stderr is not None
        while '"run.begun"' not in (line := process.stderr.readline()):
            assert line
        while '"step.started"' not in (line := process.stderr.readline()):
            assert line
        process.kill()
    assert "Why     its process ended without a word" in cli("status", "--workspace", tmp_path / "w").stdout
    assert "killed" in json.loads(cli("status", "--workspace", tmp_path / "w", "--json").stdout)["message"]
    assert "interrupted: its process ended without a word" in cli("runs", "--workspace", tmp_path / "w").stdout


def test_json_of_commands_that_write_files(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """generate and report print one object with the paths."""
    made = json.loads(cli("generate", "--rows", 10, "--out", tmp_path / "g", "--json", "--quiet", "--workers", 1).stdout)
    assert made["rows"] == 10
    assert Path(made["truth"]).is_file()
    workspace = shutil.copytree(finished[0], tmp_path / "w")  # a report written in this process has no plots
    written = json.loads(cli("report", "--workspace", workspace, "--json").stdout)
    assert written["run_id"] == finished[1]["run_id"]
    assert Path(written["report"]).is_file()


@pytest.mark.parametrize(("each_second", "words"), [(57_685, "57,685/s"), (2.5, "2.5/s"), (0.031, "32.3 s each"), (0, "0/s")])
def test_a_rate_below_one_a_second_is_a_time_for_each(each_second: float, words: str) -> None:
    assert _rate(each_second) == words
