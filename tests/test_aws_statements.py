"""The statements on both engines: what Athena's stand-in makes of the renderings equals what DuckDB makes of its own, NULLs included."""

import datetime as dt
import io
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from cloud import athena
from predict_age.aws.athena import Athena
from predict_age.aws.hidden_people import hide_from_view
from predict_age.aws.lambdas import users_view
from predict_age.aws.object_names import hidden_people_salt
from predict_age.aws.s3_store import Store
from predict_age.errors import ResourceError
from predict_age.pipeline.suppress import parse_ids
from predict_age.source.row_rules import connect
from predict_age.sql import VIEW, for_athena, for_duckdb, unload
from predict_age.sql.__main__ import transpiled
from predict_age.storage.documents import ConflictError

pytestmark = [pytest.mark.xdist_group("cloud"), pytest.mark.filterwarnings("default")]
INT = pa.int32()
PEOPLE = pa.table(
    {
        "pid": [1, 2, 3, 4, 5, -6, 2**62, 7, 8],
        "birth_year": pa.array([1985, 1990, None, 1850, None, None, None, None, 1850], INT),
        "approximate_age": pa.array([41, None, None, None, None, 19, None, None, 150], INT),
        "known_age": pa.array([41, 35, None, None, None, 19, None, None, None], INT),
        "known_source": ["EXISTING_APPROX_AGE", "EXISTING_BIRTH_YEAR", None, None, None, "EXISTING_APPROX_AGE", None, None, None],
        "withheld": [False] * 7 + [True, False],
        "unreadable_age": [False, False, False, False, True, False, False, False, False],
        "implausible_age": [False, False, False, True, False, False, False, False, True],
        "conflicting_age": [True] + [False] * 8,
    }
)
PREDICTIONS = pa.table(
    {
        "pid": [3, 4, 2**62, 8],
        "predicted_age": pa.array([50, 60, 33, None], INT),
        "confidence_score": [40.0, 12.0, 30.03003, None],
        "age_lower": [30.0, 54.0, 20.5, None],
        "age_upper": [70.0, 66.0, 50.53003, None],
        "model_version": ["m", "m", None, None],
        "profile_key": [1, 2, 3, 4],
        "prediction_timestamp": pa.array([dt.datetime(2025, 10, 23, 8)] * 4, pa.timestamp("us")),
    }
)
WIDTHS = np.arange(91)
PEOPLE = pa.concat_tables([PEOPLE, pa.table({"pid": 1000 + WIDTHS})], promote_options="default")
PEOPLE = PEOPLE.set_column(5, "withheld", PEOPLE["withheld"].fill_null(False))
PREDICTED = {"pid": 1000 + WIDTHS, "predicted_age": pa.array(18 + WIDTHS // 2, INT), "confidence_score": WIDTHS.astype(float)}
PREDICTIONS = pa.concat_tables([PREDICTIONS, pa.table(PREDICTED)], promote_options="default")
FINAL: dict[str, Any] = {"qa_timestamp": "2025-10-23 08:00:00", "run_id": "r'1", "usable_from_pct": 40.0}


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[Athena, Any, str]]:
    """A workgroup, a bucket with both tables' files, and its name."""
    patch = pytest.MonkeyPatch()
    for name, value in {"AWS_ACCESS_KEY_ID": "root", "AWS_SECRET_ACCESS_KEY": "root", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        patch.setenv(name, value)
    athena.install()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    bucket, database = f"b-{uuid.uuid4().hex}", f"d{uuid.uuid4().hex}"
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=bucket)
    boto3.client("glue").create_database(DatabaseInput={"Name": database})
    settings = {"ResultConfiguration": {"OutputLocation": f"s3://{bucket}/athena/"}, "BytesScannedCutoffPerQuery": 10_000_000}
    boto3.client("athena").create_work_group(Name=database, Configuration=settings)
    made = Athena(database, database)
    for folder, table in (("people", PEOPLE), ("predictions", PREDICTIONS)):
        stream = io.BytesIO()
        pq.write_table(table, stream)
        s3.put_object(Bucket=bucket, Key=f"{folder}/x.parquet", Body=stream.getvalue())
        made.run(for_athena(f"{folder}_table", location=f"s3://{bucket}/{folder}/"))
    yield made, s3, bucket
    server.stop()
    patch.undo()


def unloaded(s3: Any, bucket: str, folder: str) -> list[dict[str, Any]]:
    (key,) = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix=folder)["Contents"]]
    rows = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())).to_pylist()
    return sorted(rows, key=lambda r: r["pid"])


