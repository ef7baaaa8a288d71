"""Commands with --workspace s3://...: those that work there ask the functions, the others say what there is instead."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cloud import athena
from conftest import cli, tiny_run, write_jsonl
from predict_age.aws import workspace_commands
from predict_age.aws.athena import Athena
from predict_age.aws.execution_lease import ExecutionLease, acquire_execution_lease, current_execution_lease
from predict_age.aws.hidden_people import hide_from_view
from predict_age.aws.lambdas import diff, final_results, old_runs, pre_cleanup
from predict_age.aws.lambdas.runtime import call_of
from predict_age.aws.object_names import comparison_table
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.cli import app
from predict_age.cli.s3_workspace import INSTEAD, WORK_THERE
from predict_age.pipeline.suppress import parse_ids
from predict_age.records.json_fields import from_json
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.sql import for_athena
from predict_age.storage.durable_files import hashed_json, parse_hashed_json, read_json
from predict_age.storage.publication import publish, raise_fence, read_published
from predict_age.storage.row_accounting import RowAccounting
from predict_age.storage.workspace import RunFolder, Workspace
from predict_age.tally import Tally
from test_aws_cleanup import BUCKET, OUTPUTS, failed_run, finished_run, runs_in, store  # noqa: F401 - fixtures

pytestmark = [pytest.mark.xdist_group("cloud"), pytest.mark.filterwarnings("default")]
THERE = ("--workspace", f"s3://{BUCKET}/predict-age")
HANDLERS = {"predict-age-final-results": final_results, "predict-age-pre-cleanup": pre_cleanup}
NEVER_THERE = {"init", "plan", "profile", "generate", "completion", "schedule"}  # commands without a workspace that has runs


class Lambda:
    """The functions as Lambda runs them: JSON in and out, errors by type and message."""

    def __init__(self, prefix: str = "predict-age") -> None:
        self.prefix = prefix

    def get_function_configuration(self, FunctionName: str) -> Any:  # noqa: N803 - boto3's name
        assert FunctionName in HANDLERS, "ResourceNotFoundException"
        return {"Environment": {"Variables": {"PREDICT_AGE_BUCKET": BUCKET, "PREDICT_AGE_PREFIX": self.prefix}}}

    def invoke(self, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803 - boto3's names
        try:
            answer = HANDLERS[FunctionName].handle(json.loads(Payload), SimpleNamespace(aws_request_id="one"))
        except Exception as error:
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(told).encode())}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def space(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:  # noqa: F811
    """A workspace with its functions, workgroup and database; no execution runs."""
    athena.install()
    boto3.client("glue").create_database(DatabaseInput={"Name": "people"})
    settings = {"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/athena/"}, "BytesScannedCutoffPerQuery": 10_000_000}
    boto3.client("athena").create_work_group(Name="people", Configuration=settings)
    monkeypatch.setattr(workspace_commands, "client_with", lambda *_: Lambda())
    monkeypatch.setattr(old_runs, "execution_is_running", lambda _: False)
    yield store


@pytest.fixture(scope="module")
def two_quarters(people_rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of this machine with two published quarters, whose people are not quite the same ones."""
    folder = tmp_path_factory.mktemp("quarters")
    for quarter, rows, as_of in (("a", people_rows[:100], "2025-07-10"), ("b", people_rows[7:110], "2025-10-23")):
        assert tiny_run(write_jsonl(folder / f"{quarter}.jsonl", rows), folder / "w", as_of=as_of).code == 0
    return Workspace(folder / "w")


