"""What the commands print: tables for people, dictionaries for ``--json``."""

from __future__ import annotations

import os
import shutil
import sys
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.table import Table

from predict_age.errors import IntegrityError
from predict_age.run.summary import run_summary
from predict_age.runtime.progress import duration, size
from predict_age.sql import VIEW
from predict_age.storage.workspace import DAMAGED, RunFolder, Workspace

if TYPE_CHECKING:
    import duckdb

    from predict_age.aws.cost_plan import AwsPlan
    from predict_age.evaluation.ab_test.arms import AbTestResult
    from predict_age.pipeline.estimate import Estimate
    from predict_age.pipeline.verify import Verification
    from predict_age.query.model_registry import Version
    from predict_age.query.run_diff import Diff


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 100)


def _grid(title: str, columns: list[str], numbers: bool = True) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i and numbers else "left")
    return table


def program_name() -> str:
    """How to call this program again: its name where that is on the PATH, else the path it was called by."""
    called = Path(sys.argv[0])
    if called.name != "predict-age" or shutil.which("predict-age"):
        return "predict-age"
    return os.path.relpath(called)


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
            stage["name"],
            duration(stage["seconds"]),
            f"{stage['rows']:,}" if stage["rows"] else "",
            f"{rate:,.0f}" if rate else "",
            size(stage["peak_rss_bytes"]),
        )
    console.print(steps)
    if s["drift"].get("drifted"):
        console.print(f"[red]Changed data[/red] against run {s['drift']['reference']}:", soft_wrap=True)
        for sentence in s["drift"]["drifted"][:5]:
            console.print(f"  {sentence}", soft_wrap=True, markup=False)
    if s["findings"]:
        console.print(f"Card    {s['findings'][0]}", soft_wrap=True, markup=False)
    if s["shadow"] and s["rows"]:
        console.print(f"Shadow  not published; `predict-age rollback --to {s['run_id']}` publishes it", soft_wrap=True)
    if s["table"]:
        console.print(f"Table   {s['table']}, view {VIEW}", soft_wrap=True)
    if s["report"]:
        console.print(f"Report  {s['report']}", soft_wrap=True)
    workspace = folder.path.parent.parent
    if s["status"] == "done":
        console.print(
            f'Next    {program_name()} sql --workspace {workspace} "SELECT * FROM {VIEW} LIMIT 5"', soft_wrap=True, markup=False
        )
    else:
        console.print(f"Next    {program_name()} resume --workspace {workspace}", soft_wrap=True, markup=False)


def _quality(m: dict[str, Any]) -> Group:
    table = _grid("Quality, on people held out from training", ["", "value", ""], numbers=False)
    table.add_row(
        "mean absolute error",
        _number(m["mae"], "{:.2f} years"),
        f"Ridge {_number(m['ridge_mae'], '{:.2f}')}, constant median {_number(m['median_mae'], '{:.2f}')}",
    )
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
    """One row a run, oldest first, for ``runs``. A run whose records are damaged is listed as such."""
    published = workspace.published
    rows = []
    for folder in workspace.runs():
        quarters = [q for q, r in published.quarters.items() if r == folder.id]
        row = {"run_id": folder.id, "published": ", ".join(quarters), "current": folder.id == published.current}
        try:
            s = run_summary(folder)
        except (IntegrityError, KeyError):
            nothing = dict.fromkeys(("as_of", "quarter", "people", "mae", "model_version", "base"))
            rows.append({**row, "status": DAMAGED, **nothing})
            continue
        rows.append(
            {
                **row,
                "status": s["status"],
                "as_of": s["as_of"],
                "quarter": s["quarter"],
                "people": s["rows"].get("distinct"),
                "mae": s["metrics"]["mae"],
                "model_version": s["model_version"],
                "base": s["base"],
            }
        )
    return rows


def show_runs(workspace: Workspace) -> None:
    """The runs of a workspace for people."""
    table = _grid("Runs", ["run", "status", "as of", "people", "error", "published as"], numbers=False)
    for row in run_rows(workspace):
        people = f"{row['people']:,}" if row["people"] is not None else ""
        name = f"{row['published']}{' (current)' if row['current'] else ''}"
        table.add_row(row["run_id"], row["status"], row["as_of"] or "", people, _number(row["mae"], "{:.2f} years"), name)
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
    price = (
        f"{found.minutes:.1f} minutes at ${found.usd_per_hour:g} an hour"
        if found.usd_per_hour
        else "limits.usd_per_hour is not set"
    )
    table.add_row("cost", f"about ${found.cost_usd:.2f} ({price})")
    _console().print(table)


def show_aws_plan(found: AwsPlan) -> None:
    """A plan for AWS, with its arithmetic."""
    table = _grid(f"Plan on AWS (prices of {found.prices})", ["", ""], numbers=False)
    table.add_row("people", f"{found.rows:,}, of whom {found.to_predict:,} need a prediction")
    for line in found.arithmetic:
        name, _, rest = line.partition(" = " if " = ceil" in line else ": ") if ":" in line or " = ceil" in line else ("", "", line)
        table.add_row(name, rest or line)
    table.add_row("time", f"about {duration(found.minutes * 60)}, {found.concurrency:,} tasks at a time")
    for name, text in found.checks.items():
        table.add_row(name, text)
    money = _grid("Dollars", ["service", "dollars"])
    for name, dollars in found.dollars.items():
        money.add_row(name, f"{dollars:.3f}")
    money.add_row("altogether", f"{found.total:.2f}", style="bold")
    _console().print(table)
    _console().print(money)


