"""A table of the Glue catalogue as a source: its files, whatever they are called, and only if they are what the catalogue says."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from conftest import tiny_run, write_jsonl
from predict_age.errors import ConfigError, InputError
from predict_age.source.csv_reader import header_of, read_csv
from predict_age.source.discovery import discover
from predict_age.source.glue_table import SERDES, glue_table
from predict_age.source.source_file import source_file_from_json
from predict_age.source_config import SourceConfig

pytestmark = pytest.mark.filterwarnings("default")  # moto's own
PARQUET, HIVE_JSON, OPENX_JSON, OPEN_CSV, LAZY = (
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "org.apache.hive.hcatalog.data.JsonSerDe",
    "org.openx.data.jsonserde.JsonSerDe",
    "org.apache.hadoop.hive.serde2.OpenCSVSerde",
    "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
)
HEADER = {"skip.header.line.count": "1"}


class Catalogue:
    """Tables over folders of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.glue = folder, boto3.client("glue")
        self.glue.create_database(DatabaseInput={"Name": "raw"})

    def storage(self, folder: str, serde: str, **settings: str) -> dict[str, Any]:
        path = self.folder / folder
        path.mkdir(parents=True, exist_ok=True)
        return {"Location": f"file://{path}", "SerdeInfo": {"SerializationLibrary": serde, "Parameters": settings}}

    def table(
        self, name: str, serde: str, keys: tuple[str, ...] = (), parameters: dict[str, str] | None = None, **settings: str
    ) -> str:
        """A table over the folder of its name; its address."""
        made = {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": parameters or {},
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
            "StorageDescriptor": self.storage(name, serde, **settings),
        }
        self.glue.create_table(DatabaseName="raw", TableInput=made)
        return f"glue://raw/{name}"

    def partition(self, table: str, values: list[str], folder: str, serde: str) -> Path:
        made = {"Values": values, "StorageDescriptor": self.storage(folder, serde)}
        self.glue.create_partition(DatabaseName="raw", TableName=table, PartitionInput=made)
        return self.folder / folder


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield Catalogue(tmp_path / "lake")


def write(path: Path, rows: list[dict[str, Any]], serde: str) -> None:
    """A file of a table, as its format is written by Athena and Hive: without an ending."""
    flat = [{**r, "profile_json": json.dumps(r["profile_json"])} for r in rows]
    if serde == PARQUET:
        pq.write_table(pa.Table.from_pylist(flat), path)
    elif serde == OPEN_CSV:
        pc.write_csv(pa.Table.from_pylist(flat), path)
    else:
        text = "".join(json.dumps(r) + "\n" for r in flat).encode()
        path.write_bytes(gzip.compress(text) if serde == OPENX_JSON else text)


