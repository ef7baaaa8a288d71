"""Commands with ``--workspace s3://...``: those that work there, and where the others have their counterpart on AWS."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from predict_age.cli.output import completed, print_json, print_line
from predict_age.errors import ConfigError
from predict_age.runtime.named_commands import shown_workspace

if TYPE_CHECKING:
    from predict_age.aws.workspace_commands import Functions

WORK_THERE = ("verify", "rollback", "prune", "diff", "runs", "suppress")
_START = "aws stepfunctions start-execution --state-machine-arn ARN --input"
_MODEL = '"model": "champion", a quarter or a run'
_TABLES = "Athena has the results: predict_age_final_results_with_confidence, and predict_age_final_results_QUARTER of each quarter"
INSTEAD = {
    "run": f"""start an execution: {_START} '{{"source": "s3://...", "time": "2026-01-05T06:00:00Z"}}'; """
    f'for --training-source, --shadow and --model add "training_source", "shadow": true, {_MODEL}; '
    'for --base, too, "model": all predictions are computed again',
    "resume": 'start an execution with the same input, which goes on with the run; an accepted gate: "accept": true',
    "status": "`predict-age runs` lists runs; aws stepfunctions describe-execution tells how far an execution is",
    "sql": _TABLES,
    "export": f"{_TABLES}; UNLOAD (SELECT ...) TO 's3://...' WITH (format = 'PARQUET') writes them elsewhere",
    "score": "run the known ages through Athena: join them with predict_age_final_results_QUARTER on pid; "
    "or `predict-age score` on a run of one machine",
    "report": "aws s3 cp s3://BUCKET/PREFIX/runs/RUN/report.html .",
    "card": "aws s3 cp s3://BUCKET/PREFIX/runs/RUN/model/card.html .",
    "models": 'models lie below s3://BUCKET/PREFIX/runs/RUN/model/; an execution takes one with "model"',
    "ab": 'run two executions with "shadow": true, one of them with "model", and compare them with `predict-age diff`',
    "promote": 'executions name the model that they use: "model"; `predict-age rollback` publishes an earlier result',
    "serve": "api_enabled = true of the Terraform module serves the published model",
    "check-skew": "check a workspace of one machine; the API on AWS is the same application",
}


def workspace_in_s3(workspace: Path) -> bool:
    """Whether ``--workspace`` names S3: a Path has one slash of the two."""
    return str(workspace).startswith("s3:/")


def checked_workspace(context: typer.Context, workspace: Path | None) -> Path | None:
    """The option --workspace. Raises ConfigError for S3 where the command has no work there, with what there is instead."""
    command = str(context.command.name)
    if workspace is not None and workspace_in_s3(workspace) and command not in WORK_THERE:
        raise ConfigError(
            f"{command} works on a folder of this machine",
            expected=f"a folder; {', '.join(WORK_THERE)} also take s3://BUCKET/PREFIX",
            found=shown_workspace(workspace),
            fix=f'{INSTEAD.get(command, "")}; docs/aws.md, "Commands"'.lstrip("; "),
        )
    return workspace


def _functions(workspace: Path) -> Functions:
    from predict_age.aws.workspace_commands import Functions, store_of

    return Functions(store_of(workspace))


def verify_there(workspace: Path, run: str, as_json: bool) -> None:
    """Let the objects of a result be compared with its manifest, and print what was found."""
    found = _functions(workspace).ask("final-results", {"verify": run})
    if as_json:
        print_json(found)
        return
    published = f"published for {found['quarter']}" if found["published"] else "not published"
    print_line(
        f"run {found['run_id']} is whole, {published}: {found['files']:,} files and {found['athena']:,} objects of Athena "
        f"are those of its manifest, {found['people']:,} people"
    )


def roll_back_there(workspace: Path, to: str, as_json: bool) -> None:
    """Let an earlier result be verified and published again."""
    found = _functions(workspace).ask("final-results", {"rollback_to": to})
    completed(f"current is now run {found['run_id']}", "`predict-age runs`")
    print_json(found) if as_json else print_line(f"current is now run {found['run_id']} of {found['quarter']}")


def prune_there(workspace: Path, keep: int, dry_run: bool, as_json: bool) -> None:
    """Let old runs be removed."""
    found = _functions(workspace).ask("pre-cleanup", {"prune": {"keep": keep, "dry_run": dry_run}})
    if not dry_run:
        completed(f"{len(found['removed'])} runs were removed", "`predict-age runs`")
    if as_json:
        print_json(found)
        return
    for run in found["removed"]:
        print_line(f"{'would be removed' if dry_run else 'removed'}: {run['run_id']} ({run['reason']})")
    if not found["removed"]:
        print_line("Nothing to remove.")


def diff_there(workspace: Path, names: tuple[str, str], jump: float, people: bool, as_json: bool) -> None:
    """Let two results be compared by Athena, and print the summary that is printed for runs of one machine."""
    from predict_age.cli.render_runs import show_diff
    from predict_age.query.run_diff import Jump, summary_of_changes

    request: dict[str, object] = {"before": names[0], "after": names[1], "jump_years": jump, "people": people}
    found = _functions(workspace).ask("final-results", {"diff": request})
    table = [(r["source_before"], r["source_after"], _number(r["change"]), int(r["people"])) for r in found["changes"]]
    jumps = [
        Jump(
            int(row["pid"]),
            row["source_before"],
            row["source_after"],
            int(row["age_before"]),
            int(row["age_after"]),
            int(row["change"]),
            row.get("source_id"),
        )
        for row in found["jumps"]
    ]
    compared = summary_of_changes(found["before"], found["after"], found["expected"], jump, table, jumps)
    compared = compared if people else replace(compared, jumps=[])
    print_json(compared.as_json()) if as_json else show_diff(compared)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def show_runs_there(workspace: Path, as_json: bool) -> None:
    """Print the runs of the workspace."""
    from predict_age.aws.workspace_commands import runs_in_s3, store_of

    runs = runs_in_s3(store_of(workspace))
    if as_json:
        print_json([asdict(run) for run in runs])
        return
    for run in runs:
        published = f"  published for {', '.join(run.published)}" if run.published else ""
        print_line(f"{run.run_id}  {run.state}{published}{' (current)' if run.current else ''}")
    if not runs:
        print_line("There is no run yet.")
