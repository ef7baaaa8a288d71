"""With --json a command that fails prints one JSON object, too: the error, and where a run had begun, the run, its gate and reason."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import AS_OF, TINY, call, cli, run_json, tiny_run, write_jsonl
from predict_age.cli import app
from predict_age.cli.failure import EXIT_CODES
from predict_age.storage.workspace import Workspace

Rows = list[dict[str, Any]]
NEEDED = {
    "diff": ("a", "b"),
    "score": ("a", "--truth", "t.csv"),
    "ab": ("a", "--truth", "t.csv"),
    "promote": ("age-0000000",),
    "export": ("--to", "r.csv"),
}


def told(arguments: list[object], code: int) -> dict[str, Any]:
    """The one JSON object that a failing command prints; the exit code must be ``code``."""
    found, out, said = call(arguments)
    assert found == code, said
    assert out.count("\n") == 1, out
    value = json.loads(out)
    assert value["error"]["exit_code"] == code
    assert value["error"]["message"]
    assert value["error"]["message"].splitlines()[0] in said or code == 2
    return dict(value)


def json_commands() -> Iterator[str]:
    for command in app.registered_commands:
        if command.callback is not None and "as_json" in command.callback.__annotations__:
            yield command.name or ""


@pytest.mark.parametrize("name", list(json_commands()))
def test_every_command_tells_its_failure(name: str, tmp_path: Path) -> None:
    """A workspace that does not exist, and an option that does not exist: exit code 2 and one object."""
    wrong: list[object] = [name, *NEEDED.get(name, ()), "--json", "--workspace", tmp_path / "none"]
    if name in ("run", "plan", "init", "profile"):
        wrong = [name, "--source", tmp_path / "none.csv", "--as-of", "yesterday", "--json"]
        wrong += ["--workspace", tmp_path / "w"] if name == "run" else []
    if name == "generate":
        wrong = [name, "--rows", 1, "--out", tmp_path / "g", "--shift", "nowhere", "--json"]
    value = told(wrong, 2)
    assert value["error"]["kind"] == "ConfigError"
    assert told([name, "--json", "--no-such-option"], 2)["error"]["kind"] == EXIT_CODES[2]
    code, out, _ = call([name, "--no-such-option"])
    assert (code, out) == (2, ""), "without --json nothing is printed"


@pytest.mark.parametrize("gate", ["leaks", "model", "predictions", "drift"])
def test_each_gate_is_told_with_the_run(gate: str, people_rows: Rows, tmp_path: Path) -> None:
    """Exit code 5: the run object with the failed gate, the reason and what was found; resume says the same again."""
    rows, config, more = people_rows[:700], TINY, []
    if gate == "leaks":
        ages = [r["approximate_age"] or (r["birth_year"] and 2025 - r["birth_year"]) for r in rows]
        rows = [{**r, "profile_json": {**r["profile_json"], "tenure_months": a}} for r, a in zip(rows, ages, strict=True)]
    elif gate == "model":
        config = TINY.replace("baselines = false\n", "")  # ages that have nothing to do with the profiles
        rows = [{**r, "birth_year": None, "approximate_age": 20 + i * 7 % 40 if i % 2 else None} for i, r in enumerate(rows)]
    elif gate == "predictions":
        rows = [r if r["approximate_age"] or r["birth_year"] else {**r, "profile_json": None} for r in rows]
    else:
        run_json(write_jsonl(tmp_path / "before.jsonl", rows), tmp_path / "w", "--config", _file(tmp_path / "b.toml", TINY))
        rows = [{**r, "profile_json": {**r["profile_json"], "email_provider": "x", "skills": []}} for r in rows]
        config, more = TINY.replace("[gates]", "[gates]\ndrift = true"), ["--model", "champion"]
    source = write_jsonl(tmp_path / "s.jsonl", rows)
    space, settings = tmp_path / "w", _file(tmp_path / "c.toml", config)
    command = ["run", "--source", source, "--workspace", space, "--as-of", AS_OF, "--config", settings, "--json", *more]
    value = told(command, 5)
    assert value["gate"] == gate
    assert value["status"] == "failed"
    assert value["reason"] == value["error"]["message"] in value["message"]
    assert value["error"]["kind"] == "QualityError"
    assert value["error"]["found"]
    assert str(space) in value["error"]["fix"]
    again = told(["resume", "--workspace", space, "--json"], 5)
    assert (again["run_id"], again["gate"]) == (value["run_id"], gate)
    done = json.loads(cli("resume", "--workspace", space, "--accept", "--json").stdout)
    assert (done["status"], "error" in done) == ("done", False)


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_other_exit_codes_of_a_run(people_rows: Rows, tmp_path: Path) -> None:
    """3: too few known ages; 6: the time limit; 75: the workspace is held; 4: a damaged result. Each prints one object."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:300])
    settings = _file(tmp_path / "c.toml", TINY)
    command: list[object] = ["run", "--source", source, "--as-of", AS_OF, "--json"]
    few = _file(tmp_path / "f.toml", TINY.replace("min_rows = 20", "min_rows = 100000"))
    value = told([*command, "--workspace", tmp_path / "few", "--config", few], 3)
    assert value["status"] == "failed"
    assert value["gate"] is None
    assert told([*command, "--workspace", tmp_path / "slow", "--config", settings, "--max-minutes", 0.001], 6)["error"]["kind"]
    held = Workspace(tmp_path / "held")
    held.create()
    with held.hold("another command", 60):
        value = told([*command, "--workspace", tmp_path / "held", "--config", settings], 75)
        assert "run_id" not in value, "the run of somebody else is not this one's"
    done = tiny_run(source, tmp_path / "w", config=TINY)
    next((tmp_path / "w" / "runs" / done.run["run_id"] / "results").glob("part_*.parquet")).write_bytes(b"x")
    code, out, _ = call(["verify", "--workspace", tmp_path / "w", "--json"])
    assert code == 4
    assert json.loads(out), "the verification itself, or the error: one object"