def test_same_rows_on_both_engines(engine: tuple[Athena, Any, str]) -> None:
    """Join, merge, view and checks: equal in every value of every row."""
    made, s3, bucket = engine
    duck = connect()
    duck.register("source_rows", PEOPLE)
    duck.register("predict_age_people", PEOPLE)
    duck.register("predict_age_predictions", PREDICTIONS)
    made.run(unload(for_athena("human_qa", {"source_rows": "predict_age_people"}, default_age=35), f"s3://{bucket}/qa/"))
    made.run(for_athena("human_qa_table", location=f"s3://{bucket}/qa/"))
    qa = duck.sql(for_duckdb("human_qa", default_age=35)).to_arrow_table()
    assert unloaded(s3, bucket, "qa/") == sorted(qa.to_pylist(), key=lambda r: r["pid"])
    told = {r["pid"]: {k for k, v in r.items() if v is not None} for r in qa.to_pylist()}
    assert told[7] == told[8] == {"pid", "prediction_source"}
    duck.register("predict_age_human_qa", qa)
    made.run(unload(for_athena("final_results", **FINAL), f"s3://{bucket}/results/"))
    made.run(for_athena("final_results_table", location=f"s3://{bucket}/results/"))
    final = duck.sql(for_duckdb("final_results", **FINAL)).to_arrow_table()
    found = unloaded(s3, bucket, "results/")
    assert found == sorted(final.to_pylist(), key=lambda r: r["pid"])
    assert [r["prediction_source"] for r in found].count("DEFAULT") == 1
    assert None in [r["confidence_score"] for r in found]
    told = {r["pid"]: {k for k, v in r.items() if v is not None} for r in found}
    assert told[7] == told[8] == {"pid", "prediction_source", "qa_timestamp", "run_id", "usable"}
    assert [r["usable"] for r in found if r["prediction_source"] == "WITHHELD"] == [False, False]
    hundredths = [100 * 100 - 333 * width for width in WIDTHS.tolist()]
    assert [r["confidence_pct"] for r in found if 1000 <= r["pid"] < 1091] == [max(n, 0) / 100 for n in hundredths]
    duck.register("predict_age_final_results", final)
    made.run(f"CREATE OR REPLACE VIEW v AS\n{for_athena('final_view')}")
    queries = [("SELECT * FROM v", for_duckdb("final_view"))]
    queries += [(for_athena(n), transpiled(n)) for n in ("check_human_qa", "check_people", "check_results")]
    for text, other in queries:
        relation = duck.sql(other)
        theirs = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
        mine = made.rows(text)
        as_text = [
            {k: None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for k, v in r.items()} for r in theirs
        ]
        assert sorted(mine, key=str) == sorted(as_text, key=str)
    assert made.scanned > 0


def test_what_athena_refuses(engine: tuple[Athena, Any, str]) -> None:
    """The stand-in refuses it with Athena's words, and the client says which statement failed and why."""
    made, s3, bucket = engine
    s3.put_object(Bucket=bucket, Key="full/x", Body=b"x")
    s3.put_object(Bucket=bucket, Key="bad/x.parquet", Body=b"no parquet")
    made.run(for_athena("people_table", {"predict_age_people": "bad"}, f"s3://{bucket}/bad/"))
    made.run(
        for_athena("people_table", {"predict_age_people": "wrong"}, f"s3://{bucket}/predictions/").replace(
            "birth_year INT", "model_version INT"
        )
    )
    for text, said in (
        (unload("SELECT 1 AS a", f"s3://{bucket}/full/"), "HIVE_PATH_ALREADY_EXISTS"),
        (
            unload("SELECT CAST('2025-01-01 00:00:00 UTC' AS TIMESTAMP WITH TIME ZONE) AS a", f"s3://{bucket}/new/"),
            "with time zone",
        ),
        ("SELECT * FROM nowhere", "TABLE_NOT_FOUND"),
        ("SELECT 1; SELECT 2", "Only one sql statement"),
        ("SELECT `pid` FROM predict_age_people", "backquoted"),
        ("SELECT * FROM bad", "HIVE_BAD_DATA"),
        ("SELECT * FROM wrong", "incompatible with type"),
        ("CREATE TABLE t AS SELECT 1 AS a", "external"),
        (for_athena("people_table", {"predict_age_people": "t"}, f"s3://{bucket}/people"), "ending in /"),
    ):
        with pytest.raises(ResourceError, match=said):
            made.run(text)
    rows = 1_400_000
    columns = {n: pa.nulls(rows, PEOPLE.schema.field(n).type) for n in PEOPLE.column_names}
    stream = io.BytesIO()
    pq.write_table(pa.table(columns | {"pid": np.random.default_rng(0).integers(0, 2**62, rows)}), stream)
    s3.put_object(Bucket=bucket, Key="large/x.parquet", Body=stream.getvalue())
    made.run(for_athena("people_table", {"predict_age_people": "large"}, f"s3://{bucket}/large/"))
    with pytest.raises(ResourceError, match="Bytes scanned limit"):
        made.run("SELECT COUNT(*) AS n FROM large")


