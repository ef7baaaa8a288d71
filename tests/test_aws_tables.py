"""The deployed pipeline over tables of the Glue catalogue, and the commands with --workspace s3://... against it.

Each kind of table is run by an execution; its rows are those of one machine over the same people.
"""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloud import iam
from cloud.deployed import BUCKET, Cloud, deployed, same
from conftest import AS_OF, QUICK, cli, cli_process, result_rows, run_json
from iceberg_writer import IcebergWriter
from predict_age.aws.cost_plan import Fleet, TaskCost, estimate_cost, spent_dollars
from predict_age.synthetic.write import generate
from test_glue_source import HIVE_JSON, LAZY, OPEN_CSV, OPENX_JSON, PARQUET, write, write_text

pytestmark = [
    pytest.mark.soak,
    pytest.mark.xdist_group("cloud"),
    pytest.mark.filterwarnings("default"),  # moto's and Flask's own
]
PEOPLE = 1500
COLUMNS = ("pid", "birth_year", "approximate_age", "profile_json")
KINDS = ("ctas", "hive", "openx", "csv", "headerless", "parts", "iceberg")
THERE = ("--workspace", f"s3://{BUCKET}/predict-age", "--json")
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Everything deployed; the people as a table of each kind."""
    folder = tmp_path_factory.mktemp("tables")
    chosen = {"source_tables": [f"raw/{kind}" for kind in KINDS], "source_prefix": "tables/"}
    with deployed(folder, "tables of the Glue catalogue on AWS were", **chosen) as stack:
        made = Cloud(stack, folder)
        generate(folder / "all", PEOPLE, 3, AS_OF, 1)
        rows = [
            {**r, "profile_json": json.loads(r["profile_json"])}
            for r in pq.read_table(folder / "all" / "people", columns=list(COLUMNS)).to_pylist()
            if r["profile_json"] and r["profile_json"].startswith("{") and _is_json(r["profile_json"])
        ]
        pq.write_table(_flat(rows), folder / "people.parquet")
        boto3.client("glue").create_database(DatabaseInput={"Name": "raw"})
        for kind in KINDS:
            _write_table(made, kind, rows)
        made.s3.put_object(Bucket=BUCKET, Key="predict-age/config.toml", Body=QUICK.encode())
        yield made


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _flat(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist([{**r, "profile_json": json.dumps(r["profile_json"])} for r in rows])


def _write_table(cloud: Cloud, kind: str, rows: Rows) -> None:
    """Two files without endings below tables/<kind>/, as the kind has them, and the table's entry."""
    halves = (rows[: len(rows) // 2], rows[len(rows) // 2 :])
    serde = {"hive": HIVE_JSON, "openx": OPENX_JSON, "csv": OPEN_CSV, "headerless": LAZY}.get(kind, PARQUET)
    storage = {"Location": f"s3://{BUCKET}/tables/{kind}", "SerdeInfo": {"SerializationLibrary": serde}}
    table: dict[str, Any] = {"Name": kind, "TableType": "EXTERNAL_TABLE", "Parameters": {}, "StorageDescriptor": storage}
    if kind == "iceberg":
        writer = IcebergWriter(f"s3://{BUCKET}/tables/{kind}", lambda name, body: _put(cloud, f"{kind}/{name}", body))
        flat = [_flat(half).to_pylist() for half in halves]
        writer.commit(writer.data(flat[0]), writer.data([{**r, "pid": r["pid"] + 1} for r in flat[1]]))
        metadata = writer.commit(writer.entry(*_first_file(cloud)), writer.data(flat[1]), replace=True)
        table["Parameters"] = {"table_type": "ICEBERG", "metadata_location": metadata}
    elif kind == "csv":
        table["Parameters"] = {"skip.header.line.count": "1"}
    elif kind == "headerless":
        storage["Columns"] = [{"Name": name, "Type": "string"} for name in COLUMNS]
    elif kind == "parts":
        table["PartitionKeys"] = [{"Name": "country", "Type": "string"}]
    boto3.client("glue").create_table(DatabaseName="raw", TableInput=table)
    for number, half in enumerate(halves if kind != "iceberg" else ()):
        path = cloud.folder / "file"
        if kind == "headerless":
            write_text(path, half, "\x01", "")
            path.write_bytes(gzip.compress(path.read_bytes()) if number else path.read_bytes())
        else:
            write(path, half, serde)
        name = f"elsewhere/{number}/x" if kind == "parts" else f"{kind}/20261129_{number}_x"
        _put(cloud, name, path.read_bytes())
        if kind == "parts":
            place = {**storage, "Location": f"s3://{BUCKET}/tables/elsewhere/{number}"}
            made = {"Values": [str(number)], "StorageDescriptor": place}
            boto3.client("glue").create_partition(DatabaseName="raw", TableName=kind, PartitionInput=made)


def _put(cloud: Cloud, name: str, body: bytes) -> None:
    cloud.s3.put_object(Bucket=BUCKET, Key=f"tables/{name}", Body=body)


def _first_file(cloud: Cloud) -> tuple[str, int]:
    """Name and size of the Iceberg table's first data file."""
    name = "data/00001.parquet"
    return name, cloud.s3.head_object(Bucket=BUCKET, Key=f"tables/iceberg/{name}")["ContentLength"]


def _same_kernels(*arguments: object, check: int | None = 0) -> Any:
    return cli_process(*arguments, check=check, env={"OPENBLAS_CORETYPE": "Haswell"})  # those of the task definition


@pytest.fixture(scope="module")
def expected(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """The rows of one machine, by pid."""
    (cloud.folder / "c.toml").write_text(QUICK)
    run_json(cloud.folder / "people.parquet", cloud.folder / "w", "--config", cloud.folder / "c.toml", run=_same_kernels)
    return {str(row[0]): row for row in result_rows(cloud.folder / "w")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_has_the_rows_of_one_machine(cloud: Cloud, kind: str, expected: dict[str, Any]) -> None:
    """By an execution with the roles' own rights."""
    day = 5 + KINDS.index(kind)
    found = cloud.finish(cloud.start(cloud.event(source=f"glue://raw/{kind}", time=f"2025-10-{day:02d}T08:00:00Z")))
    assert (found["status"], found.get("cause"), iam.REFUSED) == ("SUCCEEDED", None, [])
    rows = cloud.results()
    assert rows.keys() == expected.keys()
    for pid, row in rows.items():
        assert same(expected[pid][1], row["predicted_age"]), (kind, pid)


def test_a_table_with_something_else_in_its_folder_stops(cloud: Cloud) -> None:
    """Once, with the reason; mended, the same event runs."""
    event = cloud.event(source="glue://raw/hive", time="2025-10-20T08:00:00Z")
    _put(cloud, "hive/else", b"PK\x03\x04" + bytes(100))
    failed = cloud.finish(cloud.start(event))
    assert failed["status"] == "FAILED"
    assert "are not what the catalogue says" in failed["cause"]
    cloud.s3.delete_object(Bucket=BUCKET, Key="tables/hive/else")
    assert cloud.finish(cloud.start(event))["status"] == "SUCCEEDED"


def test_costs_are_those_of_the_plan(cloud: Cloud) -> None:
    """Line by line: tasks of this machine, had they taken no longer than the plan says, are billed what it says."""
    execution = cloud.finish(cloud.start(cloud.event(source="glue://raw/ctas", time="2025-10-05T08:00:00Z")))
    run_id = execution["output"]["run_id"]
    cost = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=f"predict-age/runs/{run_id}/cost.json")["Body"].read())
    batches = len(cloud.names(run_id, "receipts/"))
    plan = estimate_cost(PEOPLE, fleet=Fleet(batch_rows=PEOPLE // batches, batches_per_task=2))
    at_once = spent_dollars([TaskCost(**{**task, "seconds": 0}) for task in cost["tasks"]], batches, cost["scanned_bytes"])
    assert plan.dollars.keys() == cost["dollars"].keys() == at_once.keys()
    for service, dollars in at_once.items():
        assert dollars == pytest.approx(plan.dollars[service], rel=0.05), service
        assert cost["dollars"][service] >= dollars, service


def test_commands_ask_the_deployed_functions(cloud: Cloud) -> None:
    """runs, verify, diff, rollback and prune, with the rights of the functions' own roles, after another quarter."""

    def asked(*arguments: object) -> Any:
        return json.loads(cli(*arguments, *THERE).stdout)

    later = cloud.event(source="glue://raw/ctas", time="2026-01-05T08:00:00Z", as_of="2026-01-05")
    assert cloud.finish(cloud.start(later))["status"] == "SUCCEEDED"
    runs = asked("runs")
    (current,) = [run["run_id"] for run in runs if run["current"]]
    assert asked("verify")["run_id"] == current
    compared = asked("diff", "2025q3", "2025q4", "--people")
    assert compared["only_before"] == compared["only_after"] == 0 < compared["both"]
    assert not [t for t in boto3.client("glue").get_tables(DatabaseName="predict_age")["TableList"] if "_diff_" in t["Name"]]
    back = asked("rollback", "--to", "2025q3")
    assert back["before"] == current != back["run_id"]
    assert asked("verify")["run_id"] == back["run_id"]
    listed = asked("prune", "--keep", "1", "--dry-run")["removed"]
    assert asked("prune", "--keep", "1")["removed"] == listed != []
    assert {r["run_id"] for r in asked("runs")} == {r["run_id"] for r in runs} - {r["run_id"] for r in listed}
    assert iam.REFUSED == []
