"""Results of a run as a table that Arrow, pandas, polars and DuckDB read, without people whom the suppression list hides."""

from __future__ import annotations

import html
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.api.arguments import checks_arguments
from predict_age.api.frames import PandasFrame, PolarsFrame
from predict_age.errors import ConfigError
from predict_age.evaluation.ab_test.truth import result_table_sql
from predict_age.storage.manifest import verified_run
from predict_age.storage.spill import of_this_command
from predict_age.storage.workspace import RunFolder, Workspace

BATCH_ROWS = 100_000
ROWS_SHOWN = 10


@dataclass(frozen=True)
class Results:
    """The result rows of one run, one a person, read when they are asked for: ``columns`` of them, or all.

    Every file is compared with its hash in the run's manifest before it is read. The columns are those of docs/results.md.
    """

    workspace: Workspace
    folder: RunFolder
    columns: tuple[str, ...] = ()

    @checks_arguments
    def select(self, columns: Sequence[str]) -> Results:
        """Keep these ``columns`` of the rows. Raises ConfigError for one that there is not."""
        run = verified_run(self.workspace, self.folder)
        first = run.checked(run.named("results/")[0])[0]  # the others are verified when they are read
        known = pq.read_schema(first).names
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ConfigError(f"the results have no column {unknown[0]!r}", expected=", ".join(known), found=", ".join(columns))
        return replace(self, columns=tuple(columns))

    def __len__(self) -> int:
        with self._relation(()) as relation:
            return int(relation.aggregate("count(*)").fetchall()[0][0])

    @checks_arguments
    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Stream the rows, at most ``rows`` together: for results that do not fit into memory."""
        with self._relation(self.columns) as relation:
            yield from relation.to_arrow_reader(rows)

    def to_arrow(self) -> pa.Table:
        """All rows as a table."""
        with self._relation(self.columns) as relation:
            return relation.to_arrow_table()

    def to_pandas(self) -> PandasFrame:
        """All rows as a pandas data frame; pandas must be installed."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> PolarsFrame:
        """All rows as a polars data frame; polars must be installed."""
        import polars

        return polars.DataFrame(self.to_arrow())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    @contextmanager
    def _relation(self, columns: tuple[str, ...]) -> Iterator[duckdb.DuckDBPyRelation]:
        run = verified_run(self.workspace, self.folder)
        spill = of_this_command(self.workspace.root)
        connection = duckdb.connect(config={"temp_directory": str(spill)})
        try:
            rows = result_table_sql(connection, self.workspace, run)
            chosen = ", ".join('"' + name.replace('"', '""') + '"' for name in columns) or "*"
            yield connection.sql(f"SELECT {chosen} FROM {rows}")
        finally:
            connection.close()
            shutil.rmtree(spill, ignore_errors=True)

    def __repr__(self) -> str:
        return f"<Results of run {self.folder.id}: {len(self):,} people>"

    def _repr_html_(self) -> str:
        with self._relation(self.columns) as relation:
            rows, names = relation.limit(ROWS_SHOWN).fetchall(), relation.columns
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
        return f"<p>{html.escape(repr(self)[1:-1])}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return html.escape(f"{value:.1f}" if isinstance(value, float) else str(value))
