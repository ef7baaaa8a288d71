"""The state machine's definition, the functions' package, the statements' renderings, and the plan of costs."""

import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from conftest import cli
from predict_age.aws import state_machine
from predict_age.aws.cost_plan import (
    CORES_PER_VCPU,
    TASK_START_SECONDS,
    Fleet,
    TaskCost,
    disk_dollars,
    estimate_cost,
    spent_dollars,
    task_dollars,
)
from predict_age.aws.lambda_package import SERVICES, build_package, packaged_paths
from predict_age.aws.lambdas.batch_generator import tasks_of
from predict_age.aws.prices import PRICES
from predict_age.sql import for_athena, literal, source_text, unload
from predict_age.step import STEPS
from syntax import parsed_and_filled

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"
STATEMENTS = {p.stem for p in (ROOT / "src" / "predict_age" / "sql").glob("*.sql")}
VALUES: dict[str, dict[str, Any]] = {
    "visible_people": {"salt": "s3://b/predict-age ", "ids": "integer", "made_with": 3},
    "human_qa": {"default_age": 35},
    "diff_changes": {"not_in_run": "NOT_IN_RUN"},
    "diff_jumps": {"expected": 0.25, "jump_years": 5.0},
    "final_results": {"qa_timestamp": "2025-10-23 08:00:00", "run_id": "20251023T080000Z-1f00ba54", "usable_from_pct": 40.0},
}


def states() -> dict[str, Any]:
    """All states, those of the map included."""
    found = dict(state_machine.definition()["States"])
    return found | found["ParallelPrediction"]["ItemProcessor"]["States"]


def test_definition_is_the_committed_one() -> None:
    """The file that Terraform uses is what the order of the steps makes; the document's eight states are in it, in order."""
    assert (ROOT / "terraform" / "state_machine.json").read_text() == state_machine.terraform_template()
    document = [
        "PreCleanup",
        "Training",
        "BatchGenerator",
        "CreatePredictionsTable",
        "ParallelPrediction",
        "HumanQA",
        "FinalResults",
        "PostCleanup",
    ]
    assert list(dict.fromkeys(s.state for s in STEPS)) == document
    assert [s for s in state_machine.order() if s in document] == document
    at, chain = state_machine.definition()["StartAt"], []
    while at != "Done":
        chain.append(at)
        state = state_machine.definition()["States"][at]
        at = state.get("Default") or state["Next"]
    assert [s for s in chain if s != "ResumeFrom"] == state_machine.order()


def test_failures_are_told_and_fail() -> None:
    """Every state that works is tried four times with growing random waits, and caught; telling leads to Fail, never to success."""
    found = states()
    for name, state in found.items():
        if state["Type"] not in ("Task", "Map"):
            continue
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
        assert state.get("TimeoutSeconds") or state["Type"] == "Map"
        if state["Type"] == "Map" or f"{name}Again" in found:
            continue
        last = state["Retry"][-1]
        tries_before = 1 if name.endswith("Again") else 0
        assert (last["ErrorEquals"], last["MaxAttempts"] + tries_before, last["JitterStrategy"]) == (["States.ALL"], 3, "FULL")
        assert last["BackoffRate"] > 1
        assert all(r["ErrorEquals"] != ["States.ALL"] for r in state["Retry"][:-1])
    assert found["NotifyFailure"]["Next"] == "Failed"
    assert found["Failed"]["Type"] == "Fail"
    assert [n for n, s in found.items() if s.get("End")] == ["PredictBatches", "PredictBatchesAgain"]


