"""Checks of the functions before they publish, and the order in which they act, with an Athena whose answers the test chooses."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from conftest import cli, write_jsonl
from predict_age.aws.athena import Athena
from predict_age.aws.execution_lease import acquire_execution_lease
from predict_age.aws.lambdas import final_results, human_qa, old_runs, pre_cleanup
from predict_age.aws.lambdas.rollback import verify_objects
from predict_age.aws.lambdas.runtime import Call, do_step_once
from predict_age.aws.object_names import RESULTS_TABLE, reader_tables
from predict_age.aws.run_mirror import Job
from predict_age.aws.s3_store import Store
from predict_age.aws.task_costs import recorded_cost
from predict_age.cli import app
from predict_age.cli.s3_workspace import WORK_THERE
from predict_age.errors import ConfigError, InputError, IntegrityError, LeaseLostError, ResourceError
from predict_age.records.step_facts import BatchGeneratorFacts, FinalResultsFacts, ParallelPredictionFacts, ReadSourceFacts
from predict_age.step import StepResult
from predict_age.storage.durable_files import hashed_json
from predict_age.storage.publication import read_published
from predict_age.storage.workspace import RunFolder
from predict_age.tally import Tally
from test_aws_cleanup import local_run, merged_run, request_at, store  # noqa: F401 - fixtures

pytestmark = pytest.mark.filterwarnings("default")


@dataclass
class ChosenAthena:
    """Answers SELECTs with ``answers``, by a word of the statement; notes what it is asked, and calls ``during`` at an UNLOAD."""

    answers: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    during: Callable[[], object] = lambda: None
    scanned: int = 7

    def run(self, statement: str) -> str:
        self.said.append(" ".join(statement.split()))
        if statement.startswith("UNLOAD"):
            self.during()
        return "query"

    def run_once(self, key: str, statement: Callable[[int], str]) -> int:
        self.run(statement(0))
        return 0

    def rows(self, statement: str) -> list[dict[str, str | None]]:
        self.run(statement)
        return next(rows for word, rows in self.answers.items() if word in statement)


@dataclass
class Merge:
    """The state FinalResults of a run whose earlier states are done."""

    call: Call
    athena: ChosenAthena
    acts: list[str]
    people: int

    def do(self) -> None:
        do_step_once(self.call, "final_results", lambda: final_results._merge(self.call))

    @property
    def published(self) -> str:
        return read_published(self.call.documents).current


@pytest.fixture
def merge(store: Store, local_run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Merge:  # noqa: F811
    """FinalResults with answers that reconcile."""
    call = merged_run(store, local_run, keep_predictions=True)
    store.delete([call.name("steps/final_results.json"), call.name("manifest.json")])
    tally = local_run.step("final_results").facts.tally
    people = call.facts(ReadSourceFacts).people
    counts = dict.fromkeys(("result_rows", "people", "matched"), str(people))
    athena = ChosenAthena({"matched": [counts], "prediction_source": []})
    call._athena = athena
    acts: list[str] = []
    publish = final_results.publish

    def publishing(*arguments: Any) -> None:
        acts.append("publish")
        publish(*arguments)

    monkeypatch.setattr(final_results, "_tally", lambda rows: tally)
    monkeypatch.setattr(final_results, "publish", publishing)
    monkeypatch.setattr(final_results, "point_table", lambda call, name, like: acts.append(name))
    return Merge(call, athena, acts, people)


def test_published_first_then_shown(merge: Merge) -> None:
    """The pointer names the run before any table of readers shows its rows, and the view comes last."""
    merge.do()
    assert merge.acts == ["publish", *reader_tables("2025q3")]
    assert merge.acts[-1] == RESULTS_TABLE
    assert "VIEW" in merge.athena.said[-1]
    assert merge.published == merge.call.run_id


def test_a_shadow_run_is_checked_and_shown_to_nobody(merge: Merge) -> None:
    """Its result and manifest are there and valid; pointer, tables and view stay."""
    run = merge.call.run()
    merge.call.store.put_part(merge.call.name("run.json"), hashed_json({**run, "shadow": True}).encode())
    call = replace(merge.call)
    call._athena = merge.athena
    do_step_once(call, "final_results", lambda: final_results._merge(call))
    assert (merge.acts, merge.published) == ([], "")
    assert not [said for said in merge.athena.said if "VIEW" in said]
    assert call.facts(FinalResultsFacts).table == ""
    assert verify_objects(call, call.run_id)["published"] is False


def test_every_object_of_a_result_is_compared(merge: Merge) -> None:
    """Damage to any of them is found, by its name; a run that is not there is said."""
    merge.do()
    call, objects = merge.call, merge.call.store
    found = verify_objects(call, "current")
    assert found == verify_objects(call, "2025q3") == verify_objects(call, call.run_id)
    assert (found["run_id"], found["published"], found["people"]) == (call.run_id, True, merge.people)
    manifest = objects.document(call.name("manifest.json"))
    names = sorted([*manifest["files"], *manifest["athena"]])
    assert found["files"] + found["athena"] == len(names) > 5
    for name in [*names, "manifest.json"]:
        key = objects.key(call.name(name))
        before = objects.s3.get_object(Bucket=objects.bucket, Key=key)
        content, metadata = before["Body"].read(), before["Metadata"]
        for damaged in (content + b" ", None):
            if damaged is None:
                objects.s3.delete_object(Bucket=objects.bucket, Key=key)
            else:
                objects.s3.put_object(Bucket=objects.bucket, Key=key, Body=damaged)
            with pytest.raises(IntegrityError):
                verify_objects(call, "current")
        objects.s3.put_object(Bucket=objects.bucket, Key=key, Body=content, Metadata=metadata)
    assert verify_objects(call, "current") == found
    for wrong in ("2024q1", "nothing"):
        with pytest.raises(ConfigError, match="2025q3"):
            verify_objects(call, wrong)


def test_a_person_too_many_or_too_few_stops_publication(merge: Merge) -> None:
    """Rows of the result, its people, and those of them whom the source has: each must be everybody."""
    (counts,) = merge.athena.answers["matched"]
    for count in list(counts):
        for off in (-1, 1):
            merge.athena.answers["matched"] = [{**counts, count: str(merge.people + off)}]
            with pytest.raises(IntegrityError, match="every person exactly once"):
                merge.do()
            assert (merge.acts, merge.published) == ([], "")


def test_results_that_disagree_with_predictions_stop_publication(merge: Merge, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row that moved from a source of ages to people with the default age: the sum still reconciles, the sources do not."""
    tally = final_results._tally([])
    for source in ("ML_PREDICTION", "EXISTING_APPROX_AGE", "WITHHELD"):
        step = -1 if tally.counts.get(f"rows:{source}") else 1
        moved = tally + Tally({f"rows:{source}": step, "rows:DEFAULT": -step})
        monkeypatch.setattr(final_results, "_tally", lambda rows, moved=moved: moved)
        with pytest.raises(IntegrityError):
            merge.do()
        assert (merge.acts, merge.published) == ([], "")


