"""Schedules: files for systemd and cron, examples for Airflow and Dagster, and the program that is told how a run ended."""

import ast
import datetime as dt
import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jinja2
import pytest

import predict_age
from conftest import AS_OF, TINY, call, cli, tiny_run, write_jsonl
from predict_age.cli import notify as notifying_module
from predict_age.cli.schedule import INTERVALS, Every
from predict_age.config import NOT_A_FILE, NotifyConfig
from predict_age.errors import ConfigError

EXAMPLES = Path(__file__).parents[1] / "examples"
Rows = list[dict[str, Any]]
GIVEN = ("--source", "my people %$.csv", "--workspace", "work")


def imitation(folder: Path, code: int = 0) -> Path:
    """A program `predict-age` that writes its arguments into `called`, prints JSON, and ends with ``code``."""
    folder.mkdir(exist_ok=True)
    program = folder / "predict-age"
    answer = json.dumps({"run_id": "r", "rows": {"distinct": 7}, "report": "x.html", "error": {"message": "no", "fix": "do"}})
    program.write_text(
        f'#!/bin/sh\nfor a in "$@"; do echo "$a"; done > {shlex.quote(str(folder / "called"))}\necho \'{answer}\'\nexit {code}\n'
    )
    program.chmod(0o755)
    return folder


def on_the_day(folder: Path, day: str) -> None:
    """A program `date` that lives on ``day``."""
    (folder / "date").write_text(
        f'#!/bin/sh\ncase "$*" in *-d*) exec {shutil.which("date")} "$@";; *) exec {shutil.which("date")} -d "{day} 09:30:00Z" "$@";; esac\n'
    )
    (folder / "date").chmod(0o755)


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with odd letters in its name, in which a schedule is written."""
    folder = tmp_path / 'a %h $b it\'s "c"'
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["predict-age"])
    monkeypatch.setenv("PATH", f"{imitation(tmp_path / 'bin')}:{os.environ['PATH']}")
    yield folder


@pytest.mark.parametrize(
    ("every", "day", "slot"),
    [
        ("quarter", "2025-12-31", "2025-10-01"),
        ("quarter", "2026-01-01", "2026-01-01"),
        ("quarter", "2026-09-08", "2026-07-01"),
        ("month", "2026-08-31", "2026-08-01"),
        ("week", "2026-11-29", "2026-11-23"),
        ("week", "2026-03-02", "2026-03-02"),
    ],
)
def test_script_and_cron_line_run_the_interval(every: str, day: str, slot: str, units: Path, tmp_path: Path) -> None:
    """The shell runs the script, and cron's line, on some day: the interval's first day is date and time of the run, quoted as given."""
    cli("schedule", "--every", every, "--write", units / "u", "--at", "05:07", "--", *GIVEN)
    on_the_day(tmp_path / "bin", day)
    expected = ["run", *GIVEN, "--as-of", slot, "--timestamp", f"{slot}T05:07:00Z"]
    subprocess.run([units / "u" / "predict-age.sh"], check=True, cwd="/", capture_output=True)
    assert (tmp_path / "bin" / "called").read_text().splitlines() == expected
    (tmp_path / "bin" / "called").unlink()
    line = (units / "u" / "predict-age.cron").read_text().splitlines()[-1]
    minute, hour, *days, command = line.split(None, 5)
    assert (minute, hour, " ".join(days)) == ("7", "5", INTERVALS[Every(every)].cron)
    assert "%" not in command.replace("\\%", ""), "cron takes % for the end of a line"
    subprocess.run(["sh", "-c", command.replace("\\%", "%")], check=True, cwd="/", capture_output=True)
    assert (tmp_path / "bin" / "called").read_text().splitlines() == expected
    for code, success in ((75, True), (5, False)):
        imitation(tmp_path / "bin", code)
        assert (subprocess.run(["sh", "-c", command.replace("\\%", "%")], cwd="/", capture_output=True).returncode == 0) is success


@pytest.mark.parametrize("every", list(Every))
def test_systemd_accepts_the_units(every: Every, units: Path) -> None:
    """Service and timer, read by systemd itself where it is installed: no complaint, a calendar that comes, 75 as success."""
    cli("schedule", "--every", every, "--write", units / "u", "--name", "ages-2", "--", *GIVEN)
    service, timer = ((units / "u" / f"ages-2.{kind}").read_text() for kind in ("service", "timer"))
    assert "SuccessExitStatus=75\n" in service
    assert "Persistent=true\n" in timer
    assert "%%h" in service
    if found := shutil.which("systemd-analyze"):
        calendar = timer.split("OnCalendar=")[1].splitlines()[0]
        said = subprocess.run([found, "calendar", calendar], capture_output=True, text=True, check=True).stdout
        assert "Next elapse" in said
        files = [units / "u" / "ages-2.service", units / "u" / "ages-2.timer"]
        done = subprocess.run([found, "verify", "--man=no", *files], capture_output=True, text=True)
        assert "ages-2" not in done.stderr, done.stderr


def test_wrong_schedules_are_refused(units: Path) -> None:
    """Arguments that run would refuse, those that the schedule sets, and files that exist already."""
    for arguments, words in (
        (("--every", "day", "--", *GIVEN), "quarter"),
        (("--every", "week", "--", "--sorce", "x"), "Did you mean --source"),
        (("--every", "week", "--", "--sorce", "x"), "Usage: predict-age run"),
        (("--every", "week", "--", "--source", "x"), "--workspace"),
        (("--every", "week", "--", *GIVEN, "--as-of=2025-01-01"), "set by the schedule"),
        (("--every", "week", "--run-arguments", "--source 'x"), "balanced quotes"),
        (("--every", "week", "--at", "25:00", "--", *GIVEN), "HH:MM"),
        (("--every", "week", "--name", "a/b", "--", *GIVEN), "name of a unit"),
    ):
        assert words in " ".join(cli("schedule", *arguments, check=2).stderr.split()), words
    printed = cli("schedule", "--every", "week", "--run-arguments", shlex.join(GIVEN)).stdout
    assert [line for line in printed.splitlines() if line.startswith("# ---")][-1] == "# --- predict-age.cron"
    cli("schedule", "--every", "week", "--write", "u", "--", *GIVEN)
    assert "exists already" in cli("schedule", "--every", "week", "--write", "u", "--", *GIVEN, check=2).stderr


class Operator:
    """Imitation of Airflow's BashOperator: it keeps its settings and their order."""

    made: list["Operator"]

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.followed_by: list[Operator] = []
        Operator.made.append(self)

    def __rshift__(self, other: "Operator") -> "Operator":
        self.followed_by.append(other)
        return other


