"""Iceberg tables of random histories: our rows against PyIceberg's. ``python benchmarks/iceberg.py [HISTORIES]``.

Needs PyIceberg with a SQL catalogue (``pip install "pyiceberg[sql-sqlite,pyiceberg-core]"``), which predict-age does not use.
A history appends, overwrites and deletes rows, adds, renames, drops and brings back columns, and partitions the table anew. The
files that predict-age takes must hold the rows of PyIceberg's scan, or the table must be refused with a reason that the history
has.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ValidationError
from pyiceberg.transforms import BucketTransform, IdentityTransform
from pyiceberg.types import StringType

from predict_age.errors import InputError
from predict_age.source.glue_table import GlueTable
from predict_age.source.iceberg_table import iceberg_files
from predict_age.source_config import SourceConfig

COUNTRIES = ("de", "fr", "it")


def rows(rng: random.Random, names: list[str]) -> pa.Table:
    """Some new rows with a value in each column."""
    number = rng.randint(1, 20)
    columns: dict[str, Any] = {"pid": pa.array([rng.randrange(1000) for _ in range(number)], pa.int64())}
    for name in names:
        columns[name] = pa.array([rng.choice((*COUNTRIES, None)) for _ in range(number)], pa.string())
    return pa.table(columns)


def change(rng: random.Random, table: Any, done: Counter[str]) -> None:
    """One change of the table or of its rows."""
    names = [f.name for f in table.schema().fields if f.name != "pid"]
    action = rng.choice(("append", "append", "overwrite", "delete", "add", "rename", "drop", "again", "partition"))
    if action == "append":
        table.append(rows(rng, names))
    elif action == "overwrite":
        table.overwrite(rows(rng, names), overwrite_filter=f"pid < {rng.randrange(1000)}")
    elif action == "delete":
        table.delete(f"pid < {rng.randrange(500)}")
    elif action == "add":
        with table.update_schema() as update:
            update.add_column(f"c{rng.randrange(10**6)}", StringType())
    elif action == "partition" and names:
        with table.update_spec() as update:
            update.add_field(rng.choice(names), rng.choice((IdentityTransform(), BucketTransform(4))), f"p{rng.randrange(10**6)}")
    elif action in ("rename", "drop", "again") and names:
        name = rng.choice(names)
        with table.update_schema() as update:
            if action == "rename":
                update.rename_column(name, f"r{rng.randrange(10**6)}")
            else:
                update.delete_column(name)
        if action == "again":
            with table.update_schema() as update:
                update.add_column(name, StringType())
    else:
        return
    done[action] += 1


def values(table: pa.Table, names: list[str]) -> Counter[tuple[Any, ...]]:
    """How often each row is there; a column that is not there is null."""
    columns = [table[n].to_pylist() if n in table.column_names else [None] * table.num_rows for n in names]
    return Counter(zip(*columns, strict=True))


def main(histories: int) -> None:
    """Compare that many tables; exit with an error at the first difference."""
    outcomes: Counter[str] = Counter()
    for seed in range(histories):
        rng, done = random.Random(seed), Counter[str]()
        with tempfile.TemporaryDirectory() as folder:
            catalogue = SqlCatalog("local", uri=f"sqlite:///{folder}/catalogue.db", warehouse=f"file://{folder}")
            catalogue.create_namespace("raw")
            first = rows(rng, ["country", "city"])
            table = catalogue.create_table("raw.people", first.schema, properties={"format-version": str(rng.choice((1, 2)))})
            table.append(first)
            for _ in range(rng.randint(1, 8)):
                try:
                    change(rng, table, done)
                except (ValueError, ValidationError, NotImplementedError) as error:
                    outcomes[f"PyIceberg refused: {str(error)[:40]}"] += 1
                table = catalogue.load_table("raw.people")
            expected = table.scan().to_arrow()
            entry = GlueTable("raw.people", "parquet", (), "1", metadata=table.metadata_location.removeprefix("file://"))
            try:
                files = iceberg_files(entry, SourceConfig())
            except InputError as error:
                if expected.num_rows == 0 and "has no rows" in error.message:
                    outcomes["empty"] += 1
                elif done["rename"] or done["again"] or done["drop"]:
                    outcomes["refused: " + ("renamed" if ", now " in error.found else "dropped")] += 1
                else:
                    sys.exit(f"seed {seed}: refused without a reason: {error}\n{done}")
                continue
            read = [pq.ParquetFile(f.path).read() for f in files]
            names = expected.column_names
            ours = sum((values(t, names) for t in read), Counter[tuple[Any, ...]]())
            if ours != values(expected, names):
                sys.exit(f"seed {seed}: other rows than PyIceberg's\n{done}\n{ours - values(expected, names)}")
            outcomes["equal rows"] += 1
    print(f"{histories} histories:", ", ".join(f"{n} {k}" for k, n in outcomes.most_common()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
