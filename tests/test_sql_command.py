"""``sql``: every error of a query has the right exit code and DuckDB's sentence, queries end, and none of them writes."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytest
from typer import main

from conftest import cli, shared, tiny_run, write_jsonl
from predict_age.cli import app
from predict_age.query import tables

ENDLESS = "WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM t) "
NO_NUMBER = "SELECT CAST('x' || pid AS INT) AS a FROM predict_age_final_results"


@pytest.fixture(scope="module")
def workspace(people_rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one published run; tests only read it."""

    def make(folder: Path) -> dict[str, Any]:
        return tiny_run(write_jsonl(folder / "s.jsonl", people_rows[:160]), folder / "w").run

    return shared(tmp_path_factory, "sql-command", make)[0] / "w"


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (NO_NUMBER, "Conversion Error: Could not convert string 'a9999"),
        ("SELECT error('no ' || pid) FROM predict_age_human_qa", "Invalid Input Error: no "),
        ("SELECT CAST(pid AS TINYINT) FROM predict_age_final_results_with_confidence", "Conversion Error"),
        ("SELECT DATE '2025-01-01' + INTERVAL (pid * 1000000000) YEAR FROM predict_age_final_results", "out of range"),
        ("SELECT regexp_matches(CAST(pid AS VARCHAR), '[' || pid) FROM predict_age_final_results", "Invalid Input Error"),
    ],
)
def test_errors_while_fetching_are_errors_of_the_query(
    query: str, sentence: str, form: str, workspace: Path, tmp_path: Path
) -> None:
    """Exit code 2 with DuckDB's sentence, in every format; no crash file and no half result."""
    out = tmp_path / "out"
    done = cli("sql", "--workspace", workspace, "--format", form, *(["--out", out] if form == "parquet" else []), query, check=2)
    assert done.stderr.startswith("predict-age: the query failed: ")
    assert sentence in done.stderr
    assert "internal error" not in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("SELECT pidd FROM predict_age_final_results", 'Candidate bindings: "pid"'),
        ("SELECT 1 FROM predict_age_final_result", 'Did you mean "predict_age_final_results'),
        ("SELECT medan(1)", 'Did you mean "median"'),
        ("SELECT sum(DATE '2025-01-01')", "sum(arg DECIMAL) -> DECIMAL"),
    ],
)
def test_suggestions_are_kept(query: str, advice: str, workspace: Path) -> None:
    assert advice in cli("sql", "--workspace", workspace, query, check=2).stderr


@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    "query",
    [
        ENDLESS + "SELECT count(*) FROM t",
        ENDLESS + "SELECT * FROM t",
        "SELECT count(*) FROM range(100000000) a, range(100000000) b",
        "EXPLAIN ANALYZE " + ENDLESS + "SELECT count(*) FROM t",
    ],
)
def test_endless_queries_are_stopped(query: str, form: str, workspace: Path, tmp_path: Path) -> None:
    """Exit code 6 with a sentence that names the limit, soon after it; a table stops by itself after its first 1,000 rows."""
    out = tmp_path / "out"
    began = time.monotonic()
    code = 0 if form == "table" and query.endswith("* FROM t") else 6
    done = cli("sql", "--workspace", workspace, "--format", form, "--timeout", 0.3, "--out", out, query, check=code)
    assert time.monotonic() - began < 20
    if code:
        assert "the query was stopped by its time limit\n  expected: all rows within 0.3 s" in done.stderr
        assert not out.exists()