def moved(store: Store, run: RunFolder) -> None:  # noqa: F811
    """Bring a run of this machine to the bucket, as its execution would have left it, and publish it."""
    call = call_of({"run_id": run.id, "token": "0"}, SimpleNamespace(aws_request_id="two"))
    for name in ("run.json", "request.json"):
        store.put_part(call.name(name), hashed_json(read_json(run.path / "run.json")).encode())
    for step in ("pre_cleanup", *OUTPUTS):
        record = read_json(run.step_file(step))
        record["outputs"] = {}
        if step == "final_results":
            record["facts"]["location"] = store.url(call.name("results/1-0")) + "/"
        else:
            store.put_part(call.name(f"steps/{step}.json"), hashed_json(record).encode())
    for part in sorted((run.path / "results").glob("*.parquet")):
        store.put_part(call.name(f"results/1-0/{part.stem}"), part)
    tally = from_json(Tally, record["facts"]["tally"])
    books = RowAccounting.of(call.facts(ReadSourceFacts), tally)
    manifest = final_results.manifest_text(call, books, tally, record["facts"]["location"]).encode()
    store.put_part(call.name("manifest.json"), manifest)
    content_hash = parse_hashed_json(manifest, "manifest")[1]
    record["facts"]["manifest"] = content_hash
    store.put_part(call.name("steps/final_results.json"), hashed_json(record).encode())
    documents = S3Documents(store)
    publish(documents, raise_fence(documents, 0), run.id, call.run()["quarter"], content_hash)


def asked(*arguments: object, check: int = 0) -> Any:
    done = cli(*arguments, *THERE, "--json", check=check)
    return json.loads(done.stdout) if check == 0 else done.stderr


def test_diff_is_that_of_one_machine(space: Store, two_quarters: Workspace, tmp_path: Path) -> None:
    """Every number, and the people with the largest jumps; suppressed people in neither; nothing is left in the catalogue."""
    for run in two_quarters.runs():
        moved(space, run)
    quarters = sorted(two_quarters.published.quarters)
    assert len(quarters) == 2
    for more in ((), ("--people",), ("--people", "--jump", "0.1")):
        here = json.loads(cli("diff", *quarters, "--workspace", two_quarters.root, "--json", *more).stdout)
        assert asked("diff", *quarters, *more) == here
        assert here["both"] > 80
        assert here["only_before"] > 0
        assert here["only_after"] > 0
    assert here["jumps"], "the last one names people"
    assert asked("diff", "previous", "current") == asked("diff", *quarters)
    assert "nothing to compare" in asked("diff", "current", quarters[1], check=2)
    assert "no finished run 2020q1" in asked("diff", "2020q1", "current", check=2)
    hide_from_view(space, parse_ids(str(here["jumps"][0]["pid"]).encode(), "ids", None), 1, release=False, rebuild=False)
    assert asked("diff", *quarters)["both"] == here["both"] - 1
    left = boto3.client("glue").get_tables(DatabaseName="people")["TableList"]
    assert [table["Name"] for table in left] == ["predict_age_hidden_people"]
    assert "people in both" in cli("diff", *quarters, *THERE).stdout
    assert "--out" in cli("diff", *quarters, *THERE, "--out", tmp_path / "x.csv", check=2).stderr
    some_object = next(name for name, _ in space.names("runs/") if "/results/" in name)
    space.delete([some_object])
    assert "is missing" in asked("diff", *quarters, check=4)


