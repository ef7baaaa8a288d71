"""Athena whose statements run: DDL goes to moto's Glue catalogue, queries are translated and run by DuckDB on the objects of
moto's S3. Statements that Athena refuses are refused here, too, with its words.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow.parquet as pq
import sqlglot
from moto.athena.models import AthenaBackend, Execution, QueryResults, athena_backends
from moto.athena.responses import AthenaResponse
from moto.glue.models import glue_backends
from moto.s3.models import s3_backends
from sqlglot import exp

TYPES = {
    "bigint": "BIGINT",
    "int": "INTEGER",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}
STORED = {
    "bigint": {"INT64", "INT32"},
    "int": {"INT32"},
    "double": {"DOUBLE", "FLOAT"},
    "string": {"BYTE_ARRAY"},
    "boolean": {"BOOLEAN"},
    "timestamp": {"INT96", "INT64"},
}
SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
UNLOAD = re.compile(r"UNLOAD\s*\((.*)\)\s*TO\s*'([^']+)'\s*WITH\s*\((.*)\)$", re.S | re.I)


class RefusedError(Exception):
    """Athena would fail this statement."""


class Statement:
    """One statement on one backend: the catalogue, the objects, and how many bytes it read."""

    def __init__(self, backend: AthenaBackend, database: str) -> None:
        self.glue = glue_backends[backend.account_id][backend.region_name]
        self.s3 = s3_backends[backend.account_id]["aws"]
        self.database = database
        self.scanned = 0
        self.folder = tempfile.TemporaryDirectory(prefix="athena-")
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("SET integer_division = true; SET TimeZone = 'UTC'")

    def run(self, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows; nothing for what returns none."""
        text = text.strip().rstrip(";").strip()
        if ";" in re.sub(r"'[^']*'", "", text):
            raise RefusedError("Only one sql statement is allowed. Got: 2")
        if "`" in text and not text.upper().startswith(("CREATE EXTERNAL", "DROP")):
            raise RefusedError("SYNTAX_ERROR: backquoted identifiers are not supported; use double quotes to quote identifiers")
        if found := UNLOAD.match(text):
            self._unload(*found.groups())
            return [], []
        tree = sqlglot.parse_one(text, read="athena")
        if isinstance(tree, exp.Create) and tree.kind == "VIEW":
            self._create_view(tree)
        elif isinstance(tree, exp.Create) and tree.kind == "TABLE":
            self._create_table(tree)
        elif isinstance(tree, exp.Drop):
            self.glue.databases[self.database].tables.pop(tree.find(exp.Table).name.lower(), None)
        elif isinstance(tree, exp.Query):
            cursor = self.connection.execute(self._query(text))
            return [c[0] for c in cursor.description], cursor.fetchall()
        else:
            raise RefusedError(f"NOT_SUPPORTED here: {text[:60]}")
        return [], []

    def _objects(self, url: str) -> list[Any]:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if bucket not in self.s3.buckets:
            raise RefusedError(f"PERMISSION_DENIED: bucket {bucket}")
        keys = self.s3.buckets[bucket].keys
        return [
            keys[n]
            for n in list(keys)
            if n.startswith(prefix) and hasattr(keys[n], "value") and not Path(n).name.startswith(("_", "."))
        ]

    def _table(self, name: str) -> dict[str, Any]:
        found = self.glue.databases[self.database].tables.get(name.lower())
        if found is None:
            raise RefusedError(f"TABLE_NOT_FOUND: line 1:1: Table 'awsdatacatalog.{self.database}.{name}' does not exist")
        return found.as_dict()

    def _view(self, name: str) -> str:
        """A DuckDB view over a table's objects or a view's query; returns its name."""
        table = self._table(name)
        made = f"v_{uuid.uuid4().hex[:12]}"
        if table.get("TableType") == "VIRTUAL_VIEW":
            packed = re.search(r"Presto View: (\S+) ", table["ViewOriginalText"])
            query = self._query(json.loads(base64.b64decode(packed[1]))["originalSql"])
            self.connection.execute(f"CREATE TEMP VIEW {made} AS {query}")
            return made
        columns = table["StorageDescriptor"]["Columns"]
        paths = []
        for number, stored in enumerate(self._objects(table["StorageDescriptor"]["Location"])):
            path = Path(self.folder.name) / f"{made}-{number}"
            path.write_bytes(stored.value)
            self.scanned += stored.size
            self._check_types(path, columns, stored.name)
            paths.append(str(path))
        cast = ", ".join(f'CAST("{c["Name"]}" AS {TYPES[c["Type"]]}) AS "{c["Name"]}"' for c in columns)
        empty = ", ".join(f'CAST(NULL AS {TYPES[c["Type"]]}) AS "{c["Name"]}"' for c in columns)
        source = f"SELECT {cast} FROM read_parquet({paths})" if paths else f"SELECT {empty} WHERE false"
        self.connection.execute(f"CREATE TEMP VIEW {made} AS {source}")
        return made

    @staticmethod
    def _check_types(path: Path, columns: list[dict[str, str]], name: str) -> None:
        try:
            schema = pq.ParquetFile(path).schema
        except Exception as error:
            raise RefusedError(f"HIVE_BAD_DATA: Not valid Parquet file: {name}: {error}") from None
        stored = {schema.column(i).name.lower(): schema.column(i).physical_type for i in range(len(schema))}
        for column in columns:
            have = stored.get(column["Name"])
            if have is not None and have not in STORED[column["Type"]]:
                raise RefusedError(
                    f"HIVE_BAD_DATA: Field {column['Name']}'s type {have} in parquet file {name} is incompatible with type {column['Type']} defined in table schema"
                )

    def _query(self, text: str) -> str:
        tree = sqlglot.parse_one(text, read="athena")
        for table in list(tree.find_all(exp.Table)):
            table.replace(exp.alias_(exp.to_table(self._view(table.name)), table.alias or table.name, table=True))
        return tree.sql("duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)

    def _unload(self, query: str, url: str, options: str) -> None:
        if not url.endswith("/"):
            raise RefusedError("INVALID: UNLOAD needs a folder")
        if self._objects(url):
            raise RefusedError(f"HIVE_PATH_ALREADY_EXISTS: Target directory {url} is not empty")
        if "PARQUET" not in options.upper():
            raise RefusedError("NOT_SUPPORTED here: other formats than Parquet")
        made = self.connection.execute(f"SELECT * FROM ({self._query(query)}) LIMIT 0").description
        if zoned := [c[0] for c in made if "TIME ZONE" in str(c[1])]:
            raise RefusedError(f"NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone ({zoned[0]})")
        path = Path(self.folder.name) / "unloaded"
        self.connection.execute(f"COPY ({self._query(query)}) TO '{path}' (FORMAT parquet)")
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self.s3.put_object(bucket, f"{prefix}{uuid.uuid4().hex}", path.read_bytes())

    def _put(self, table: dict[str, Any], replace: bool = False) -> None:
        tables = self.glue.databases[self.database].tables
        if table["Name"] in tables and replace:
            self.glue.update_table(self.database, table["Name"], table)
        elif table["Name"] not in tables:
            self.glue.create_table(self.database, table["Name"], table)

    def _create_table(self, tree: exp.Create) -> None:
        properties = tree.args["properties"].expressions if tree.args.get("properties") else []
        if tree.expression or not any(isinstance(p, exp.ExternalProperty) for p in properties):
            raise RefusedError("NOT_SUPPORTED here: other tables than external ones")
        location = next(p.this.name for p in properties if isinstance(p, exp.LocationProperty))
        if not location.endswith("/"):
            raise RefusedError("FAILED: LOCATION must be a folder, ending in /")
        columns = [{"Name": c.name.lower(), "Type": c.args["kind"].sql("hive").lower()} for c in tree.this.expressions]
        self._put(
            {
                "Name": tree.this.this.name.lower(),
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"EXTERNAL": "TRUE"},
                "PartitionKeys": [],
                "StorageDescriptor": {"Columns": columns, "Location": location, "SerdeInfo": {"SerializationLibrary": SERDE}},
            }
        )

    def _create_view(self, tree: exp.Create) -> None:
        text = tree.expression.sql("athena")
        made = self.connection.execute(f"SELECT * FROM ({self._query(text)}) LIMIT 0").description
        packed = base64.b64encode(json.dumps({"originalSql": text}).encode()).decode()
        self._put(
            {
                "Name": tree.this.name.lower(),
                "TableType": "VIRTUAL_VIEW",
                "ViewOriginalText": f"/* Presto View: {packed} */",
                "PartitionKeys": [],
                "StorageDescriptor": {"Columns": [{"Name": c[0], "Type": "string"} for c in made], "Location": ""},
            },
            replace=True,
        )


