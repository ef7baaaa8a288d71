"""Runs, their verification and comparison: tables for people, dictionaries for ``--json``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group

from predict_age.cli.console import grid, print_field, print_sentence, program_name, stdout_console, styled
from predict_age.cli.published_state import is_published, later_result, readable_files
from predict_age.errors import IntegrityError
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.gate_advice import accept_when
from predict_age.runs.summary import run_summary, stopped_gate
from predict_age.runtime.named_commands import with_workspace
from predict_age.runtime.progress import duration, size
from predict_age.sql import VIEW
from predict_age.storage.workspace import DAMAGED, DONE, FAILED, RUNNING, RunFolder, Workspace
from predict_age.tally import number_or_dash, percent, share_or_dash
from predict_age.terminal_text import shell_word

if TYPE_CHECKING:
    from predict_age.pipeline.verify import Verification
    from predict_age.query.run_diff import Diff


FIRST_COLUMNS = ("pid", "predicted_age", "age_lower", "age_upper", "usable", "prediction_source")


def show_run(folder: RunFolder) -> None:
    """Print a run: result table, quality, steps, and the next command."""
    s = run_summary(folder)
    console, workspace = stdout_console(), folder.path.parent.parent
    console.print(styled("\n", (f"Run {s['run_id']}", "bold"), f"  {s['status']}, as of {s['as_of']}, purpose: {s['purpose']}"))
    if rows := s["rows"]:
        table = grid("Results", ["source of the age", "people", "share"])
        sources = {**rows["existing_by_source"], "ML_PREDICTION": rows["predicted"], "DEFAULT": rows["default"]}
        if "withheld" in rows:
            sources["WITHHELD"] = rows["withheld"]
        people = rows["distinct"] - rows.get("suppressed", 0)
        for name, n in sources.items():
            table.add_row(name, f"{n:,}", percent(n / people))
        table.add_row(styled(("every person once", "bold")), styled((f"{people:,}", "bold")), percent(1))
        quality = _quality(s["metrics"], s.get("reused_model"), s.get("training_metrics"))
        console.print(table, quality)
        aside = f"{rows['read']:,} read = {rows['usable']:,} usable + {rows['set_aside']:,} rejected; "
        hidden = f" + {rows['suppressed']:,} suppressed" if "suppressed" in rows else ""
        accounts = f"{aside}{rows['usable']:,} = {people:,} people{hidden} + {rows['duplicate']:,} duplicates"
        print_sentence(console, "Row accounting: ", accounts)
    if s["withheld_reason"]:
        print_sentence(console, "No age  ", s["withheld_reason"])
    if s["passed_over"]:
        passed = "; ".join(f"{p['files']:,} {p['reason']} ({Path(p['first'][0]).name})" for p in s["passed_over"])
        print_field(console, "Unread", f"passed over: {passed}")
    for sentence in s["unusable_ages"]:
        print_sentence(console, "Ages    ", sentence)
    steps = grid("Steps", ["step", "time", "rows", "rows/s", "peak memory"])
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
    if s["message"]:
        print_field(console, "Why", with_workspace(s["message"], workspace))
    if s["drift"].get("drifted"):
        console.print(styled(("Changed data", "red"), f" against run {s['drift']['reference']}:"), soft_wrap=True)
        for sentence in s["drift"]["drifted"][:5]:
            print_sentence(console, "  ", sentence)
    for sentence in s["run_findings"]:
        print_sentence(console, "First   ", sentence)
    if card := s["findings"][len(s["run_findings"]) :]:
        print_sentence(console, "Card    ", card[0])
    is_shadow = s["shadow"] and not is_published(workspace, str(s["run_id"]))
    if is_shadow and s["rows"]:
        rollback = with_workspace(f"`predict-age rollback --to {s['run_id']}`", workspace)
        print_field(console, "Shadow", f"not published; {rollback} publishes it")
    if s["table"]:
        print_field(console, "Table", f"{s['table']}, view {VIEW}")
    if files := readable_files(workspace, str(s["run_id"])):
        print_field(console, "Files", files)
    if later := later_result(workspace, str(s["run_id"])):
        print_field(console, "Older", later)
    if s["report"]:
        print_field(console, "Report", s["report"])
    print_field(console, "Next", _next_command(s["status"], folder, workspace, is_shadow=is_shadow))


def _has_text_ids(folder: RunFolder) -> bool:
    """Whether the ids of the source are text, so that the results have the column ``source_id``."""
    return any(isinstance(s.facts, ReadSourceFacts) and s.facts.pid_type != "integer" for s in folder.steps())


def _next_command(status: str, folder: RunFolder, workspace: Path, *, is_shadow: bool) -> str:
    """Words and commands for the time after a run with this status."""

    def called(command: str) -> str:
        return f"{program_name()} {command} --workspace {shell_word(workspace)}"

    if status == DONE and is_shadow:
        compare = called(f"ab current {folder.id} --truth FILE")
        return f"once true ages are known, {compare} compares it with the published run"
    if status == DONE:
        columns = [FIRST_COLUMNS[0], *(["source_id"] if _has_text_ids(folder) else []), *FIRST_COLUMNS[1:]]
        return called("sql") + f' "SELECT {", ".join(columns)} FROM {VIEW} LIMIT 5"'
    if status == RUNNING:
        return f"wait: the run is at work; {called('status')} shows the steps that are done"
    if status != FAILED:
        return called("resume")
    gate = stopped_gate(folder)
    if gate is None:
        return (
            f"after a change of source, features or configuration, `{program_name()} run` starts a new run\n"
            f"where the machine was the cause: {called('resume')}"
        )
    name, decided = gate
    failed = [check.name for check in decided.checks if not check.passed]
    return (
        f"the {name} gate stopped the run ({', '.join(failed)}), and a plain resume would stop there again. Either\n"
        f"change data, features or configuration, and start a new run with `{program_name()} run`, or\n"
        f"{called('resume')} --accept\n"
        f"which is right where {accept_when(failed)}"
    )


def _quality(m: dict[str, float | None], reused: dict[str, object] | None, trained: dict[str, float | None] | None) -> Group:
    """Quality of the delivered predictions; of a reused model also that of its training."""
    title = "Quality, on people held out from training"
    if reused:
        measured = reused["measured_in_this_run"]
        title = f"Quality of the reused model, {reused['sentence']}" if measured else "Quality of the reused model, at its training"
    table = grid(title, ["", "value", ""], numbers=False)
    table.add_row(
        "mean absolute error",
        _with_margin(m["mae"], m.get("mae_margin"), lambda years: number_or_dash(years, "{:.2f}")) + " years",
        f"Ridge {number_or_dash(m['ridge_mae'], '{:.2f}')}, constant median {number_or_dash(m['median_mae'], '{:.2f}')}",
    )
    target = "" if m["target_coverage"] is None else f"target {percent(m['target_coverage'], 0)}, "
    table.add_row(
        "interval covers",
        _with_margin(m["coverage"], m.get("coverage_margin"), share_or_dash),
        f"{target}mean width {number_or_dash(m['width'], '{:.1f}')} years",
    )
    if reused and trained and reused["measured_in_this_run"]:
        then = f"interval {share_or_dash(trained['coverage'])}, {number_or_dash(trained['width'], '{:.1f}')} years wide"
        table.add_row("when it was trained", number_or_dash(trained["mae"], "{:.2f} years"), then)
    elif reused:
        table.add_row("in this run", "not measured", str(reused["sentence"]))
    high_quality = share_or_dash(m.get("high_quality_share_predicted"))
    table.add_row(
        "usable",
        share_or_dash(m.get("usable_share_predicted")),
        f"of the predictions; {high_quality} at confidence 60 % or more",
    )
    return Group(table)


def _with_margin(value: float | None, margin: float | None, shown: Callable[[float | None], str]) -> str:
    """A measured value with half of its 95 % confidence interval, where that is known."""
    return shown(value) if margin is None else f"{shown(value)} \N{PLUS-MINUS SIGN} {shown(margin)}"


@dataclass(frozen=True)
class RunRow:
    """A run in the list of runs; None where its records are damaged or do not tell yet."""

    run_id: str
    published: str
    current: bool
    status: str
    message: str | None = None
    as_of: str | None = None
    quarter: str | None = None
    people: int | None = None
    mae: float | None = None
    model_version: str | None = None
    base: str | None = None
    purpose: str | None = None
    shadow: bool = False


def run_rows(workspace: Workspace) -> list[RunRow]:
    """One row for each run, oldest first. A run with damaged records has the status "damaged"."""
    published = workspace.published
    rows = []
    for folder in workspace.runs():
        quarters = [q for q, r in published.quarters.items() if r == folder.id]
        row = RunRow(folder.id, ", ".join(quarters), folder.id == published.current, DAMAGED)
        try:
            s = run_summary(folder)
        except (IntegrityError, KeyError):
            rows.append(row)
            continue
        rows.append(
            replace(
                row,
                status=s["status"],
                message=s["message"],
                as_of=s["as_of"],
                quarter=s["quarter"],
                people=s["rows"]["distinct"] - s["rows"].get("suppressed", 0) if s["rows"] else None,
                mae=s["metrics"]["mae"],
                model_version=s["model_version"],
                base=s["base"],
                purpose=s["purpose"],
                shadow=s["shadow"],
            )
        )
    return rows


def show_runs(rows: list[RunRow]) -> None:
    """Print the runs of a workspace."""
    table = grid("Runs", ["run", "status", "as of", "people", "error", "published as"], numbers=False)
    for row in rows:
        people = f"{row.people:,}" if row.people is not None else ""
        name = f"{row.published}{' (current)' if row.current else ''}" or ("(shadow)" if row.shadow else "")
        table.add_row(row.run_id, row.status, row.as_of or "", people, number_or_dash(row.mae, "{:.2f} years"), name)
    console = stdout_console()
    console.print(table)
    for row in rows:
        if row.message:
            console.print(f"{row.run_id} {row.status}: {row.message.splitlines()[0]}", soft_wrap=True)


def show_verified(result: Verification) -> None:
    """Print the result of a verification."""
    console = stdout_console()
    about = f"  {result.files:,} files, {size(result.bytes)}, {result.rows:,} people"
    console.print(styled("\n", (f"Run {result.run_id}", "bold"), about))
    for text in result.checks:
        console.print(styled("  ", ("ok", "green"), f"   {text}"), soft_wrap=True)
    for text in result.problems:
        console.print(styled("  ", ("BAD", "red"), "  " + text.replace("\n", "\n       ")), soft_wrap=True)


@dataclass(frozen=True)
class RemovedRun:
    """A run that prune removed, or would remove."""

    run_id: str
    reason: str
    bytes: int


def show_removals(removed: list[RemovedRun], dry_run: bool) -> None:
    """Print the runs that prune removed, or would remove."""
    if not removed:
        stdout_console().print("Nothing to remove.")
        return
    table = grid("Would be removed" if dry_run else "Removed", ["run", "why", "size"], numbers=False)
    for row in removed:
        table.add_row(row.run_id, row.reason, size(row.bytes))
    stdout_console().print(table)


def show_diff(diff: Diff) -> None:
    """Print the comparison of two runs."""
    console = stdout_console()
    console.print(styled("\n", (diff.before, "bold"), " against ", (diff.after, "bold"), f": {diff.expected:+.2f} years later"))
    console.print(f"{diff.both:,} people in both, {diff.only_before:,} only in the first, {diff.only_after:,} only in the second")
    table = grid("Where the age comes from", ["before", "after", "people", "mean change"], numbers=False)
    for move in diff.moves:
        table.add_row(move.before, move.after, f"{move.people:,}", number_or_dash(move.mean_change, "{:+.2f} years"))
    console.print(table)
    if diff.predicted_in_both:
        near = ", ".join(f"{percent(share)} within {years}" for years, share in diff.within.items())
        change = f"mean change {number_or_dash(diff.mean_change, '{:+.2f}')} years, {diff.expected:+.2f} expected"
        print_sentence(console, "Predicted in both: ", f"{diff.predicted_in_both:,}; {change}; {near} years of it")
    console.print(f"{diff.jumped:,} people jumped by more than {diff.jump_years:g} years", soft_wrap=True)
    if diff.jumps:
        texts = any(row.source_id is not None for row in diff.jumps)
        table = grid("Largest jumps", ["source_id" if texts else "pid", "before", "after", "source before", "source after"])
        for row in diff.jumps:
            table.add_row(
                (row.source_id or "") if texts else str(row.pid),
                str(row.age_before),
                str(row.age_after),
                row.source_before,
                row.source_after,
            )
        console.print(table)
