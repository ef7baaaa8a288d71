"""The statements: what they give on DuckDB, and that Athena would accept them."""

import io
import re

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from predict_age.cli.render_rows import show_rows
from predict_age.source.row_rules import connect
from predict_age.sql import ON_DUCKDB, columns, for_athena, for_duckdb, source_text
from predict_age.sql.__main__ import transpiled
from predict_age.steps.create_predictions_table import predictions_schema
from syntax import parsed_and_filled

NAMES = ("predictions_table", "human_qa", "final_results", "final_view")
VALUES = {
    "human_qa": {"default_age": 35},
    "final_results": {"qa_timestamp": "2025-10-23 08:00:00", "run_id": "r1", "usable_from_pct": 40.0},
}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    """Final rows for five people: age given, birth year given, predicted wide, predicted narrow, nothing."""
    people = pa.table(
        {
            "pid": [1, 2, 3, 4, 5],
            "birth_year": pa.array([1985, 1990, None, 1850, None], pa.int32()),
            "approximate_age": pa.array([41, None, None, None, None], pa.int32()),
            "known_age": pa.array([41, 35, None, None, None], pa.int32()),
            "known_source": ["EXISTING_APPROX_AGE", "EXISTING_BIRTH_YEAR", None, None, None],
            "withheld": [False] * 5,
            "unreadable_age": [False] * 5,
            "implausible_age": [False, False, False, True, False],
            "conflicting_age": [True, False, False, False, False],
        }
    )
    predictions = pa.table(
        {
            "pid": [3, 4],
            "predicted_age": pa.array([50, 60], pa.int32()),
            "confidence_score": [40.0, 12.0],
            "age_lower": [30.0, 54.0],
            "age_upper": [70.0, 66.0],
            "model_version": ["m", "m"],
        }
    )
    connection = connect()
    connection.register("source_rows", people)
    connection.register("predict_age_predictions", predictions)
    qa = connection.sql(for_duckdb("human_qa", default_age=35)).to_arrow_table()
    connection.register("predict_age_human_qa", qa)
    final = connection.sql(for_duckdb("final_results", **VALUES["final_results"])).to_arrow_table()
    merged = {r["pid"]: r for r in qa.to_pylist()}
    return [{**merged[r["pid"]], **r} for r in sorted(final.to_pylist(), key=lambda r: r["pid"])]


def test_priority_and_sources(rows: list[dict[str, object]]) -> None:
    """Given age, then birth year, then prediction, then the default; the source says which; QA and results agree."""
    assert [(r["predicted_age"], r["prediction_source"]) for r in rows] == [
        (41, "EXISTING_APPROX_AGE"),
        (35, "EXISTING_BIRTH_YEAR"),
        (50, "ML_PREDICTION"),
        (60, "ML_PREDICTION"),
        (35, "DEFAULT"),
    ]
    assert all(r["final_age"] == r["predicted_age"] for r in rows)


def test_confidence(rows: list[dict[str, object]]) -> None:
    """100 for what is known, the formula for predictions, 0 - never 100 or NULL - for the default."""
    assert [r["confidence_pct"] for r in rows] == [100, 100, 0, 60.04, 0]
    assert [r["confidence_score"] for r in rows] == [None, None, 40.0, 12.0, None]
    assert [(r["age_lower"], r["age_upper"]) for r in rows] == [(41, 41), (35, 35), (30, 70), (54, 66), (None, None)]
    assert [r["model_version"] for r in rows] == [None, None, "m", "m", None]


def test_usable_from_a_confidence_on(rows: list[dict[str, object]]) -> None:
    """Known ages always, predictions from the configured confidence on, the default never."""
    assert [r["usable"] for r in rows] == [True, True, False, True, False]


