"""What the commands print: tables for people, dictionaries for ``--json``."""

from __future__ import annotations

import math
import os
import shutil
import sys
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.table import Table

from predict_age.progress import duration
from predict_age.tables import VIEW, rows_of
from predict_age.workspace import RunFolder, Workspace

if TYPE_CHECKING:
    import duckdb

    from predict_age.estimate import Estimate


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 100)


def _grid(title: str, columns: list[str], numbers: bool = True) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i and numbers else "left")
    return table


def program() -> str:
    """How to call this program again: its name where that is on the PATH, else the path it was called by."""
    called = Path(sys.argv[0])
    if called.name != "predict-age" or shutil.which("predict-age"):
        return "predict-age"
    return os.path.relpath(called)


def size(number: float) -> str:
    """Bytes as MiB or GiB."""
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"


def finite(value: Any) -> Any:
    """``value`` with NaN and infinity replaced by None, so that it is valid JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list) else value


def run_summary(folder: RunFolder) -> dict[str, Any]:
    """The object that ``run --json`` and ``status --json`` print. Parts that are not there yet are empty."""
    record = folder.record
    steps = folder.steps()
    facts = {s["name"]: s["facts"] for s in steps}
    final, metrics = facts.get("final_results", {}), facts.get("training", {}).get("metrics", {})
    held = metrics.get("held_out", {})
    summary = {
        "run_id": folder.id,
        "status": folder.status,
        "report": str(folder.report.resolve()) if folder.report.exists() else "",
        "workers": record["config"]["running"]["workers"] or facts.get("pre_cleanup", {}).get("workers", 0),
        "as_of": record["as_of"],
        "quarter": record["quarter"],
        "table": final.get("table", ""),
        "model_version": facts.get("training", {}).get("model_version", ""),
        "rows": final.get("rows", {}),
        "set_aside_reasons": facts.get("read_source", {}).get("set_aside", {}),
        "default_reasons": facts.get("parallel_prediction", {}).get("default", {}),
        "batches": {k: facts.get("parallel_prediction", {}).get(k, 0) for k in ("batches", "kept")},
        "stages": [{k: s[k] for k in ("name", "seconds", "rows", "peak_rss_bytes")} for s in steps],
        "metrics": {
            "mae": held.get("mae"), "rmse": held.get("rmse"), "r2": held.get("r2"), "bias": held.get("bias"),
            "ridge_mae": metrics.get("ridge", {}).get("mae"), "median_mae": metrics.get("median", {}).get("mae"),
            "coverage": held.get("coverage"), "width": held.get("width"), "held_out_rows": held.get("rows"),
            "target_coverage": record["config"]["training"]["coverage"],
            **final.get("quality", {}),
        },
    }  # fmt: skip
    cleaned: dict[str, Any] = finite(summary)
    return cleaned


def _number(value: float | None, text: str) -> str:
    return "\N{EN DASH}" if value is None else text.format(value)


def show_run(folder: RunFolder) -> None:
    """A run for people: result table, quality, steps, where to look next."""
    s = run_summary(folder)
    console = _console()
    console.print(f"\n[bold]Run {s['run_id']}[/bold]  {s['status']}, as of {s['as_of']}")
    if rows := s["rows"]:
        table = _grid("Results", ["source of the age", "people", "share"])
        sources = {**rows["existing_by_source"], "ML_PREDICTION": rows["predicted"], "DEFAULT": rows["default"]}
        for name, n in sources.items():
            table.add_row(name, f"{n:,}", f"{n / rows['distinct']:.1%}")
        table.add_row("[bold]every person once[/bold]", f"[bold]{rows['distinct']:,}[/bold]", "100.0%")
        quality = _quality(s["metrics"])
        console.print(table, quality)
        aside = f"{rows['read']:,} read = {rows['usable']:,} usable + {rows['set_aside']:,} set aside; "
        console.print(
            f"Books: {aside}{rows['usable']:,} = {rows['distinct']:,} people + {rows['duplicate']:,} duplicates", soft_wrap=True
        )
    steps = _grid("Steps", ["step", "time", "rows", "rows/s", "peak memory"])
    for stage in s["stages"]:
        rate = stage["rows"] / stage["seconds"] if stage["seconds"] > 0.05 and stage["rows"] else 0
        steps.add_row(
            stage["name"], duration(stage["seconds"]), f"{stage['rows']:,}" if stage["rows"] else "",
            f"{rate:,.0f}" if rate else "", size(stage["peak_rss_bytes"]),
        )  # fmt: skip
    console.print(steps)
    if s["table"]:
        console.print(f"Table   {s['table']}, view {VIEW}", soft_wrap=True)
    if s["report"]:
        console.print(f"Report  {s['report']}", soft_wrap=True)
    workspace = folder.path.parent.parent
    if s["status"] == "done":
        console.print(
            f'Next    {program()} sql --workspace {workspace} "SELECT * FROM {VIEW} LIMIT 5"', soft_wrap=True, markup=False
        )
    else:
        console.print(f"Next    {program()} resume --workspace {workspace}", soft_wrap=True, markup=False)


def _quality(m: dict[str, Any]) -> Group:
    table = _grid("Quality, on people held out from training", ["", "value", ""], numbers=False)
    table.add_row("mean absolute error", _number(m["mae"], "{:.2f} years"),
                  f"Ridge {_number(m['ridge_mae'], '{:.2f}')}, constant median {_number(m['median_mae'], '{:.2f}')}")  # fmt: skip
    table.add_row(
        "interval covers",
        _number(m["coverage"], "{:.1%}"),
        f"target {m['target_coverage']:.0%}, mean width {_number(m['width'], '{:.1f}')} years",
    )
    predicted = _number(m.get("high_quality_share_predicted"), "{:.1%}")
    table.add_row(
        "high quality",
        _number(m.get("high_quality_share"), "{:.1%}"),
        f"of all people at confidence 60 % or more; {predicted} of the predicted",
    )
    return Group(table)


def run_rows(workspace: Workspace) -> list[dict[str, Any]]:
    """One row a run, oldest first, for ``runs``."""
    published = workspace.published
    rows = []
    for folder in workspace.runs():
        s = run_summary(folder)
        quarters = [q for q, r in published.quarters.items() if r == folder.id]
        rows.append(
            {
                "run_id": folder.id, "status": s["status"], "as_of": s["as_of"], "quarter": s["quarter"],
                "people": s["rows"].get("distinct"), "mae": s["metrics"]["mae"], "published": ", ".join(quarters),
                "current": folder.id == published.current,
            }
        )  # fmt: skip
    return rows


def show_runs(workspace: Workspace) -> None:
    """The runs of a workspace for people."""
    table = _grid("Runs", ["run", "status", "as of", "people", "error", "published as"], numbers=False)
    for row in run_rows(workspace):
        people = f"{row['people']:,}" if row["people"] is not None else ""
        name = f"{row['published']}{' (current)' if row['current'] else ''}"
        table.add_row(row["run_id"], row["status"], row["as_of"], people, _number(row["mae"], "{:.2f} years"), name)
    _console().print(table)


def show_estimate(found: Estimate) -> None:
    """An estimate for people."""
    table = _grid("Plan", ["", ""], numbers=False)
    about = "" if found.exact_rows else "about "
    table.add_row("rows", f"{about}{found.rows:,} in {size(found.source_bytes)}")
    table.add_row("known ages", f"about {found.known_share:.1%}")
    table.add_row("to predict", f"about {found.to_predict:,}")
    table.add_row("batches", found.formula)
    table.add_row("time", f"about {duration(found.minutes * 60)} with {found.workers} workers")
    table.add_row("memory", f"about {size(found.memory_bytes)}")
    table.add_row("disk", f"about {size(found.disk_bytes)} in the workspace")
    _console().print(table)


def show_rows(relation: duckdb.DuckDBPyRelation, stream: IO[str], most: int = 1000) -> None:
    """Rows as a table for people; more than ``most`` are cut off, and said to be."""
    rows = list(islice(rows_of(relation), most + 1))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in relation.columns:
        table.add_column(name, overflow="fold")
    for row in rows[:most]:
        table.add_row(*("" if v is None else str(v) for v in row))
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 160, markup=False)
    console.print(table)
    if len(rows) > most:
        console.print(f"first {most:,} rows; use --format csv for all")