class Dag:
    """Imitation of Airflow's DAG."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def __enter__(self) -> "Dag":
        return self

    def __exit__(self, *_: object) -> None: ...


def modules(monkeypatch: pytest.MonkeyPatch, **names: dict[str, Any]) -> None:
    """Put modules with these contents into the place of libraries that are not installed."""
    for name, contents in names.items():
        module = ModuleType(name.replace("__", "."))
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize("by_hand", [False, True])
def test_airflow_example(by_hand: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The DAG through an imitation of Airflow, its template through Jinja: its command is one that run accepts, and 75 skips.

    The example was run with Airflow 3.3.2 itself on 2026-11-29, where a run by hand has no data interval.
    """
    path = EXAMPLES / "airflow" / "predict_age_dag.py"
    imported = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
    operators = "airflow.providers.standard.operators.bash"
    assert imported == {"datetime", "airflow", operators}
    Operator.made = []
    names: dict[str, dict[str, Any]] = {operators.replace(".", "__"): {"BashOperator": Operator}}
    for depth in range(2, 5):
        names["__".join(operators.split(".")[:depth])] = {}
    modules(monkeypatch, airflow={"DAG": Dag}, **names)
    dag = runpy.run_path(str(path))["dag"]
    assert dag.settings["schedule"] == "0 6 1 1,4,7,10 *"
    run, verify = Operator.made
    assert run.followed_by == [verify]
    assert run.settings["skip_on_exit_code"] == 75
    end = dt.datetime(2026, 1, 1, 6, tzinfo=dt.UTC)
    templates = jinja2.Environment(undefined=jinja2.StrictUndefined)
    templates.filters["ds"] = lambda time: time.date().isoformat()
    known = {"dag_run": SimpleNamespace(run_after=end)} if by_hand else {"data_interval_end": end, "dag_run": SimpleNamespace()}
    command = templates.from_string(run.settings["bash_command"]).render(known)
    monkeypatch.setenv("PATH", f"{imitation(tmp_path / 'bin')}:{os.environ['PATH']}")
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    called = (tmp_path / "bin" / "called").read_text().splitlines()
    assert called[-6:-2] == ["--as-of", "2026-01-01", "--timestamp", "2026-01-01T06:00:00+00:00"]
    code, out, _ = call(called)  # the program itself: the options exist, the files do not
    assert (code, "cannot read the configuration" in json.loads(out)["error"]["message"]) == (2, True)


class Settings:
    """Imitation of dagster.Config: fields with defaults, set by name."""

    def __init__(self, **given: Any) -> None:
        assert set(given) <= set(type(self).__annotations__)
        vars(self).update(given)