class RunningAthena(AthenaBackend):
    """Runs a statement when it is started; its state is final when the call returns."""

    lock = threading.Lock()
    scanned: ClassVar[list[tuple[float, int]]] = []  # time and bytes of each statement

    def start_query_execution(self, query: str, context: Any, config: Any, workgroup: str, execution_parameters: Any) -> str:
        group = self.work_groups.get(workgroup or "primary")
        settings = group.configuration
        if settings.get("EnforceWorkGroupConfiguration"):
            config = dict(settings.get("ResultConfiguration") or {})
        made = Execution(query, context, config, group, execution_parameters)
        made._transitions = [("-", "-")]
        self.executions[made.id] = made
        statement = Statement(self, (context or {}).get("Database", "default"))
        made.reason = ""
        try:
            with self.lock:
                names, rows = statement.run(query)
            if statement.scanned > settings.get("BytesScannedCutoffPerQuery", 1 << 62):
                raise RefusedError("Query exhausted resources: Bytes scanned limit was exceeded")
            data = [
                {"Data": [{} if v is None else {"VarCharValue": _text(v)} for v in row]}
                for row in ([tuple(names)] if names else []) + rows
            ]
            self.query_results[made.id] = QueryResults(data, [{"Name": n, "Type": "varchar"} for n in names])
            made.status = "SUCCEEDED"
        except (RefusedError, duckdb.Error, sqlglot.errors.SqlglotError, KeyError) as error:
            made.reason, made.status = str(error) or type(error).__name__, "FAILED"
        finally:
            statement.connection.close()
            statement.folder.cleanup()
        made.scanned = statement.scanned
        self.scanned.append((time.time(), statement.scanned))
        return made.id


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_statistics(original: Any) -> Any:
    def get_query_execution(self: AthenaResponse) -> str:
        reply = json.loads(original(self))
        found = reply["QueryExecution"]
        made = self.athena_backend.executions[found["QueryExecutionId"]]
        found["Statistics"]["DataScannedInBytes"] = getattr(made, "scanned", 0)
        if getattr(made, "reason", ""):
            found["Status"]["StateChangeReason"] = made.reason
        return json.dumps(reply)

    return get_query_execution


