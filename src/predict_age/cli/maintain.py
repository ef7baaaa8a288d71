"""Commands that maintain results: verify, rollback, prune."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from predict_age.cli.app import JsonOption, WorkspaceOption, app, open_workspace, print_line
from predict_age.cli.output import completed
from predict_age.errors import IntegrityError


@app.command("verify", epilog="Example: predict-age verify --workspace work")
def verify_command(
    workspace: WorkspaceOption,
    run_id: Annotated[str, typer.Option("--run", help="Run id, published quarter, or current.", metavar="RUN")] = "current",
    as_json: JsonOption = False,
) -> None:
    """Verify a finished run: compare every file with its hash and repeat the row accounting. Exit code 4 if it is damaged."""
    from predict_age.cli.render_runs import show_verified
    from predict_age.pipeline.verify import verify_run

    space = open_workspace(workspace)
    verification = verify_run(space, space.resolve(run_id))
    print_line(json.dumps(verification.as_json())) if as_json else show_verified(verification)
    if verification.problems:
        raise IntegrityError(
            f"run {verification.run_id} is damaged",
            expected="every file unchanged",
            found=verification.problems[0],
            fix="`predict-age rollback --to` a valid run, or run again",
        )


@app.command("rollback", epilog="Example: predict-age rollback --workspace work --to 2025q2")
def rollback_command(
    workspace: WorkspaceOption,
    to: Annotated[
        str, typer.Option("--to", help="Run id or its unique beginning, published quarter, or previous.", metavar="RUN|QUARTER")
    ] = "previous",
    as_json: JsonOption = False,
) -> None:
    """Verify an earlier run and publish it again. One atomic replacement; nothing is deleted."""
    from predict_age.storage.rollback import roll_back

    published, folder = roll_back(open_workspace(workspace), to)
    completed(f"current is now run {folder.id}", "`predict-age runs`")
    if as_json:
        print_line(json.dumps({"current": published.current, "quarters": published.quarters}))
    else:
        print_line(
            f"current is now run {folder.id}; published quarters: "
            + ", ".join(f"{q} ({r})" for q, r in sorted(published.quarters.items()))
        )


@app.command("prune", epilog="Example: predict-age prune --workspace work --keep 2 --dry-run")
def prune_command(
    workspace: WorkspaceOption,
    keep: Annotated[
        int,
        typer.Option(
            help="Finished runs to keep. The current run and the champion's run always stay; "
            "a result of an older quarter goes with its run.",
            min=1,
        ),
    ] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove finished runs beyond the newest ones, and leftovers of killed runs."""
    from predict_age.cli.render_runs import RemovedRun, show_removals
    from predict_age.config import Config
    from predict_age.storage.retention import removable, remove_leftovers, remove_runs

    space = open_workspace(workspace)
    with space.hold("prune", Config().running.lease_seconds):
        removals = removable(space, keep)
        listed = [RemovedRun(r.run.id, r.reason, r.bytes) for r in removals]
        if not dry_run:
            gone = remove_runs(space, removals)
            listed = [row for row in listed if row.run_id in gone]
            remove_leftovers(space)
            completed(f"{len(listed)} runs were removed", "`predict-age runs`")
    if as_json:
        print_line(json.dumps({"removed": [asdict(row) for row in listed], "dry_run": dry_run}))
    else:
        show_removals(listed, dry_run)