def test_the_same_rows_as_from_the_files(catalogue: Catalogue, people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Parquet of CTAS, JSON of Hive and OpenX (gzip), OpenCSV: none has an ending, and every run has the rows of plain files."""
    rows = people_rows[:60]
    plain = tiny_run(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "w")
    assert plain.code == 0
    for name, serde in (("ctas", PARQUET), ("hive", HIVE_JSON), ("openx", OPENX_JSON), ("csv", OPEN_CSV)):
        source = catalogue.table(name, serde, parameters=HEADER if serde == OPEN_CSV else {})
        for number in range(2):
            write(catalogue.folder / name / f"20261128_{number}_bdf1", rows[number * 30 : number * 30 + 30], serde)
        (catalogue.folder / name / "_SUCCESS").touch()
        assert len(discover(source)) == 2
        if serde in (HIVE_JSON, PARQUET):
            outcome = tiny_run(source, tmp_path / f"w-{name}")
            assert (outcome.code, outcome.rows.keys()) == (0, plain.rows.keys())
            assert outcome.rows == plain.rows
            record = json.loads((outcome.workspace / "runs" / outcome.run["run_id"] / "run.json").read_text())
            assert record["source"] == source


HIVE, TAB = {}, {"field.delim": "\t"}
TEXTS = (
    ("csv", OPEN_CSV, {}),
    ("semicolon", OPEN_CSV, {"separatorChar": ";", "quoteChar": "'"}),
    ("hive", LAZY, HIVE),
    ("tab", LAZY, TAB),
)


def write_text(path: Path, rows: list[dict[str, Any]], delimiter: str, quote: str) -> None:
    """Records alone, as Hive and OpenCSV write them; no value is \\N in Hive's text, and empty in CSV."""
    lines = []
    for row in rows:
        cells = [json.dumps(v) if isinstance(v, dict) else v for v in row.values()]
        if quote:
            lines.append(delimiter.join("" if c is None else f"{quote}{str(c).replace(quote, quote * 2)}{quote}" for c in cells))
        else:
            lines.append(delimiter.join("\\N" if c is None else str(c) for c in cells))
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def headerless(catalogue: Catalogue, name: str, serde: str, columns: list[str], **settings: str) -> str:
    """A table of text without header lines."""
    source = catalogue.table(name, serde, **settings)
    made = catalogue.glue.get_table(DatabaseName="raw", Name=name)["Table"]["StorageDescriptor"]
    storage = {**made, "Columns": [{"Name": column, "Type": "string"} for column in columns]}
    catalogue.glue.update_table(DatabaseName="raw", TableInput={"Name": name, "StorageDescriptor": storage})
    return source


@pytest.mark.parametrize(("name", "serde", "settings"), TEXTS)
def test_columns_of_text_without_a_header_line_are_the_catalogue_s(
    catalogue: Catalogue, people_rows: list[dict[str, Any]], tmp_path: Path, name: str, serde: str, settings: dict[str, str]
) -> None:
    """Hive's text and OpenCSV, also compressed, the profile first or last: the rows are those of plain files."""
    rows = [dict(reversed(row.items())) if name == "tab" else row for row in people_rows[:60]]
    source = headerless(catalogue, name, serde, list(rows[0]), **settings)
    delimiter = settings.get("separatorChar") or settings.get("field.delim") or ("," if serde == OPEN_CSV else "\x01")
    for number in range(2):
        path = catalogue.folder / name / f"00000{number}_0"
        write_text(
            path, rows[number * 30 : number * 30 + 30], delimiter, settings.get("quoteChar", '"') if serde == OPEN_CSV else ""
        )
        if number:
            path.write_bytes(gzip.compress(path.read_bytes()))
    files = discover(source)
    assert [file.columns for file in files] == [tuple(rows[0])] * 2
    assert [source_file_from_json(**json.loads(json.dumps(file.as_json()))) for file in files] == files
    assert all(header_of(file) == list(rows[0]) for file in files)
    found = {pid.as_py() for file in files for chunk in read_csv(file, SourceConfig()) for pid in chunk.rows["pid"]}
    assert found == {str(row["pid"]) for row in rows}
    if name in ("csv", "hive"):
        plain = tiny_run(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "w")
        outcome = tiny_run(source, tmp_path / "w2")
        assert (plain.code, outcome.code) == (0, 0)
        assert outcome.rows == plain.rows


def test_positions_in_text_without_a_header_line_are_those_of_the_file(catalogue: Catalogue) -> None:
    """The first line is line 1 at byte 0; a value that looks like a header or a separator declaration is a value."""
    source = headerless(catalogue, "odd", OPEN_CSV, ["pid", "profile_json"])
    (catalogue.folder / "odd" / "0").write_bytes(b'1,"{}"\n2,"{}",x\n3,"{}"\n')
    (file,) = discover(source)
    (chunk,) = read_csv(file, SourceConfig(), ages_needed=False)
    assert [position for position, _ in chunk.broken] == [1]
    (catalogue.folder / "odd" / "0").write_bytes(b'1,"{}"\n2,"{}\n')
    (file,) = discover(source)
    with pytest.raises(InputError) as unclosed:
        list(read_csv(file, SourceConfig(), ages_needed=False))
    assert "line 2, byte 10" in str(unclosed.value)


@pytest.mark.parametrize("settings", [{}, {"field.delim": "\t"}])
def test_a_folder_of_text_with_something_else_stops(
    catalogue: Catalogue, people_rows: list[dict[str, Any]], settings: dict[str, str]
) -> None:
    """A file with a header line, of another format, or with another number of columns."""
    columns = list(people_rows[0])
    source = headerless(catalogue, "mixed", LAZY, columns, **settings)
    folder = catalogue.folder / "mixed"
    write_text(folder / "000000_0", people_rows[:3], settings.get("field.delim", "\x01"), "")
    (folder / "000001_0").touch()
    assert len(discover(source)) == 1
    for other in (PARQUET, HIVE_JSON, OPEN_CSV):
        write(folder / "1", people_rows[:5], other)
        with pytest.raises(InputError, match="not what the catalogue says"):
            discover(source)
    for text in (b"1\t2\n", b"1\n", b"hello, world\n"):
        (folder / "1").write_bytes(text)
        with pytest.raises(InputError, match="has other columns than its table"):
            discover(source)
    (folder / "1").write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(InputError, match="not what the catalogue says"):
        discover(source)


def test_other_files_name_no_columns(tmp_path: Path) -> None:
    """Records of runs over them are what they were."""
    (tmp_path / "s.csv").write_text("pid,profile_json\n1,{}\n")
    (file,) = discover(str(tmp_path / "s.csv"))
    assert "columns" not in file.as_json() and source_file_from_json(**file.as_json()) == file


def test_partitions_are_those_of_the_catalogue(catalogue: Catalogue, people_rows: list[dict[str, Any]]) -> None:
    """Wherever they lie; a folder that is none of the table's is not read; a key without value is null."""
    source = catalogue.table("parts", PARQUET, keys=("country", "year"))
    for values, folder in ((["de", "2025"], "parts/country=de/year=2025"), (["__HIVE_DEFAULT_PARTITION__", "2024"], "elsewhere/x")):
        write(catalogue.partition("parts", values, folder, PARQUET) / "0", people_rows[:5], PARQUET)
    stray = catalogue.folder / "parts" / "country=fr" / "year=2025"
    stray.mkdir(parents=True)
    write(stray / "0", people_rows[:5], PARQUET)
    found = {tuple(f.partition) for f in discover(source)}
    assert found == {(("country", "de"), ("year", "2025")), (("country", None), ("year", "2024"))}
    catalogue.partition("parts", ["it", "2025"], "parts/it", HIVE_JSON)
    with pytest.raises(InputError, match="different formats"):
        discover(source)


def test_a_folder_beside_is_not_the_table_s(catalogue: Catalogue, people_rows: list[dict[str, Any]]) -> None:
    source = catalogue.table("people", PARQUET)
    catalogue.table("people2", PARQUET)
    for name in ("people", "people2"):
        write(catalogue.folder / name / "0", people_rows[:5], PARQUET)
    assert [Path(f.path).parent.name for f in discover(source)] == ["people"]


@pytest.mark.parametrize("serde", [PARQUET, HIVE_JSON, OPEN_CSV])
def test_a_mixed_folder_stops(catalogue: Catalogue, serde: str, people_rows: list[dict[str, Any]]) -> None:
    """A file of another format, or of none: Athena would fail, or read it as nothing."""
    source = catalogue.table("mixed", serde, parameters=HEADER)
    folder = catalogue.folder / "mixed"
    write(folder / "0", people_rows[:5], serde)
    assert len(discover(source)) == 1
    for other in (PARQUET, HIVE_JSON, OPEN_CSV, "zip"):
        if other == serde:
            continue
        if other == "zip":
            (folder / "1").write_bytes(b"PK\x03\x04" + bytes(200))
        else:
            write(folder / "1", people_rows[:5], other)
        with pytest.raises(InputError, match="not what the catalogue says"):
            discover(source)


UNREADABLE = (
    ({"serde": "org.apache.hadoop.hive.ql.io.orc.OrcSerde"}, "OrcSerde"),
    ({"serde": PARQUET, "parameters": {"table_type": "HUDI"}}, "HUDI"),
    ({"serde": PARQUET, "parameters": {"spark.sql.sources.provider": "delta"}}, "Delta"),
    ({"serde": PARQUET, "parameters": {"projection.enabled": "true"}}, "projection"),
    ({"serde": OPENX_JSON, "mapping.pid": "PersonId"}, "renamed"),
    ({"serde": OPEN_CSV}, "without a header line"),
    ({"serde": OPEN_CSV, "parameters": {"skip.header.line.count": "2"}}, "without a header line"),
    ({"serde": LAZY, "parameters": HEADER}, "separated by"),
    ({"serde": LAZY, "field.delim": "::"}, "separated by"),
)


@pytest.mark.parametrize(("settings", "said"), UNREADABLE)
def test_what_cannot_be_read_as_files_is_said(catalogue: Catalogue, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        glue_table(catalogue.table("other", **settings))


def test_every_known_serde_has_a_format(catalogue: Catalogue) -> None:
    for number, (serde, kind) in enumerate(SERDES.items()):
        more = {"field.delim": "|"} if serde == LAZY else {}
        assert glue_table(catalogue.table(f"t{number}", serde, parameters=HEADER, **more)).format == kind


def test_addresses_and_tables_that_are_not_there(catalogue: Catalogue) -> None:
    for wrong in ("glue://", "glue://raw", "glue://raw/a/b", "glue:// /x"):
        with pytest.raises(ConfigError, match="names no table"):
            discover(wrong)
    for missing in ("glue://raw/nothing", "glue://no/table"):
        with pytest.raises(InputError, match="EntityNotFoundException"):
            discover(missing)
    with pytest.raises(InputError, match="has no partitions"):
        discover(catalogue.table("empty", PARQUET, keys=("country",)))
    with pytest.raises(InputError, match=r"the table raw\.bare: .* holds no data files"):
        discover(catalogue.table("bare", PARQUET))
    catalogue.glue.create_table(
        DatabaseName="raw", TableInput={"Name": "view", "TableType": "VIRTUAL_VIEW", "StorageDescriptor": {}}
    )
    with pytest.raises(InputError, match="a view"):
        discover("glue://raw/view")


def test_partitions_that_name_people_are_refused(catalogue: Catalogue, people_rows: list[dict[str, Any]]) -> None:
    """Ids in the catalogue would be written into records, wherever the folder lies."""
    source = catalogue.table("byid", PARQUET, keys=("pid",))
    write(catalogue.partition("byid", ["17"], "hidden/away", PARQUET) / "0", people_rows[:5], PARQUET)
    with pytest.raises(InputError, match="folders are named by the ids"):
        discover(source, SourceConfig())