def test_no_limit_and_a_limit_that_is_not_reached(workspace: Path) -> None:
    for seconds in (0, 60):
        done = cli(
            "sql",
            "--workspace",
            workspace,
            "--timeout",
            seconds,
            "--format",
            "csv",
            "SELECT count(*) FROM predict_age_final_results",
        )
        assert done.stdout.splitlines()[1] == "160"
    assert "--timeout" in cli("sql", "--workspace", workspace, "--timeout", -1, "SELECT 1", check=2).stderr


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(i) FROM range(300000000) t(i)",
        "SELECT string_agg(repeat(CAST(i AS VARCHAR), 100), ',') FROM range(30000000) t(i)",
        "SELECT count(DISTINCT hash(i)) FROM range(300000000) t(i)",
    ],
)
def test_queries_that_need_too_much_memory(query: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 6, with advice."""
    connect = tables.duckdb.connect
    small = {"memory_limit": "40MB", "temp_directory": "", "threads": 1}
    monkeypatch.setattr(tables.duckdb, "connect", lambda config=None: connect(config={**(config or {}), **small}))
    done = cli("sql", "--workspace", workspace, query, check=6)
    assert "the memory is used up\n  found: Out of Memory Error" in done.stderr
    assert "to fix: ask for fewer rows" in done.stderr


@pytest.mark.parametrize(
    "prefix", ["", "EXPLAIN ", "EXPLAIN ANALYZE ", "explain analyze\n", "/* x */ EXPLAIN ANALYZE ", "EXPLAIN (ANALYZE) "]
)
@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1 AS a) TO '{w}/evil.csv'",
        "COPY (SELECT 1 AS a) TO '{w}/published.json'",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW predict_age_final_results",
        "EXPORT DATABASE '{w}/evil'",
        "ATTACH '{w}/evil.db'",
    ],
)
def test_nothing_is_written(prefix: str, statement: str, workspace: Path) -> None:
    """Statements that write are refused, also behind EXPLAIN ANALYZE, which runs what it explains."""
    before = files_of(workspace)
    done = cli("sql", "--workspace", workspace, prefix + statement.format(w=workspace), check=2)
    assert files_of(workspace) == before
    assert done.stderr.startswith("predict-age: ")


@pytest.mark.parametrize(
    "query",
    [
        "EXPLAIN SELECT 1",
        "explain analyze select 1",
        "EXPLAIN ANALYZE(SELECT 1)",
        "SHOW TABLES",
        "FROM range(3)",
        "SUMMARIZE SELECT 1",
    ],
)
def test_what_reads_is_allowed(query: str, workspace: Path) -> None:
    assert cli("sql", "--workspace", workspace, query).stdout


VALUES = {  # an expression, its text in CSV and in JSON
    "date '10000-01-01'": ("10000-01-01", '"10000-01-01"'),
    "'infinity'::date": ("infinity", '"infinity"'),
    "'-infinity'::timestamp": ("-infinity", '"-infinity"'),
    "timestamptz '20000-01-01 00:00:00+00'": ("20000-01-01 00:00:00+00", '"20000-01-01 00:00:00+00"'),
    "date '0044-03-15 (BC)'": ("0044-03-15 (BC)", '"0044-03-15 (BC)"'),
    "[timestamp '20000-01-01']": ('["20000-01-01 00:00:00"]', '["20000-01-01 00:00:00"]'),
    "interval 1 day": ("1 day", '"1 day"'),
    "timestamp '2026-01-02 03:00:00' - timestamp '2026-01-01'": ("1 day 03:00:00", '"1 day 03:00:00"'),
    "union_value(num := 2)": ('{"num":2}', '{"num":2}'),
    "340282366920938463463374607431768211455::uhugeint": ("340282366920938463463374607431768211455",) * 2,
    "sum(2 :: int)": ("2", "2"),
    "1.50 :: decimal(9, 2)": ("1.50", "1.5"),
    "12345678901234567890123.123456 :: decimal(38, 6)": ("12345678901234567890123.123456",) * 2,
    "time '24:00:00'": ("24:00:00", '"24:00:00"'),
    "'12:00:00+02'::timetz": ("12:00:00+02", '"12:00:00+02"'),
    "'10101'::bit": ("10101", '"10101"'),
    "[1, 2, null]": ("[1,2,null]", "[1,2,null]"),
    "{'x': 1, 'y': 'NaN', 'z': 'nan'::double, 'i': '-inf'::double}": (
        '{"x":1,"y":"NaN","z":NaN,"i":-Infinity}',
        '{"x":1,"y":"NaN","z":null,"i":null}',
    ),
    "map {'k': 1}": ('{"k":1}', '{"k":1}'),
    """'{"a": [1]}'::json""": ('{"a": [1]}', '{"a": [1]}'),
    "'nan'::double": ("nan", "null"),
    "NULL::integer[]": ("", "null"),
    "'a \"b\"'": ('a "b"', '"a \\"b\\""'),
    "true": ("true", "true"),
    "0.1": ("0.1", "0.1"),
    "0.1 :: float": ("0.1", "0.1"),
    "3.4e38 :: float": ("3.4e+38", "3.4e+38"),
    "'nan' :: float": ("nan", "null"),
    "0.1 :: double": ("0.1", "0.1"),
}


@pytest.mark.parametrize("expression", VALUES)
def test_values_are_those_of_duckdb(expression: str, workspace: Path) -> None:
    """Years beyond 9999, infinite dates, 24:00, 128-bit integers, intervals, bits and nested values, in every text format."""
    text, as_json = VALUES[expression]
    query = f"SELECT {expression} AS v, 1 AS v2"
    rows = list(csv.reader(io.StringIO(cli("sql", "--workspace", workspace, "--format", "csv", query).stdout)))
    assert rows == [["v", "v2"], [text, "1"]]
    assert cli("sql", "--workspace", workspace, "--format", "jsonl", query).stdout == f'{{"v": {as_json}, "v2": 1}}\n'
    assert text in cli("sql", "--workspace", workspace, query).stdout


@pytest.mark.parametrize(
    "expression", ["interval 1 day", "union_value(num := 2)", "1::uhugeint", "'12:00:00+02'::timetz", "'101'::bit"]
)
@pytest.mark.parametrize("form", ["{}", "[{}]", "{{'f': {}}}"])
def test_parquet_refuses_what_it_cannot_hold(expression: str, form: str, workspace: Path, tmp_path: Path) -> None:
    """With the column and its type, before a file is made; a struct without fields is refused, too."""
    struct = f"SELECT {{'a': {{}}}}, {expression} :: VARCHAR"
    done = cli("sql", "--workspace", workspace, "--format", "parquet", "--out", tmp_path / "t.parquet", struct, check=2)
    assert "a Parquet file cannot hold this type" in done.stderr
    query = f"SELECT 1 AS plain, {form.format(expression)} AS odd"
    done = cli("sql", "--workspace", workspace, "--format", "parquet", "--out", tmp_path / "t.parquet", query, check=2)
    assert "found: odd (" in done.stderr
    assert not list(tmp_path.iterdir())


NUMBERS = [
    (command.name, option.opts[0])
    for command in vars(main.get_command(app))["commands"].values()
    for option in command.params
    if option.type_descriptor.annotation is float
]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_numbers_are_finite(command: str, option: str) -> None:
    """Infinity and NaN pass the bounds of an option, or end the command later."""
    assert len(NUMBERS) > 5
    for value in ("inf", "-inf", "nan", "1e400"):
        assert f"{option} is not finite" in cli(command, f"{option}={value}", check=2).stderr


@pytest.mark.parametrize(
    ("command", "option"), [("check-skew", "--url"), ("report", "--run"), ("run", "--model"), ("sql", "--out")]
)
def test_empty_values_are_refused(command: str, option: str) -> None:
    """An unset variable of a script is no choice."""
    assert f"{option} is empty" in cli(command, option, "", check=2).stderr


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://localhost:1/\n", "http://localhost:99999", "http://", "ftp://x", "http://a b"]
)
def test_malformed_addresses_are_refused(url: str, workspace: Path) -> None:
    """Exit code 2, as for every wrong option."""
    assert "the address of the server" in cli("check-skew", "--workspace", workspace, "--url", url, check=2).stderr
