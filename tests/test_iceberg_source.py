"""An Iceberg table as a source: the rows of its current snapshot, or an error that says why they cannot be had."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import boto3
import pytest

from conftest import tiny_run, write_jsonl
from iceberg_writer import DELETED, EXISTING, POSITION_DELETES, IcebergWriter, in_folder
from predict_age.errors import InputError
from predict_age.source.discovery import discover
from predict_age.source.glue_table import glue_table
from predict_age.source.row_walk import checked_footer
from predict_age.source_config import SourceConfig
from test_glue_source import Catalogue, catalogue  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("default")  # moto's own
Rows = list[dict[str, Any]]


@pytest.fixture
def rows(people_rows: Rows) -> Rows:
    return [{**r, "profile_json": json.dumps(r["profile_json"])} for r in people_rows[:60]]


@pytest.fixture
def table(catalogue: Catalogue) -> IcebergWriter:  # noqa: F811 - the fixture
    return in_folder(catalogue.folder / "people")


def named(metadata: str, name: str = "people") -> str:
    """Enter the table into the catalogue, or its new metadata; its address."""
    glue = boto3.client("glue")
    made = {"Name": name, "Parameters": {"table_type": "ICEBERG", "metadata_location": metadata}, "StorageDescriptor": {}}
    known = [t["Name"] for t in glue.get_tables(DatabaseName="raw")["TableList"]]
    (glue.update_table if name in known else glue.create_table)(DatabaseName="raw", TableInput=made)
    return f"glue://raw/{name}"


def test_the_rows_of_the_current_snapshot(table: IcebergWriter, rows: Rows, people_rows: Rows, tmp_path: Path) -> None:
    """Files of earlier snapshots, files that were removed and files that never belonged to it lie in the folder and are not read."""
    first, second, third = (table.data(rows[begin : begin + 20]) for begin in (0, 20, 40))
    wrong = table.data([{**row, "pid": row["pid"] + 1} for row in rows])
    table.commit(first, wrong)
    table.data(rows)  # of a commit that failed
    kept = {**first, "status": EXISTING, "sequence_number": 1}
    table.commit(kept, {**wrong, "status": DELETED, "sequence_number": 1}, second, replace=True)
    source = named(table.commit(third))
    assert [Path(file.path).name for file in discover(source)] == ["00001.parquet", "00002.parquet", "00003.parquet"]
    plain = tiny_run(write_jsonl(tmp_path / "s.jsonl", people_rows[:60]), tmp_path / "w")
    outcome = tiny_run(source, tmp_path / "w2")
    assert (plain.code, outcome.code) == (0, 0)
    assert outcome.rows == plain.rows


def test_the_version_follows_the_metadata(table: IcebergWriter, rows: Rows) -> None:
    """A run on AWS is another one as soon as the table has another snapshot."""
    source = named(table.commit(table.data(rows[:20])))
    before = glue_table(source).version
    assert glue_table(source).version == before
    named(table.commit(table.data(rows[20:])))
    assert glue_table(source).version != before


def test_metadata_may_be_compressed(table: IcebergWriter, rows: Rows) -> None:
    table.commit(table.data(rows))
    assert len(discover(named(table.metadata(gzip.compress)))) == 1


def test_deleted_rows_are_never_read(table: IcebergWriter, rows: Rows) -> None:
    """A file of deletes stops the run, as long as it may concern a data file; one that is older than all of them does not."""
    data = table.data(rows)
    table.commit(data)
    deletes = table.entry("data/deletes.parquet", 10, content=POSITION_DELETES)
    source = named(table.commit(deletes, content=1))
    with pytest.raises(InputError, match=r"delete rows of other files[\s\S]*OPTIMIZE raw\.people REWRITE DATA"):
        discover(source)
    named(table.commit({**deletes, "status": DELETED}, content=1))
    with pytest.raises(InputError, match="delete rows"):
        discover(source)
    rewritten = in_folder(Path(table.address.removeprefix("file://")).parent / "rewritten")
    rewritten.commit({**deletes, "sequence_number": 1}, content=1)
    assert len(discover(named(rewritten.commit(rewritten.data(rows)), "rewritten"))) == 1


def renamed(table: IcebergWriter) -> None:
    table.rename(4, "profile")


def dropped_and_added_again(table: IcebergWriter) -> None:
    table.drop(2)
    table.add(5, "birth_year", "int")


def dropped(table: IcebergWriter) -> None:
    table.drop(2)


def all_dropped(table: IcebergWriter) -> None:
    for number in (1, 2, 3, 4):
        table.drop(number)


ROLES = {name: name for name in ("pid", "approximate_age", "birth_year", "profile_json")} | {"birth_date": "birth_year"}
OTHER_NAMES = {role: f"other_{role}" for role in ROLES}  # a configuration that looks at none of the table's columns


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        (renamed, {}, "profile_json, now profile"),
        (dropped_and_added_again, {}, "birth_year, which the table dropped"),
        (dropped, {"profile_json": "*"}, "birth_year, which the table dropped"),
        (dropped, {}, "birth_year, which the table dropped"),
        (dropped, {"birth_year": "year"}, ""),
        *((all_dropped, OTHER_NAMES | {role: column}, f"{column}, which the table dropped") for role, column in ROLES.items()),
        (all_dropped, OTHER_NAMES, ""),
    ],
)
def test_names_that_mean_other_columns_in_a_file_stop(
    table: IcebergWriter, rows: Rows, change: Callable[[IcebergWriter], None], settings: dict[str, str], said: str
) -> None:
    """Iceberg knows columns by their ids; a dropped column is no harm where nobody looks at it."""
    first = table.data(rows)
    change(table)
    source = named(table.commit(first))
    if said:
        with pytest.raises(InputError, match=said):
            discover(source, SourceConfig(**settings))
    else:
        assert len(discover(source, SourceConfig(**settings))) == 1


def test_a_column_that_was_added_later_is_missing_in_older_files(table: IcebergWriter, rows: Rows) -> None:
    """As in any Parquet source; a needed column must be there."""
    first = table.data(rows)
    table.add(5, "city", "string")
    second = table.data([{**row, "city": "x"} for row in rows])
    files = discover(named(table.commit(first, second)))
    assert len(files) == 2
    assert [checked_footer(file, SourceConfig(), ages_needed=True).num_rows for file in files] == [60, 60]


def test_files_of_a_hive_table_that_was_taken_over(table: IcebergWriter, rows: Rows) -> None:
    """They have no ids of columns: names are mapped. Columns of their folders come from the partition."""
    table.add(9, "country", "string")
    table.changes["properties"] = {
        "schema.name-mapping.default": json.dumps([{"field-id": f["id"], "names": [f["name"]]} for f in table.fields])
    }
    entries = [table.data(rows, {}, partition={"country": value}) for value in ("de", None)]
    entries.append(table.data([{**row, "country": "own"} for row in rows]))
    files = discover(named(table.commit(*entries)))
    assert [dict(file.partition) for file in files] == [{"country": "de"}, {"country": None}, {}]


def test_files_without_ids_and_without_a_mapping_stop(table: IcebergWriter, rows: Rows) -> None:
    table.add(5, "city", "string")
    source = named(table.commit(table.data(rows, {})))
    with pytest.raises(InputError, match="without ids of columns"):
        discover(source)


def test_what_cannot_be_read_is_said(table: IcebergWriter, rows: Rows, catalogue: Catalogue) -> None:  # noqa: F811
    """An entry without metadata, an empty table, other formats and versions, files that are gone, changed or damaged."""
    glue = boto3.client("glue")
    entry = {"Name": "bare", "Parameters": {"table_type": "iceberg"}, "StorageDescriptor": {}}
    glue.create_table(DatabaseName="raw", TableInput=entry)
    with pytest.raises(InputError, match="names no metadata"):
        discover("glue://raw/bare")
    source = named(f"file://{catalogue.folder}/nowhere.json")
    with pytest.raises(InputError, match=r"metadata of the Iceberg table raw\.people cannot be read"):
        discover(source)
    table.changes = {"current-snapshot-id": -1}
    named(table.metadata())
    with pytest.raises(InputError, match="has no rows"):
        discover(source)
    table.changes = {"format-version": 3}
    named(table.metadata())
    with pytest.raises(InputError, match="version 3"):
        discover(source)
    table.changes = {}
    data = table.data(rows)
    folder = catalogue.folder / "people"
    for file, said in (({"file_format": "ORC"}, "data files in ORC"), ({"file_size_in_bytes": 7}, "not what its metadata says")):
        named(table.commit({**data, "data_file": {**data["data_file"], **file}}, replace=True))
        with pytest.raises(InputError, match=said):
            discover(source)
    named(table.commit(data, replace=True))
    assert len(discover(source)) == 1
    (folder / "data" / "00001.parquet").rename(folder / "moved")
    with pytest.raises(InputError, match="No such file"):
        discover(source)
    newest = max((folder / "metadata").glob("*-m0.avro"), key=lambda p: p.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:50])
    with pytest.raises(InputError, match=r"metadata of the Iceberg table raw\.people is damaged"):
        discover(source)
    metadata = max((folder / "metadata").glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
    for text in ("{", "[]", "{}", "null"):
        metadata.write_text(text)
        with pytest.raises(InputError, match="is damaged"):
            discover(source)


@pytest.mark.parametrize("kind", ["*-m0.avro", "snap-*.avro", "*.json"])
def test_metadata_with_any_changed_bytes_is_read_or_refused(table: IcebergWriter, rows: Rows, kind: str) -> None:
    """60 changes of a manifest, of the list of manifests and of the table's metadata: no error of a library comes through."""
    place = table.commit(table.data(rows))
    source, folder = named(place), Path(place.removeprefix("file://")).parent
    [path] = [p for p in folder.glob(kind) if kind != "*-m0.avro" or "snap" not in p.name][-1:]
    content, random = path.read_bytes(), Random(kind)
    refused = 0
    for _ in range(60):
        changed = bytearray(content)
        for _ in range(random.randint(1, 4)):
            changed[random.randrange(len(changed))] = random.randrange(256)
        path.write_bytes(changed)
        try:
            discover(source)
        except InputError:
            refused += 1
    assert refused > 10