def show_rows(relation: duckdb.DuckDBPyRelation, stream: IO[str], most: int = 1000) -> None:
    """Rows as a table for people; more than ``most`` are cut off, and said to be."""
    from predict_age.query.tables import rows_of

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


def show_verified(found: Verification) -> None:
    """What was checked, for people."""
    console = _console()
    console.print(f"\n[bold]Run {found.run_id}[/bold]  {found.files:,} files, {size(found.bytes)}, {found.rows:,} people")
    for text in found.checks:
        console.print(f"  [green]ok[/green]   {text}", soft_wrap=True)
    for text in found.problems:
        console.print("  [red]BAD[/red]  " + text.replace("\n", "\n       ").replace("[", "\\["), soft_wrap=True)


def show_removals(removed: list[dict[str, Any]], dry_run: bool) -> None:
    """What prune removed, or would remove."""
    if not removed:
        _console().print("Nothing to remove.")
        return
    table = _grid("Would be removed" if dry_run else "Removed", ["run", "why", "size"], numbers=False)
    for row in removed:
        table.add_row(row["run_id"], row["reason"], size(row["bytes"]))
    _console().print(table)


def show_diff(found: Diff) -> None:
    """Two runs compared, for people."""
    console = _console()
    console.print(f"\n[bold]{found.before}[/bold] against [bold]{found.after}[/bold]: {found.expected:+.2f} years later")
    console.print(
        f"{found.both:,} people in both, {found.only_before:,} only in the first, {found.only_after:,} only in the second"
    )
    table = _grid("Where the age comes from", ["before", "after", "people", "mean change"], numbers=False)
    for move in found.moves:
        table.add_row(move["before"], move["after"], f"{move['people']:,}", _number(move["mean_change"], "{:+.2f} years"))
    console.print(table)
    if found.predicted_in_both:
        near = ", ".join(f"{share:.1%} within {years}" for years, share in found.within.items())
        console.print(
            f"Predicted in both: {found.predicted_in_both:,}; mean change {_number(found.mean_change, '{:+.2f}')} years, "
            f"{found.expected:+.2f} expected; {near} years of it",
            soft_wrap=True,
        )
    console.print(f"{found.jumped:,} people jumped by more than {found.jump_years:g} years", soft_wrap=True)
    if found.jumps:
        table = _grid("Largest jumps", ["pid", "before", "after", "source before", "source after"])
        for row in found.jumps:
            table.add_row(str(row["pid"]), str(row["age_before"]), str(row["age_after"]), row["source_before"], row["source_after"])
        console.print(table)


def show_models(found: list[Version]) -> None:
    """All models, for people."""
    if not found:
        _console().print("There are no models yet: they are made by `predict-age run`.")
        return
    table = _grid("Models", ["version", "error", "Ridge", "coverage", "gate", "runs", ""], numbers=False)
    for v in found:
        table.add_row(
            v.version,
            _number(v.mae, "{:.2f} years"),
            _number(v.ridge_mae, "{:.2f}"),
            _number(v.coverage, "{:.1%}"),
            v.gate,
            f"{v.runs[-1]}" + (f" and {len(v.runs) - 1} more" if len(v.runs) > 1 else ""),
            "champion" if v.champion else "",
        )
    _console().print(table)


def show_card(card: dict[str, Any], path: Path) -> None:
    """What the model card says first, and where the rest is."""
    console = _console()
    held = card["held_out"]
    console.print(
        f"\n[bold]Model {card['model_version']}[/bold]  {held['mae']:.2f} years mean error, "
        f"{held['coverage']:.1%} inside the interval, {held['rows']:,} people judged",
        soft_wrap=True,
    )
    for number, finding in enumerate(card["findings"], start=1):
        console.print(f"  {number}. {finding['kind']}: {finding['sentence']}", soft_wrap=True, markup=False)
    if not card["findings"]:
        console.print("  nothing stands out")
    console.print(f"Card    {path.resolve()}", soft_wrap=True, markup=False)


def show_read_out(found: AbTestResult) -> None:
    """An experiment, for people."""
    console = _console()
    how = "the same people predicted by each model" if found.paired else "each model with people of its own"
    console.print(f"\n[bold]Experiment[/bold]  {how}; true ages of {found.truth}", soft_wrap=True)
    table = _grid("Arms", ["model", "people", "error", "bias", "coverage", "width"])
    for name, sums in found.arms.items():
        row = sums.as_json()
        table.add_row(
            name,
            f"{sums.rows:,}",
            _number(row["mae"], "{:.2f}"),
            _number(row["bias"], "{:+.2f}"),
            _number(row["coverage"], "{:.1%}"),
            _number(row["width"], "{:.1f}"),
        )
    console.print(table)
    for d in found.decisions:
        between = f"{d.difference:+.3f} years ({d.low:+.3f} to {d.high:+.3f})" if d.needed else "no difference yet"
        console.print(f"[bold]{d.challenger}[/bold]: {d.decision}; {d.reason}", soft_wrap=True)
        console.print(f"  challenger minus champion {between}; {d.needed:,} people find the least gain that counts", soft_wrap=True)