class DagsterFailureError(Exception):
    """Imitation of dagster.Failure."""

    def __init__(self, description: str, metadata: dict[str, Any], allow_retries: bool) -> None:
        super().__init__(description)
        self.description, self.metadata, self.allow_retries = description, metadata, allow_retries


def imitated_dagster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster 1.13.29 as far as the example uses it; the example was run with the library itself on 2026-11-29."""
    plain = ("Definitions", "MaterializeResult", "RetryPolicy", "RunConfig", "RunRequest", "define_asset_job")
    record = {n: lambda *a, **k: SimpleNamespace(**k) for n in plain}
    contexts = dict.fromkeys(("AssetExecutionContext", "ScheduleEvaluationContext"), object)
    more = {
        "asset": lambda **k: lambda f: f,
        "schedule": lambda **k: lambda f: SimpleNamespace(evaluate=f, **k),
        "Config": Settings,
        "Failure": DagsterFailureError,
        "DefaultScheduleStatus": SimpleNamespace(RUNNING="RUNNING"),
    }
    modules(monkeypatch, dagster={**record, **contexts, **more})


def test_dagster_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The schedule's tick becomes the time of the run; a run by hand has none; busy is skipped; failures with and without words."""
    imitated_dagster(monkeypatch)
    loaded = runpy.run_path(str(EXAMPLES / "dagster" / "predict_age_job.py"))
    ages, called = loaded["ages"], tmp_path / "bin" / "called"
    [schedule] = loaded["definitions"].schedules
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 1 1,4,7,10 *", "UTC")
    tick = dt.datetime(2026, 1, 1, 6, tzinfo=dt.UTC)
    asked = [schedule.evaluate(SimpleNamespace(scheduled_execution_time=tick)) for _ in range(2)]
    assert asked[0].run_key == asked[1].run_key == "2026-01-01T06:00:00+00:00"
    event = asked[0].run_config.ops["ages"]
    said: list[str] = []
    context = SimpleNamespace(log=SimpleNamespace(info=said.append))
    for code in (0, 75, 5, 6):
        monkeypatch.setenv("PATH", f"{imitation(tmp_path / 'bin', code)}:/usr/bin:/bin")
        if code in (5, 6):
            with pytest.raises(DagsterFailureError, match="no") as failed:
                ages(context, event)
            assert failed.value.metadata == {"exit_code": code, "fix": "do"}
            assert failed.value.allow_retries is (code == 6), "a gate stops again, a full disk may not"
        else:
            found = ages(context, event).metadata
            assert found == (
                {"run": "r", "people": 7, "report": "x.html"} if not code else {"skipped": "another run holds the workspace"}
            )
    tail = ["--as-of", "2026-01-01", "--timestamp", "2026-01-01T06:00:00+00:00", "--json"]
    assert called.read_text().splitlines()[-5:] == tail
    code, out, _ = call(called.read_text().splitlines())  # the program itself: the options exist, the files do not
    assert (code, "cannot read the configuration" in json.loads(out)["error"]["message"]) == (2, True)
    (tmp_path / "bin" / "predict-age").write_text("#!/bin/sh\necho killed >&2\nexit 137\n")
    with pytest.raises(DagsterFailureError, match="killed"):
        ages(context, event)
    imitation(tmp_path / "bin")
    ages(context, loaded["Event"]())
    assert called.read_text().splitlines()[-3:] == ["--as-of", dt.date.today().isoformat(), "--json"], "by hand: no event"


def notifying(folder: Path, body: str, seconds: float = 20) -> str:
    """Configuration with a program that runs ``body`` in sh."""
    program = folder / "tell.sh"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return f"{TINY}\n[notify]\ncommand = [{json.dumps(str(program))}]\nseconds = {seconds}\n"


def test_notification_of_each_ending(people_rows: Rows, tmp_path: Path) -> None:
    """Done, stopped by a gate, failed with and without a run: one object each, without people; a resumed run tells, too."""
    told = tmp_path / "told.json"
    config = notifying(tmp_path, f"cat > {shlex.quote(str(told))}")
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:300])
    done = tiny_run(source, tmp_path / "w", config=config)
    ending = json.loads(told.read_text())
    assert (ending["event"], ending["exit_code"], ending["run_id"], ending["status"]) == ("done", 0, done.run["run_id"], "done")
    assert ending["rows"]["distinct"] == 300
    assert Path(ending["report"]).is_file()
    assert not any(str(row["pid"]) in told.read_text() for row in people_rows[:300])
    rows = [
        {**r, "birth_year": None, "approximate_age": 20 + i * 7 % 40 if i % 2 else None} for i, r in enumerate(people_rows[:700])
    ]
    odd = write_jsonl(tmp_path / "odd.jsonl", rows)
    stopped = tiny_run(odd, tmp_path / "gate", config=config.replace("baselines = false\n", ""))
    ending = json.loads(told.read_text())
    assert (stopped.code, ending["event"], ending["gate"], ending["exit_code"]) == (5, "stopped", "model", 5)
    told.unlink()
    cli("resume", "--workspace", tmp_path / "gate", "--accept", "--quiet")
    assert json.loads(told.read_text())["event"] == "done", "the configuration of the run itself"
    tiny_run(tmp_path / "nothing.jsonl", tmp_path / "none", config=config)
    ending = json.loads(told.read_text())
    assert (ending["event"], ending["run_id"], ending["exit_code"]) == ("failed", "", 3)