def take_over(call: Call) -> None:
    """Another execution takes the workspace."""
    acquire_execution_lease(call.documents, "arn:another", "another", lambda execution: False)


def test_an_execution_that_lost_its_lease_publishes_nothing(merge: Merge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it lost it: while it unloaded, or just after it had checked the result. The pointer's fence is a second net."""
    monkeypatch.setattr(final_results, "publish", lambda *arguments: merge.acts.append("publish"))
    merge.athena.during = lambda: take_over(merge.call)
    with pytest.raises(LeaseLostError):
        merge.do()
    assert merge.acts == []


def test_the_record_of_a_step_is_written_by_the_holder_only(merge: Merge) -> None:
    """A lease that is lost during a step: its record is not written, so that the next holder does the step."""
    name = merge.call.name("steps/batch_generator.json")
    merge.call.store.delete([name])

    def work() -> StepResult[BatchGeneratorFacts]:
        take_over(merge.call)
        return StepResult(0, BatchGeneratorFacts(batches=1, formula="", largest=1, smallest=1))

    with pytest.raises(LeaseLostError):
        do_step_once(merge.call, "batch_generator", work)
    assert merge.call.store.head(name) is None


def joined(call: Call, off: dict[str, int]) -> list[dict[str, str | None]]:
    """Rows of the check of HumanQA: so many people by the source of their age, with ``off`` added."""
    source, prediction = call.facts(ReadSourceFacts), call.facts(ParallelPredictionFacts)
    withheld = (source.withheld or 0) + (prediction.withheld or 0)
    rows = {"ML_PREDICTION": prediction.predicted, "WITHHELD": withheld, "EXISTING_APPROX_AGE": 0}
    rows["EXISTING_APPROX_AGE"] = source.people - sum(rows.values())
    return [{"prediction_source": kind, "review_reason": None, "n": str(n + off.get(kind, 0))} for kind, n in rows.items()]


def test_people_and_predictions_must_agree(merge: Merge) -> None:
    """A person too many or too few, or one whose age has another source than the steps before counted."""
    merge.call._athena = ChosenAthena({"review_reason": joined(merge.call, {})})
    assert human_qa._join(merge.call).rows == merge.people
    known = "EXISTING_APPROX_AGE"
    for off in ({known: 1}, {known: -1}, {"ML_PREDICTION": 1, known: -1}, {"WITHHELD": 1, known: -1}):
        merge.call._athena = ChosenAthena({"review_reason": joined(merge.call, off)})
        with pytest.raises(IntegrityError, match="people and predictions disagree"):
            human_qa._join(merge.call)


def test_a_foreign_or_missing_object_stops_the_join(merge: Merge) -> None:
    """Before any statement is run: Athena would read what lies there."""
    merge.call._athena = athena = ChosenAthena({"review_reason": joined(merge.call, {})})
    objects = merge.call.store
    for folder in ("predictions", "people"):
        objects.put(merge.call.name(f"{folder}/foreign.parquet"), b"x", None)
        with pytest.raises(IntegrityError, match="not those that its tasks made"):
            human_qa._join(merge.call)
        objects.delete([merge.call.name(f"{folder}/foreign.parquet")])
    objects.delete([merge.call.name("people/batch_0.parquet")])
    with pytest.raises(IntegrityError, match="not those that its tasks made"):
        human_qa._join(merge.call)
    assert athena.said == []


@pytest.mark.parametrize(("status", "running"), [("RUNNING", True), ("SUCCEEDED", False), ("FAILED", False), ("ABORTED", False)])
def test_an_execution_that_runs_keeps_its_lease(status: str, running: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    described = SimpleNamespace(describe_execution=lambda executionArn: {"status": status})  # noqa: N803 - boto3's name
    monkeypatch.setattr(old_runs, "client", lambda service: described)
    assert old_runs.execution_is_running("arn") == running


def test_ages_are_counted_at_the_events_time() -> None:
    """Without as_of it is the day of the event's time, whenever the event is delivered."""
    request = request_at(5)
    del request["as_of"]
    assert pre_cleanup._checked({"request": request})["as_of"] == "2025-10-05"


def test_a_container_leaves_what_it_could_not_do(store: Store) -> None:  # noqa: F811
    """... for the notification, under the token of its lease; a success leaves nothing."""
    job = Job(store, "20251023T080000Z-1f00ba54", 7)
    with recorded_cost(job, "train"):
        pass
    assert store.head("runs/20251023T080000Z-1f00ba54/failures/7.txt") is None
    with pytest.raises(InputError), recorded_cost(job, "train"):
        raise InputError("the source is empty", expected="a row", fix="put one there")
    text, _ = store.get("runs/20251023T080000Z-1f00ba54/failures/7.txt")
    assert text == b"the source is empty\n  expected: a row\n  to fix: put one there"


class Queries:
    """Athena's interface: queries by token; each goes through the states that the test gives, one at each look."""

    def __init__(self, *fates: list[str]) -> None:
        self.fates, self.queries = list(fates), dict[str, tuple[str, list[str], dt.datetime]]()

    def start_query_execution(self, **given: Any) -> dict[str, str]:
        token = given["ClientRequestToken"]
        self.queries.setdefault(
            token, (given["QueryString"], self.fates[len(self.queries) % len(self.fates)], dt.datetime.now(dt.UTC))
        )
        return {"QueryExecutionId": token}

    def get_query_execution(self, QueryExecutionId: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        _, states, at = self.queries[QueryExecutionId]
        state = states.pop(0) if len(states) > 1 else states[0]
        if state == "killed":
            raise KeyboardInterrupt
        return {"QueryExecution": {"Status": {"State": state, "SubmissionDateTime": at}, "Statistics": {"DataScannedInBytes": 5}}}


def unloaded(queries: Queries, key: str = "run/7/table") -> int:
    """A call that unloads."""
    return Athena("group", "base", api=queries).run_once(key, lambda number: f"UNLOAD {number}")


def test_a_query_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call waits for the query of a call whose time was over; other work is another query."""
    monkeypatch.setattr("predict_age.aws.athena.time.sleep", lambda seconds: None)
    queries = Queries(["RUNNING", "killed", "RUNNING", "SUCCEEDED"])
    with pytest.raises(KeyboardInterrupt):
        unloaded(queries)
    assert (unloaded(queries), unloaded(queries), len(queries.queries)) == (0, 0, 1)
    assert unloaded(queries, "run/8/table") == 0
    assert len(queries.queries) == 2


def test_a_query_that_failed_before_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failed query is said once, by the call that started it; the next call takes the next folder."""
    monkeypatch.setattr("predict_age.aws.athena.time.sleep", lambda seconds: None)
    queries = Queries(["RUNNING", "FAILED"], ["CANCELLED"], ["RUNNING", "SUCCEEDED"])
    for _ in range(2):
        with pytest.raises(ResourceError, match=r"Athena (failed|cancelled) a statement"):
            unloaded(queries)
    assert unloaded(queries) == unloaded(queries) == 2
    assert [statement for statement, _, _ in queries.queries.values()] == ["UNLOAD 0", "UNLOAD 1", "UNLOAD 2"]


@pytest.mark.parametrize("end", ["FAILED", "CANCELLED"])
def test_a_statement_that_did_not_succeed_is_an_error(end: str) -> None:
    with pytest.raises(ResourceError, match=f"Athena {end.lower()} a statement"):
        Athena("group", "base", api=Queries([end])).run("SELECT 1")


def commands_of_a_workspace() -> dict[str, list[str]]:
    """Every command that works in a workspace, with the arguments that it must be given besides."""
    found = {}
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        names = {option for parameter in command.params for option in parameter.opts}
        if "--workspace" not in names or command.name == "suppress":  # which works on both
            continue
        needed = [p for p in command.params if p.required and "--workspace" not in p.opts]
        found[command.name] = [w for p in needed for w in ([*p.opts[-1:], "x"] if p.opts[0].startswith("-") else ["x"])]
    return found


@pytest.mark.parametrize("command", sorted(commands_of_a_workspace()))
def test_commands_of_a_folder_name_the_way_on_aws(
    command: str, people_rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the address of an object store as their workspace they do nothing, and say where the way on AWS is written."""
    monkeypatch.chdir(tmp_path)
    arguments = commands_of_a_workspace()[command]
    if command in ("plan", "run"):
        arguments = ["--source", str(write_jsonl(tmp_path / "s.jsonl", people_rows[:200])), "--as-of", "2025-10-23"]
    for address in ("gs://company/x", *(() if command in WORK_THERE else ("s3://company/predict-age",))):
        done = cli(command, *arguments, "--workspace", address, check=2)
        assert " folder of this machine" in done.stderr, done.stderr
        assert "docs/aws.md" in done.stderr
    assert not [p for p in tmp_path.iterdir() if p.name != "s.jsonl"]