def test_comparisons_at_once_share_no_table(space: Store, two_quarters: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole comparison while another one is between its tables and its query: both have the same answer."""
    for run in two_quarters.runs():
        moved(space, run)
    alone = asked("diff", "previous", "current")
    query, inner = Athena.rows, []

    def interrupted(athena: Athena, statement: str) -> list[dict[str, str | None]]:
        if not inner:
            inner.append({})
            inner[0] = asked("diff", "previous", "current")
        return query(athena, statement)

    monkeypatch.setattr(Athena, "rows", interrupted)
    assert asked("diff", "previous", "current") == alone
    assert inner == [alone]


def test_tables_of_a_comparison_that_was_ended_are_dropped_by_the_next(
    space: Store, two_quarters: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its function cannot work any more; those of one that may still work stay, as do tables of other names."""
    for run in two_quarters.runs():
        moved(space, run)
    now = int(time.time())
    names = [comparison_table(now - age, "abc", "before") for age in (0, 800, 1000, 100_000)]
    names += ["predict_age_final_results_diff", "predict_age_final_results_diff_x_abc_after", "predict_age_final_results_2025q3"]
    glue = boto3.client("glue")
    for name in names:
        glue.create_table(DatabaseName="people", TableInput={"Name": name, "TableType": "EXTERNAL_TABLE"})
    asked("diff", "previous", "current")
    left = {table["Name"] for table in glue.get_tables(DatabaseName="people")["TableList"]}
    assert left == {*names, "predict_age_hidden_people"} - {*names[2:4]}


def test_a_comparison_whose_role_may_not_list_tables_says_what_it_left(
    space: Store, two_quarters: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lake Formation may refuse GetTables: the comparison has its answer, and the log names the tables that may be left."""
    for run in two_quarters.runs():
        moved(space, run)
    alone = asked("diff", "previous", "current")

    class Refusing:
        def get_paginator(self, _: str) -> Any:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no right to list"}}, "GetTables")

    monkeypatch.setattr(diff, "client", lambda _: Refusing())
    caplog.clear()
    assert asked("diff", "previous", "current") == alone
    (said,) = [json.loads(r.message) for r in caplog.records if "not_dropped" in r.message]
    assert said["not_dropped"] == "predict_age_final_results_diff_*" and "no right to list" in said["message"]


def test_verify_and_rollback(space: Store, two_quarters: Workspace) -> None:
    """The current run, a quarter, the one before; damage is exit code 4 and changes nothing."""
    for table in ("predictions", "human_qa", "final_results"):
        Athena("people", "people").run(for_athena(f"{table}_table", location=f"s3://{BUCKET}/before/"))
    runs = two_quarters.runs()
    for run in runs:
        moved(space, run)
    found = asked("verify")
    assert (found["run_id"], found["published"]) == (runs[1].id, True)
    assert asked("verify", "--run", "previous")["run_id"] == runs[0].id
    assert "is whole" in cli("verify", *THERE).stdout
    shown = asked("runs")
    assert [(r["run_id"], r["state"], r["current"]) for r in shown] == [(runs[0].id, "done", False), (runs[1].id, "done", True)]
    assert "(current)" in cli("runs", *THERE).stdout
    assert asked("rollback")["run_id"] == runs[0].id
    assert read_published(S3Documents(space)).current == runs[0].id
    shown_table = boto3.client("glue").get_table(DatabaseName="people", Name="predict_age_final_results")["Table"]
    assert runs[0].id in shown_table["StorageDescriptor"]["Location"]
    assert asked("rollback", "--to", runs[1].id)["before"] == runs[0].id
    space.delete([name for name, _ in space.names(f"runs/{runs[0].id}/results/")])
    assert "is missing" in asked("rollback", check=4)
    assert "is missing" in asked("verify", "--run", "previous", check=4)
    assert "no finished run" in asked("verify", "--run", "20200101", check=2)
    assert read_published(S3Documents(space)).current == runs[1].id


def test_prune_removes_what_an_execution_would(space: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published runs and the newest finished ones stay; a dry run removes nothing; a running execution keeps everything."""
    published = finished_run(space, 1, "2025q3")
    finished = [finished_run(space, day) for day in (2, 3, 4)]
    failed = [failed_run(space, day) for day in (5, 6)]
    everything = runs_in(space)
    listed = [row["run_id"] for row in asked("prune", "--keep", 1, "--dry-run")["removed"]]
    assert sorted(listed) == sorted([*finished[:2], failed[0]])
    assert runs_in(space) == everything
    lease = acquire_execution_lease(S3Documents(space), "arn:aws:states:1:1:execution:x:y", failed[1], lambda _: False)
    monkeypatch.setattr(old_runs, "execution_is_running", lambda _: True)
    assert "workspace is in use" in asked("prune", "--keep", 1, check=75)
    assert runs_in(space) == everything
    monkeypatch.setattr(old_runs, "execution_is_running", lambda _: False)
    assert [row["run_id"] for row in asked("prune", "--keep", 1)["removed"]] == listed
    assert runs_in(space) == {published, finished[2], failed[1]}
    now = current_execution_lease(S3Documents(space))
    assert now is not None
    assert now.released
    assert now.token > lease.token
    assert "Nothing to remove" in cli("prune", *THERE).stdout
    assert read_published(S3Documents(space)).removing == []


def test_a_run_that_is_published_before_the_lease_is_taken_stays(space: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An execution that ends between the look at the lease and taking it: what it published is not removed."""
    runs = [finished_run(space, day, "2025q2" if day == 1 else "") for day in (1, 2, 3)]
    take = old_runs.acquire_execution_lease

    def published_before(documents: S3Documents, *arguments: Any) -> ExecutionLease:
        publish(documents, raise_fence(documents, 0), runs[1], "2025q3", "x")
        return take(documents, *arguments)

    monkeypatch.setattr(old_runs, "acquire_execution_lease", published_before)
    assert asked("prune", "--keep", 1)["removed"] == []
    assert runs_in(space) == set(runs)


def test_two_prunes_never_work_together(space: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second takes the lease and finishes what the first began, which removes nothing more."""
    runs = [finished_run(space, day, "2025q3" if day == 1 else "") for day in (1, 2, 3, 4)]
    delete, second = old_runs.delete_objects, []

    def interrupted(at: Store, run_id: str) -> None:
        monkeypatch.setattr(old_runs, "delete_objects", delete)
        second.append(asked("prune", "--keep", 3))
        delete(at, run_id)

    monkeypatch.setattr(old_runs, "delete_objects", interrupted)
    assert "taken by another execution" in asked("prune", "--keep", 1, check=75)
    assert [[row["run_id"] for row in answer["removed"]] for answer in second] == [runs[1:3]]
    assert runs_in(space) == {runs[0], runs[3]}


def test_an_execution_that_begins_stops_a_prune(space: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks nobody: work by hand is no execution. The prune removes no run more, and says so."""
    for day in (1, 2, 3, 4):
        finished_run(space, day, "2025q3" if day == 1 else "")
    monkeypatch.undo()
    assert not old_runs.execution_is_running(f"{old_runs.BY_HAND}prune")
    monkeypatch.setattr(workspace_commands, "client_with", lambda *_: Lambda())
    for name, value in {"PREDICT_AGE_BUCKET": BUCKET, "PREDICT_AGE_DATABASE": "people", "PREDICT_AGE_WORKGROUP": "people"}.items():
        monkeypatch.setenv(name, value)
    delete = old_runs.delete_objects

    def interrupted(at: Store, run_id: str) -> None:
        delete(at, run_id)
        acquire_execution_lease(S3Documents(space), "arn:new", "run", old_runs.execution_is_running)

    monkeypatch.setattr(old_runs, "delete_objects", interrupted)
    before = len(runs_in(space))
    assert "taken by another execution" in asked("prune", "--keep", 1, check=75)
    assert len(runs_in(space)) == before - 1


def test_functions_of_another_workspace_are_not_asked(space: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that belongs to another installation, a function that is not there, and a bug in one: each is said."""
    monkeypatch.setattr(workspace_commands, "client_with", lambda *_: Lambda("other"))
    assert "another workspace" in asked("verify", check=2)
    monkeypatch.setenv("PREDICT_AGE_AWS_NAME", "nobody")
    assert "nobody-final-results cannot be asked" in asked("verify", check=6)
    monkeypatch.delenv("PREDICT_AGE_AWS_NAME")
    monkeypatch.setattr(workspace_commands, "client_with", lambda *_: Lambda())
    monkeypatch.setattr(final_results, "verify_objects", lambda *_: 1 / 0)
    assert "/aws/lambda/predict-age-final-results" in asked("verify", check=6)


@pytest.mark.parametrize("command", sorted({c.name for c in app.registered_commands if not c.hidden} - NEVER_THERE))
def test_every_command_works_there_or_says_what_does(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without region and credentials, too: no internal error; where it has no work, another way is named."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    needed = {"diff": ["a", "b"], "sql": ["SELECT 1"], "score": ["a", "--truth", "t"], "ab": ["a", "b"], "promote": ["a"]}
    needed |= {"export": ["--to", "x"], "suppress": ["--check"], "run": ["--source", "x", "--as-of", "2025-01-01"]}
    if command in WORK_THERE and command not in ("suppress", "runs"):
        assert "region" in asked(command, *needed.get(command, []), check=2)
    elif command not in WORK_THERE:
        done = cli(command, *needed.get(command, []), *THERE, check=2)
        assert done.stderr.startswith(f"predict-age: {command} works on a folder of this machine")
        assert INSTEAD[command].split("`")[0][:30] in done.stderr
        assert THERE[1] in done.stderr, "as it was typed"


def test_no_advice_for_commands_that_are_not_there() -> None:
    names = {command.name for command in app.registered_commands if not command.hidden}
    assert INSTEAD.keys() == names - NEVER_THERE - set(WORK_THERE)