def test_map_is_distributed() -> None:
    """Not inline, which stops at 40 at a time; no tolerated failures; little output; the list comes from S3."""
    made = state_machine.definition()["States"]["ParallelPrediction"]
    assert made["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert made["ToleratedFailurePercentage"] == 0
    assert made["ItemReader"]["Resource"].endswith(":s3:getObject")
    assert len(json.dumps(made["ItemProcessor"]["States"]["PredictBatches"]["ResultSelector"])) <= 16
    assert made["ResultPath"] is None
    assert "Iterator" not in json.dumps(state_machine.definition())
    providers = made["ItemProcessor"]["States"]["PredictBatches"]["Parameters"]["CapacityProviderStrategy"]
    assert [p["CapacityProvider"] for p in providers] == ["FARGATE_SPOT", "FARGATE"]


@pytest.mark.parametrize(("batches", "each"), [(1, 16), (16, 16), (17, 16), (788, 16), (7, 2), (5, 1)])
def test_every_batch_is_in_one_task(batches: int, each: int) -> None:
    """Consecutive, complete, about equal, none too large."""
    tasks = tasks_of(batches, each)
    assert [b for t in tasks for b in t] == list(range(batches))
    assert len(tasks) == -(-batches // each)
    assert max(map(len, tasks)) <= each
    assert max(map(len, tasks)) - min(map(len, tasks)) <= 1


def test_package_needs_nothing_beside_itself(tmp_path: Path) -> None:
    """Each handler is imported, and a client of each service made, from the unpacked zip alone, in an interpreter without packages."""
    build_package(tmp_path / "a.zip")
    build_package(tmp_path / "b.zip")
    data = (tmp_path / "a.zip").read_bytes()
    assert data == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sum(f.file_size for f in archive.infolist() if f.filename.startswith("predict_age/")) < 250_000
        assert len(data) < 3_000_000
        archive.extractall(tmp_path / "code")
    code = tmp_path / "code"
    handlers = [f"predict_age.aws.lambdas.{name}" for name in state_machine.LAMBDAS.values()]
    program = (
        f"import sys; sys.path.insert(0, {str(code)!r})\nimport importlib, boto3\n"
        f"for n in {handlers}: importlib.import_module(n).handle\n"
        f"for s in {SERVICES}: boto3.client(s, region_name='eu-west-1', aws_access_key_id='x', aws_secret_access_key='x')\n"
        f"assert all(m.__file__.startswith({str(code)!r}) for n, m in sys.modules.items() if n in ('boto3', 'botocore', 'urllib3'))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for missing in ("predict_age/storage/row_accounting.py", "botocore/data/athena"):
        (code / missing).rename(tmp_path / "away")
        assert subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True).returncode, "the check can fail"
        (tmp_path / "away").rename(code / missing)


def test_every_service_that_functions_call_is_in_the_package() -> None:
    """... by the names in the calls that make clients."""
    text = "".join(path.read_text() for path in packaged_paths() if path.suffix == ".py")
    assert set(re.findall(r'\bclient\("(\w+)"', text)) == set(SERVICES)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_golden_rendering(name: str) -> None:
    """Statements for Athena, word for word; the parser reads the same statement from it as from its own rendering."""
    text = for_athena(name, **VALUES.get(name, {}))
    assert text + "\n" == (GOLDEN / f"{name}.sql").read_text()
    assert sqlglot.parse_one(text, read="athena") == sqlglot.parse_one(
        parsed_and_filled(name, "athena", VALUES.get(name, {})), read="athena"
    )
    for refused in ("CURRENT_TIMESTAMP", "NOW()", "WITH TIME ZONE", "`", ";", "--"):
        assert refused not in text.upper(), refused


def test_names_and_values_are_put_in() -> None:
    """Tables only as whole words, text in quotes, a missing value is an error."""
    text = for_athena("human_qa", {"source_rows": "people_run_1", "predict_age_predictions": "p_run_1"}, default_age=35)
    tables = {t.name for t in sqlglot.parse_one(text, read="athena").find_all(sqlglot.exp.Table)}
    assert tables == {"people_run_1", "p_run_1"}
    assert "LOCATION 's3://b/x/'" in for_athena("people_table", location="s3://b/x/")
    assert literal("it's") == "'it''s'"
    with pytest.raises(KeyError):
        for_athena("human_qa")
    assert source_text("human_qa").startswith("-- ")
    assert unload("SELECT 1", "s3://b/x/").endswith("TO 's3://b/x/' WITH (format = 'PARQUET', compression = 'SNAPPY')")


def test_plan_costs_less_than_a_dollar() -> None:
    """236 million predictions under $1, a billion people under $5, within the platform's limits; every service is priced."""
    document = estimate_cost(378_024_173)
    assert (document.to_predict, document.batches) == (236_265_108, 788)
    assert document.total < 1
    assert estimate_cost(1_000_000_000).total < 5
    assert document.total == pytest.approx(sum(document.dollars.values()))
    assert all(v > 0 for v in document.dollars.values())
    assert not any("TOO MUCH" in c for c in estimate_cost(1_000_000_000).checks.values())
    assert any("TOO MUCH" in c for c in estimate_cost(10**12, fleet=Fleet(batches_per_task=1)).checks.values()), (
        "the check can fail"
    )
    small = estimate_cost(1000)
    assert (small.batches, small.tasks) == (1, 1)
    text = estimate_cost(378_024_173, text=True)
    assert document.total < text.total < 1, "the document's source is JSON"
    assert text.minutes > document.minutes
    assert "TOO MUCH" not in text.checks["disk of training"]
    assert "TOO MUCH" in estimate_cost(1_000_000_000, text=True).checks["disk of training"]
    assert text.standing_month == document.standing_month
    assert (
        document.standing_month["NAT gateway"] > 30 > sum(document.standing_month.values()) - document.standing_month["NAT gateway"]
    )


def test_the_prediction_api_is_in_the_plan_when_it_is_on() -> None:
    """As many alarms as the module makes, and a price for each request; off, nothing of it is there."""
    off, idle, busy = (estimate_cost(1000, api_requests=n) for n in (None, 0, 1_000_000))
    alarms = re.findall(r"^ +namespace .*\bmore_than\b", (ROOT / "terraform" / "api.tf").read_text(), re.M)
    added = sum(idle.standing_month.values()) - sum(off.standing_month.values())
    assert added == pytest.approx(len(alarms) * PRICES.alarm_metric_month)
    assert sum(busy.standing_month.values()) - sum(idle.standing_month.values()) == pytest.approx(5.33, abs=0.01)
    assert busy.dollars == off.dollars, "a run costs the same"


def test_prices_and_assumptions_are_the_documented_ones() -> None:
    """Each price stands in the cost guide with its source, and each assumption: a changed figure is changed in both places."""
    text = (ROOT / "docs" / "aws-cost.md").read_text()
    documented = {name: float(value) for name, value in re.findall(r"^\| `(\w+)` \| ([\d.]+) \|.*\| \S+/pricing \|$", text, re.M)}
    assert documented == {k: pytest.approx(v, rel=1e-9) for k, v in asdict(PRICES).items() if isinstance(v, float)}
    assert f"of {PRICES.region}, on demand, {PRICES.as_of}" in text
    assert f"`CORES_PER_VCPU = {CORES_PER_VCPU}`" in text
    assert f"`TASK_START_SECONDS = {TASK_START_SECONDS}`" in text


def test_a_run_as_planned_costs_what_was_planned() -> None:
    """Tasks that take as long as the estimate says are billed to the cent what it says, service by service."""
    fleet = Fleet()
    for rows in (20_000, 378_024_173):
        plan = estimate_cost(rows)
        said = "\n".join(plan.arithmetic)
        seconds = {word: float(number) for number, word in re.findall(r"(\d+) s (reading|learning)", said)}
        (each,) = re.findall(r"vCPU\) = (\d+) s", said)
        begun = [
            TaskCost("train", "done", seconds["reading"] + seconds["learning"], fleet.training_vcpu, fleet.training_gib, 0),
            *[TaskCost("predict", "done", float(each) - TASK_START_SECONDS, fleet.prediction_vcpu, fleet.prediction_gib, 0.8)]
            * plan.tasks,
            TaskCost("collect", "done", plan.batches * 0.05, 1, 4, 0),
            TaskCost("report", "done", 0, 1, 4, 0),
        ]
        spent = spent_dollars(begun, plan.batches, plan.scanned_bytes)
        assert spent.keys() == plan.dollars.keys()
        for service, dollars in spent.items():
            assert dollars == pytest.approx(plan.dollars[service], rel=0.02), (rows, service)  # seconds are shown rounded


def test_the_disk_of_every_task_is_billed() -> None:
    """Beyond the first 20 GiB, as long as the task runs, on Spot as well: in the plan and in what a run has cost."""
    fleet = Fleet()
    none = replace(fleet, training_disk_gib=20, prediction_disk_gib=20, helper_disk_gib=20)
    for command, gib in (
        ("train", fleet.training_disk_gib),
        ("predict", fleet.prediction_disk_gib),
        ("collect", fleet.helper_disk_gib),
    ):
        task = [TaskCost(command, "done", 3600 - TASK_START_SECONDS, 4, 16, 0.8)]
        billed, free = (spent_dollars(task, 1, 0, f)["Fargate"] for f in (fleet, none))
        assert gib > 20
        assert billed - free == pytest.approx((gib - 20) * PRICES.disk_gib_hour)
    plan = {f: estimate_cost(378_024_173, fleet=f) for f in (fleet, none, replace(none, prediction_disk_gib=30))}
    assert plan[fleet].total > plan[replace(none, prediction_disk_gib=30)].total > plan[none].total
    assert disk_dollars(20, 3600) == disk_dollars(5, 3600) == 0 < disk_dollars(21, 1) == disk_dollars(21, 60)


def test_a_task_costs_a_minute_at_least() -> None:
    """The platform bills the first minute in full, then seconds."""
    minute = task_dollars(vcpu=2, gib=4, seconds=60)
    assert task_dollars(vcpu=2, gib=4, seconds=1) == minute > 0
    assert task_dollars(vcpu=2, gib=4, seconds=90) == pytest.approx(1.5 * minute)


def test_plan_command(tmp_path: Path) -> None:
    """Printed with its arithmetic; refused above max_cost_usd with exit code 6."""
    said = cli("plan", "--platform", "aws", "--rows", 378024173).stdout
    assert "ceil(236,265,108 / 300,000) = 788" in said
    assert "altogether" in said
    assert "source in Parquet" in said
    assert "source in JSON or CSV" in said
    assert "Dollars a month" in said
    found = json.loads(cli("plan", "--platform", "aws", "--rows", 378024173, "--json").stdout)
    assert found["total_usd"] < found["as_text"]["total_usd"] < 1
    assert (found["source"], found["as_text"]["source"]) == ("Parquet", "JSON or CSV")
    fitting = tmp_path / "between.toml"
    fitting.write_text(f"[limits]\nmax_cost_usd = {(found['total_usd'] + found['as_text']['total_usd']) / 2}\n")
    cli("plan", "--platform", "aws", "--rows", 378024173, "--config", fitting, check=6)
    (tmp_path / "c.toml").write_text("[limits]\nmax_cost_usd = 0.1\n")
    refused = cli("plan", "--platform", "aws", "--rows", 378024173, "--config", tmp_path / "c.toml", check=6).stderr
    assert "at most $0.10" in refused
    assert "neither people nor a source" in cli("plan", "--platform", "aws", check=2).stderr
    assert "local or aws" in cli("plan", "--platform", "moon", check=2).stderr