def test_the_users_view_leaves_suppressed_people_out(engine: tuple[Athena, Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: no new execution, no new view. Released people come back in a run made with the newer list, not before."""
    made, _, bucket = engine
    store = Store(bucket, "w")
    duck = connect()
    duck.register("source_rows", PEOPLE)
    duck.register("predict_age_predictions", PREDICTIONS)
    duck.register("predict_age_human_qa", duck.sql(for_duckdb("human_qa", default_age=35)).to_arrow_table())
    stream = io.BytesIO()
    pq.write_table(duck.sql(for_duckdb("final_results", **FINAL)).to_arrow_table(), stream)
    store.put_part("r/x.parquet", stream.getvalue())
    made.run("DROP TABLE IF EXISTS predict_age_final_results")
    made.run(for_athena("final_results_table", location=f"s3://{bucket}/w/r/"))
    calls = {
        made_with: SimpleNamespace(
            store=store,
            athena=made,
            facts=lambda _: SimpleNamespace(pid_type="integer"),
            run=lambda made_with=made_with: {"suppression": made_with} if made_with else {},
        )
        for made_with in (0, 1)
    }

    def seen(made_with: int = 0) -> set[int]:
        return {int(str(row["pid"])) for row in made.rows(f"SELECT pid FROM ({users_view.users_view(calls[made_with])})")}

    everybody = set(PEOPLE["pid"].to_pylist())
    users_view.show_users_view(calls[0])
    of_view = f"SELECT pid FROM {VIEW}"
    assert {int(str(row["pid"])) for row in made.rows(of_view)} == everybody
    given = parse_ids(f"03\n{2**62}\n-6\n77\n".encode(), "ids", None)
    hide_from_view(store, given, 1, release=False, rebuild=False)
    assert {int(str(row["pid"])) for row in made.rows(of_view)} == everybody - {3, 2**62, -6}, "the view is as it was made"
    stored = store.get("hidden/people.parquet")
    assert stored and pq.read_table(io.BytesIO(stored[0])).num_rows == 8, "each id as a number and as text"
    values = {"salt": hidden_people_salt(store.url("")), "ids": "text", "made_with": 0}
    of_texts = made.rows(for_athena("visible_people", {"predict_age_everybody": "predict_age_final_results"}, **values))
    assert {int(str(row["pid"])) for row in of_texts} == everybody - {2**62, -6}, "03 is another person than 3 where ids are text"
    hide_from_view(store, parse_ids(b"3\n77\n", "ids", "integer"), 2, release=True, rebuild=False)
    assert seen(0) == seen(1) == everybody - {3, 2**62, -6}
    calls[1].run = lambda: {"suppression": 2}
    assert seen(1) == everybody - {2**62, -6}
    hide_from_view(store, parse_ids(b"-6\n1\n", "ids", None), 3, release=False, rebuild=True)
    calls[1].run = lambda: {"suppression": 3}
    assert seen(1) == everybody - {-6, 1}
    with pytest.raises(ConflictError):
        monkeypatch.setattr(store, "get", lambda _: (stored[0], "an old tag"))
        hide_from_view(store, given, 4, release=True, rebuild=False)