def test_a_configuration_that_others_can_write_names_no_program(tmp_path: Path) -> None:
    """A run begins from Python, from a file of another user, from one that everybody can write: on resume nothing of it is run."""
    told = tmp_path / "told.json"
    file = tmp_path / "c.toml"
    file.write_text(notifying(tmp_path, f"cat > {shlex.quote(str(told))}"))

    def settings(name: str) -> NotifyConfig:
        return notifying_module._settings_of(SimpleNamespace(record={"notify_config": name}))  # type: ignore[arg-type]

    assert settings(str(file)).command
    assert not settings("").command
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="can be written by everybody"):
        settings(str(file))
    file.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(file, 12345, -1)
        with pytest.raises(ConfigError, match="belongs to another user"):
            settings(str(file))
    with pytest.raises(ConfigError, match="began from Python"):
        settings(NOT_A_FILE)
    assert not told.exists()


def test_no_record_names_a_configuration_that_is_removed(people_rows: Rows, tmp_path: Path) -> None:
    """The file into which a configuration from Python is written is gone after the run, and anybody could make one in its place."""
    write_jsonl(tmp_path / "s.jsonl", people_rows[:300])
    settings = {**tomllib.loads(TINY), "notify": {"command": [shutil.which("true")]}}
    made = predict_age.run(tmp_path / "s.jsonl", tmp_path / "w", AS_OF, config=settings)
    assert json.loads((tmp_path / "w" / "runs" / made.id / "run.json").read_text())["notify_config"] == NOT_A_FILE


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 3", "exit code 3"),
        ("echo oh no >&2; exit 1", "exit code 1: oh no"),
        ("sleep 60", "longer than 0.3 s"),
        ("exec <&-; exit 9", "exit code 9"),
        ("", "cannot be started"),
    ],
)
def test_a_notification_that_fails_changes_nothing(body: str, words: str, people_rows: Rows, tmp_path: Path) -> None:
    """Whatever the program does, the run's exit code and output are its own, and stderr says what happened."""
    config = notifying(tmp_path, body, 0.3 if "sleep" in body else 20)
    if not body:
        (tmp_path / "tell.sh").unlink()
    (tmp_path / "c.toml").write_text(config)
    code, out, said = call(
        [
            "run",
            "--source",
            tmp_path / "none.csv",
            "--workspace",
            tmp_path / "w",
            "--as-of",
            AS_OF,
            "--config",
            tmp_path / "c.toml",
            "--json",
        ]
    )
    assert code == 3
    assert json.loads(out)["error"]["exit_code"] == 3
    assert words in said
    assert "the run itself is not affected" in said


def test_webhook_example(tmp_path: Path) -> None:
    """The example posts a sentence: to a file of this machine instead of a service."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    got: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.handle_request, daemon=True).start()
    ending = {"event": "stopped", "run_id": "r1", "message": "the model is not good enough", "rows": {}}
    subprocess.run(
        [sys.executable, EXAMPLES / "cron" / "notify-webhook.py"],
        input=json.dumps(ending),
        text=True,
        check=True,
        env={**os.environ, "WEBHOOK": f"http://127.0.0.1:{server.server_port}/"},
    )
    server.server_close()
    assert json.loads(got[0])["text"] == "predict-age: run r1 stopped: the model is not good enough"


def test_files_that_are_not_there_are_said(units: Path) -> None:
    """A schedule with a misspelt name would stop every quarter."""
    (units / "predict-age.toml").write_text("")
    done = cli("schedule", "--every", "quarter", "--", *GIVEN, "--config", "predict_age.toml", "--features", "none.toml")
    assert done.stderr == (
        "note: --config predict_age.toml is not there yet; did you mean predict-age.toml?\n"
        "note: --features none.toml is not there yet; each run stops without it\n"
    )
    assert cli("schedule", "--every", "week", "--", *GIVEN, "--config", "predict-age.toml").stderr == ""