def _with_tokens(original: Any) -> Any:
    """The same token is the same query, as long as its statement is the same; moto starts another."""

    def start_query_execution(self: AthenaResponse) -> Any:
        token, query = self._get_param("ClientRequestToken"), self._get_param("QueryString")
        known = self.athena_backend.__dict__.setdefault("tokens", {})
        if token not in known:
            known[token] = (query, original(self))
        elif known[token][0] != query:
            return self.error("Idempotent parameters do not match", 400)
        return known[token][1]

    return start_query_execution


def _update_work_group(self: AthenaResponse) -> str:
    """Missing in moto: Terraform could change no setting of a workgroup."""
    group = self.athena_backend.work_groups[self._get_param("WorkGroup")]
    for name, value in (self._get_param("ConfigurationUpdates") or {}).items():
        if name == "ResultConfigurationUpdates":
            group.configuration.setdefault("ResultConfiguration", {}).update(value)
        elif name == "RemoveBytesScannedCutoffPerQuery":
            group.configuration.pop("BytesScannedCutoffPerQuery", None)
        else:
            group.configuration[name] = value
    return "{}"


def install() -> None:
    """Put this Athena in the place of moto's."""
    RunningAthena.__module__ = AthenaBackend.__module__  # moto finds the addresses of a backend by its module
    athena_backends.backend = RunningAthena
    AthenaResponse.update_work_group = _update_work_group
    AthenaResponse.start_query_execution = _with_tokens(AthenaResponse.start_query_execution)
    AthenaResponse.get_query_execution = _with_statistics(AthenaResponse.get_query_execution)