def test_review_reasons(rows: list[dict[str, object]]) -> None:
    """Rows have the reason why a reviewer should look at them."""
    assert [r["review_reason"] for r in rows] == ["AGE_AND_BIRTH_YEAR_DISAGREE", None, None, "IMPLAUSIBLE_AGE", "NO_USABLE_PROFILE"]


def test_one_timestamp_a_run(rows: list[dict[str, object]]) -> None:
    """A literal, the same in every row, without a time zone."""
    assert {str(r["qa_timestamp"]) for r in rows} == {"2025-10-23 08:00:00"}


def test_predictions_schema_has_the_documents_columns() -> None:
    """The document's five columns with their types, and the interval."""
    assert predictions_schema() == pa.schema(
        [
            ("pid", pa.int64()),
            ("predicted_age", pa.int32()),
            ("confidence_score", pa.float64()),
            ("age_lower", pa.float64()),
            ("age_upper", pa.float64()),
            ("model_version", pa.string()),
            ("profile_key", pa.int64()),
            ("prediction_timestamp", pa.timestamp("us")),
        ]
    )


@pytest.mark.parametrize("name", ["predictions_table", "people_table"])
def test_columns_of_a_table_are_those_that_the_parser_reads(name: str) -> None:
    """All of them, in order, with their types."""
    table = sqlglot.parse_one(source_text(name), read="athena")
    parsed = {c.name: c.kind.sql(dialect="hive") for c in table.find_all(exp.ColumnDef) if c.kind}
    assert columns(name) == parsed and len(parsed) > 5


@pytest.mark.parametrize("name", NAMES)
def test_athena_accepts_it(name: str) -> None:
    """Nothing that Athena refuses: no clock, no zoned timestamps, no typed columns in a SELECT; one statement; every output named."""
    text = for_athena(name, **VALUES.get(name, {}))
    for refused in ("CURRENT_TIMESTAMP", "NOW()", "WITH TIME ZONE", "`pid`", ";"):
        assert refused not in text.upper(), refused
    assert ":" not in text.replace("s3://", "").replace("08:00:00", ""), "a placeholder was left"
    assert source_text(name).startswith("-- ")


@pytest.mark.parametrize("name", ON_DUCKDB)
def test_statements_for_duckdb_are_those_for_athena(name: str) -> None:
    """The files that ``make sql`` wrote are as it would write them now, and values come into it as the parser would put them in."""
    assert source_text(f"duckdb/{name}") == transpiled(name)
    values = VALUES.get(name, {})
    assert for_duckdb(name, **values) == parsed_and_filled(name, "duckdb", values) + "\n"
    if values:
        with pytest.raises(KeyError):
            for_duckdb(name)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_wide_rows_are_cut_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of the middle are left out, long cells end in an ellipsis, headers stay whole; a pipe gets everything."""
    names = ["pid", *(f"a_rather_long_column_{n}" for n in range(9)), "run_id"]
    relation = connect().sql(
        "SELECT " + ", ".join(f"'{'x' * 50}' AS {n}" if n == "pid" else f"0.1::DOUBLE + 0.2 AS {n}" for n in names)
    )
    for width, shown in ((80, 2), (110, 4), (400, 11)):
        monkeypatch.setenv("COLUMNS", str(width))
        stream = Terminal()
        show_rows(relation, stream)
        lines = re.sub(r"\x1b\[\d*m", "", stream.getvalue()).splitlines()
        assert max(map(len, lines)) <= width
        assert sum(name in lines[1].split() for name in names) == shown
        assert ("\N{HORIZONTAL ELLIPSIS}" in lines[1].split()) == (shown < 11)
        assert ("x" * 39 + "\N{HORIZONTAL ELLIPSIS}") in lines[3]
        assert f"{shown} of 11 columns fit" in lines[-1] or shown == 11
    piped = io.StringIO()
    show_rows(relation, piped)
    assert piped.getvalue().splitlines()[1].split() == names
    assert piped.getvalue().splitlines()[3].split() == ["x" * 50, *["0.3"] * 10]
