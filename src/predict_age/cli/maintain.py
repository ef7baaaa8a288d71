"""Commands that maintain results: verify, rollback, prune, suppress."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predict_age.cli.app import JsonOption, WorkspaceOption, app, open_people, open_workspace
from predict_age.cli.output import completed, print_json, print_line
from predict_age.cli.s3_workspace import prune_there, roll_back_there, verify_there, workspace_in_s3
from predict_age.errors import ConfigError, IntegrityError
from predict_age.runtime.command_log import stage
from predict_age.tally import counted, in_number

if TYPE_CHECKING:
    from predict_age.pipeline.suppress import GivenIds, SuppressionOutcome
    from predict_age.source.row_rules import IdType


@app.command("verify", epilog="Example: predict-age verify --workspace work")
def verify_command(
    workspace: WorkspaceOption,
    run_id: Annotated[str, typer.Option("--run", help="Run id, published quarter, or current.", metavar="RUN")] = "current",
    as_json: JsonOption = False,
) -> None:
    """Verify a finished run: compare every file with its hash and repeat the row accounting. Exit code 4 if it is damaged."""
    if workspace_in_s3(workspace):
        verify_there(workspace, run_id, as_json)
        return
    from predict_age.cli.render_runs import show_verified
    from predict_age.pipeline.verify import verify_run

    space = open_people(workspace)
    verification = verify_run(space, space.resolve(run_id))
    print_json(verification.as_json()) if as_json else show_verified(verification)
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
    if workspace_in_s3(workspace):
        roll_back_there(workspace, to, as_json)
        return
    from predict_age.runs.current_folder import follow_published
    from predict_age.storage.rollback import roll_back

    space = open_workspace(workspace)
    with stage("verify the run and publish it"):
        published, folder = roll_back(space, to)
    completed(f"current is now run {folder.id}", "`predict-age runs`")
    with stage("lead the folder current to the run"):
        follow_published(space)
    if as_json:
        print_json({"current": published.current, "quarters": published.quarters})
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
    """Remove finished runs beyond the newest ones, unfinished runs that nobody continued, and leftovers of killed runs."""
    if workspace_in_s3(workspace):
        prune_there(workspace, keep, dry_run, as_json)
        return
    from predict_age.cli.render_runs import RemovedRun, show_removals
    from predict_age.config import Config
    from predict_age.storage.leftovers import remove_dead_attempts
    from predict_age.storage.retention import removable, remove_leftovers, remove_runs

    space = open_workspace(workspace)
    with space.hold("prune", Config().running.lease_seconds):
        with stage("look for runs that may be removed"):
            removals = removable(space, keep)
        listed = [RemovedRun(r.run.id, r.reason, r.bytes) for r in removals]
        if not dry_run:
            from predict_age.runs.current_folder import leave_old_run

            with stage("remove runs and leftovers"):
                gone = remove_runs(space, removals, leave_old_run)
                listed = [row for row in listed if row.run_id in gone]
                remove_leftovers(space)
                remove_dead_attempts(space)
            completed(f"{len(listed)} runs were removed", "`predict-age runs`")
    if as_json:
        print_json({"removed": [asdict(row) for row in listed], "dry_run": dry_run})
    else:
        show_removals(listed, dry_run)


class PidType(StrEnum):
    """Types of ids that a pid file may be said to hold."""

    auto = "auto"
    integer = "integer"
    text = "text"


@app.command("suppress", epilog="Example: predict-age suppress --workspace work --pid-file leave-out.txt")
def suppress_command(
    workspace: WorkspaceOption,
    pid_file: Annotated[
        str,
        typer.Option("--pid-file", help="File with one id a line, - for stdin. Ids never stand in the command.", metavar="FILE|-"),
    ] = "",
    release: Annotated[
        bool, typer.Option("--remove", help="Take the ids off the list: the next run has these people again.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Say how many of the ids are on the list, and change nothing.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make a new list and a new key of these ids alone, when list or key are lost.")
    ] = False,
    pid_type: Annotated[
        PidType, typer.Option("--pid-type", help="Type of id on every line; auto: the type of the published run's ids.")
    ] = PidType.auto,
    as_json: JsonOption = False,
) -> None:
    """Suppress people: no later run reads them, and readers of earlier results do not see them from now on.

    The list keeps keyed hashes, not ids. Ids that no result has are fine: they are counted.
    """
    from predict_age.pipeline.suppress import change_suppression, check_suppression, id_rule
    from predict_age.storage.workspace import Workspace

    if release + check + rebuild > 1:
        raise ConfigError("--remove, --check and --rebuild exclude each other", fix="give one of them")
    if not pid_file and not check:
        raise ConfigError("whom to suppress is missing", expected="--pid-file FILE, or --pid-file - for stdin")
    if workspace_in_s3(workspace):
        _suppress_in_s3(workspace, pid_file, pid_type, as_json, release=release, check=check, rebuild=rebuild)
        return
    space = open_workspace(workspace) if check or release else Workspace(workspace)
    if not rebuild:
        space.suppression  # noqa: B018 - a list that cannot be used is said before anything else
    rules: dict[PidType, IdType | None] = {PidType.auto: id_rule(space), PidType.integer: "integer", PidType.text: "text"}
    given = _given(pid_file, rules[pid_type], rebuild)
    if check or given is None:
        with stage("look the ids up in the suppression list"):
            outcome = check_suppression(space, given)
    else:
        with stage("change the suppression list"):
            outcome = change_suppression(space, given, release=release, rebuild=rebuild)
        completed("the suppression list was changed", "`predict-age suppress --check`")
    sentence = _suppression_sentence(outcome, release=release, check=check)
    print_json(outcome.as_json()) if as_json else print_line(sentence)


def _suppress_in_s3(
    workspace: Path, pid_file: str, pid_type: PidType, as_json: bool, *, release: bool, check: bool, rebuild: bool
) -> None:
    """The command for a workspace in S3."""
    from predict_age.aws.lambdas.old_runs import execution_is_running
    from predict_age.aws.suppression import change_suppression_in_s3, check_suppression_in_s3, id_rule_in_s3
    from predict_age.aws.workspace_commands import store_of

    store = store_of(workspace)
    store.check_reachable()
    rules: dict[PidType, IdType | None] = {PidType.auto: id_rule_in_s3(store), PidType.integer: "integer", PidType.text: "text"}
    given = _given(pid_file, rules[pid_type], rebuild)
    if check or given is None:
        outcome = check_suppression_in_s3(store, given)
    else:
        outcome = change_suppression_in_s3(store, given, execution_is_running, release=release, rebuild=rebuild)
        completed("the suppression list was changed", "`predict-age suppress --check`")
    sentence = _suppression_sentence(outcome, release=release, check=check)
    print_json(outcome.as_json()) if as_json else print_line(sentence)


def _given(pid_file: str, rule: IdType | None, rebuild: bool) -> GivenIds | None:
    """The ids of the pid file; None without one. A list of nobody rebuilds nothing."""
    from predict_age.pipeline.suppress import parse_ids, refuse_empty_list

    name = pid_file if pid_file != "-" else "stdin"
    given = parse_ids(_lines(pid_file), name, rule) if pid_file else None
    if rebuild:
        refuse_empty_list(given, name)
    return given


def _lines(pid_file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if pid_file == "-" else Path(pid_file).read_bytes()
    except (OSError, AttributeError, ValueError) as error:  # stdin may be closed
        reason = getattr(error, "strerror", None) or "stdin is closed"
        raise ConfigError(f"the pid file {pid_file} cannot be read", expected="a file with one id a line", found=reason) from None


def _suppression_sentence(outcome: SuppressionOutcome, *, release: bool, check: bool) -> str:
    """Sentences about a change of the suppression list, or about a check of it."""
    if not outcome.generation:
        return "there is no suppression list: nobody is suppressed"
    now = f"suppression list, generation {outcome.generation}: {counted(outcome.listed, 'hash')}"
    if check and not outcome.given:
        return now
    given, are, were = counted(outcome.given, "id"), in_number(outcome.changed, "is"), in_number(outcome.unchanged, "was")
    if check:
        on = in_number(outcome.unchanged, "is")
        said = f"{outcome.unchanged:,} of {given} {on} on the suppression list, {outcome.changed:,} {are} not"
        if outcome.released:
            said += f"; {outcome.released:,} of those were on it and have been taken off"
    elif release:
        taken = in_number(outcome.changed, "was")
        said = f"{outcome.changed:,} of {given} {taken} taken off the list, {outcome.unchanged:,} {were} not on it"
        if outcome.changed:
            said += "\nwhoever was taken off comes back with the next run, if the source still has the person"
    else:
        said = f"{outcome.changed:,} of {given} {are} suppressed from now on, {outcome.unchanged:,} {were} already"
    return "\n".join(filter(None, (said, _rows_sentence(outcome, release or check), now)))


def _rows_sentence(outcome: SuppressionOutcome, may_be_released: bool) -> str:
    """Sentence about rows of the current run; "" where there is no run."""
    if outcome.in_result is None or outcome.hidden is None:
        return ""
    have = in_number(outcome.in_result, "has")
    said = f"{outcome.in_result:,} of these people {have} a row in the current run: {outcome.hidden:,} hidden from readers"
    said += f", {shown:,} shown" if (shown := outcome.in_result - outcome.hidden) else ""
    if may_be_released and outcome.hidden:
        return f"{said} (people who are taken off the list stay hidden until the next run is published)"
    return said if may_be_released or not outcome.in_result else f"{said}; the next run has none of these"
