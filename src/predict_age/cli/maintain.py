"""Commands that keep results in order: verify, rollback, prune."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from predict_age.cli.app import AsJson, Space, app, existing, out
from predict_age.errors import IntegrityError


@app.command(epilog="Example: predict-age verify --workspace work")
def verify(
    workspace: Space,
    run_id: Annotated[str, typer.Option("--run", help="Run id, published quarter, or current.", metavar="RUN")] = "current",
    as_json: AsJson = False,
) -> None:
    """Read a finished run again: every byte against its hash, every person against the books. Exit code 4 if it is damaged."""
    from predict_age.cli.render import show_verified
    from predict_age.pipeline.verify import verify as check

    space = existing(workspace)
    found = check(space, space.resolve(run_id))
    out(json.dumps(found.as_json())) if as_json else show_verified(found)
    if found.problems:
        raise IntegrityError(
            f"run {found.run_id} is damaged",
            expected="every file as it was written",
            found=found.problems[0],
            fix="`predict-age rollback --to` a whole run, or run again",
        )


@app.command(epilog="Example: predict-age rollback --workspace work --to 2025q2")
def rollback(
    workspace: Space,
    to: Annotated[str, typer.Option("--to", help="Run id, published quarter, or previous.", metavar="RUN|QUARTER")] = "previous",
    as_json: AsJson = False,
) -> None:
    """Switch readers to an earlier run, after its files were found whole. One atomic replacement; nothing is deleted."""
    from predict_age.storage.rollback import rollback as switch

    published, folder = switch(existing(workspace), to)
    if as_json:
        out(json.dumps({"current": published.current, "quarters": published.quarters}))
    else:
        out(
            f"current is now run {folder.id}; published quarters: "
            + ", ".join(f"{q} ({r})" for q, r in sorted(published.quarters.items()))
        )


@app.command(epilog="Example: predict-age prune --workspace work --keep 2 --dry-run")
def prune(
    workspace: Space,
    keep: Annotated[int, typer.Option(help="Finished runs to keep; the current one stays in any case.", min=1)] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove finished runs beyond the newest ones, and what killed runs left behind."""
    from predict_age.cli.render import show_removals
    from predict_age.config import Config
    from predict_age.storage.retention import removable, remove_leftovers, remove_runs

    space = existing(workspace)
    with space.hold("prune", Config().running.lease_seconds):
        found = removable(space, keep)
        listed = [{"run_id": r.run.id, "reason": r.reason, "bytes": r.bytes} for r in found]
        if not dry_run:
            gone = remove_runs(space, found)
            listed = [row for row in listed if row["run_id"] in gone]
            remove_leftovers(space)
    out(json.dumps({"removed": listed, "dry_run": dry_run})) if as_json else show_removals(listed, dry_run)
