"""Runner: takes a run through its steps, measures and retries them, and resumes an unfinished run.

Each step is a function of its inputs (:mod:`predict_age.pipeline.step_inputs`) and may be repeated. A step with a record in
``steps/`` is finished and is skipped.
"""

from __future__ import annotations

import datetime as dt
import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

from predict_age.config import Config, LimitsConfig
from predict_age.errors import ConfigError, LimitError, PredictAgeError, file_error, is_out_of_memory, memory_error
from predict_age.pipeline.imports_ahead import imports_ahead
from predict_age.pipeline.recovery import Inspection, inspect_run
from predict_age.pipeline.step_inputs import run_step
from predict_age.purposes import NOTE
from predict_age.records.step_facts import Facts
from predict_age.runs.budget import Attempts, seconds_left, within
from predict_age.runs.quality_gates import GATES, overridden_gates
from predict_age.runs.quarter import latest_complete_quarter
from predict_age.runs.run import Run, RunPlan, code_hash
from predict_age.runtime import signals
from predict_age.runtime.named_commands import with_workspace
from predict_age.runtime.progress import Console
from predict_age.runtime.resource_usage import Measure
from predict_age.runtime.worker_pool import Pool, available_cores
from predict_age.source.discovery import list_source
from predict_age.source.source_file import SourceListing
from predict_age.step import STEPS, Step, StepRecord, StepResult
from predict_age.storage.durable_files import make_folder, remove, write_json
from predict_age.storage.lease import Holder, Lease
from predict_age.storage.leftovers import remove_dead_attempts, remove_scratch
from predict_age.storage.spill import spilling_into
from predict_age.storage.workspace import DAMAGED, DONE, FAILED, INTERRUPTED, RUNNING, RunFolder, Workspace

TRANSIENT = {errno.EIO, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, errno.ESTALE, errno.EBUSY, errno.ENETDOWN, errno.ECONNRESET}
FIRST_WAIT_SECONDS = 0.5


@dataclass(frozen=True)
class Overrides:
    """Settings that may differ from the plan when a run is resumed, because no result depends on them. None: as planned.

    ``accept`` overrides the gate that stopped the run.
    """

    workers: int | None = None
    max_minutes: float | None = None
    accept: bool = False


def new_plan(
    source: str,
    as_of: dt.date,
    config: Config,
    features_text: str,
    features_name: str,
    *,
    timestamp: dt.datetime | None = None,
    base: tuple[str, str] = ("", ""),
    challengers: tuple[tuple[str, str], ...] = (),
    shadow: bool = False,
    training_source: str = "",
) -> RunPlan:
    """Inspect the source and fix everything that decides the result. Only here a run reads the clock.

    ``timestamp`` replaces the clock: the same plan at the same time is the same run. ``base`` holds the id of the run whose
    model is used and the SHA-256 of that model's manifest; so does each of ``challengers`` for a model with a share of the people.
    """
    now = (timestamp or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).replace(microsecond=0)
    quarter = config.running.quarter or latest_complete_quarter(as_of)
    listing = list_source(source, config.source)
    training = list_source(training_source, config.source) if training_source else SourceListing(())
    plan = RunPlan(
        "",
        now.isoformat(),
        as_of,
        quarter,
        source,
        listing.files,
        config,
        features_text,
        features_name,
        code_hash(),
        config.running.workers or available_cores(),
        *base,
        challengers,
        shadow,
        listing.passed_over + training.passed_over,
        training_source=training_source,
        training_files=training.files,
    )
    return plan.named()


def with_models(
    plan: RunPlan, event: str, base: tuple[str, str] = ("", ""), challengers: tuple[tuple[str, str], ...] = ()
) -> RunPlan:
    """The plan with the models that the names in its ``event`` stand for."""
    return replace(plan, base=base[0], base_model=base[1], challengers=challengers, event=event).named()


def _in_order(workspace: Workspace, plan: RunPlan) -> RunPlan:
    """The plan with the first timestamp that no other run has, in steps of a second: run ids then sort in the order of the runs."""
    known = {r.id for r in workspace.runs()}
    taken = {i.partition("-")[0] for i in known}
    while plan.run_id not in known and plan.run_id.partition("-")[0] in taken:
        later = dt.datetime.fromisoformat(plan.timestamp) + dt.timedelta(seconds=1)
        plan = replace(plan, timestamp=later.isoformat()).named()
    return plan


def _ignore(_: RunFolder) -> None:
    """Nobody wants to know which run is worked on."""


def start_run(workspace: Workspace, plan: RunPlan, console: Console, begun: Callable[[RunFolder], None] = _ignore) -> RunFolder:
    """Run ``plan`` to the end. An unfinished run that would give the same rows is continued instead.

    A finished run with the same plan and timestamp is not repeated. ``begun`` is called with the run before work on it
    begins, and with that finished run.
    """
    with _machine_errors():
        return _start(workspace, plan, console, begun)


def _start(workspace: Workspace, plan: RunPlan, console: Console, begun: Callable[[RunFolder], None]) -> RunFolder:
    workspace.create()
    with workspace.hold(f"run {plan.run_id}", plan.config.running.lease_seconds) as lease:
        suppression = workspace.adopt_suppression()
        plan = plan.with_suppression(suppression)
        for folder in reversed(workspace.unfinished()):
            record = folder.record
            if record.get("identity") == plan.identity:
                remove_dead_attempts(workspace, folder.id)
                begun(folder)
                return _continue(workspace, folder, lease, console, Overrides())
        remove_dead_attempts(workspace)
        plan = _in_order(workspace, plan)
        folder = workspace.run(plan.run_id)
        if folder.status == DONE:
            begun(folder)
            console.note(f"run {plan.run_id} is done already")
            return folder
        if not plan.config.run.purpose:
            console.note(NOTE)
        make_folder(folder.path)
        write_json(folder.path / "run.json", plan.as_json())
        begun(folder)
        run = Run(plan, workspace, folder, _pool(plan, Overrides()), console, lease, suppression=suppression)
        return _work(run, plan.config.limits, lease.previous)


def resume_run(
    workspace: Workspace, console: Console, overrides: Overrides, begun: Callable[[RunFolder], None] = _ignore
) -> RunFolder:
    """Finish the newest unfinished run. Raises ConfigError when there is none, or when code or source have changed."""
    with _machine_errors(), workspace.hold("resume", Config().running.lease_seconds) as lease:
        unfinished = workspace.unfinished()
        remove_dead_attempts(workspace, unfinished[-1].id if unfinished else "")
        if not unfinished:
            damaged = [r.id for r in workspace.runs() if r.status == DAMAGED]
            found = f"only finished ones; {', '.join(damaged)} cannot be read" if damaged else "only finished ones"
            raise ConfigError(
                "no run can be resumed", expected="an unfinished run", found=found, fix="start one: `predict-age run`"
            )
        begun(unfinished[-1])
        return _continue(workspace, unfinished[-1], lease, console, overrides)


@contextmanager
def _machine_errors() -> Iterator[None]:
    """Turn a failed file operation of a run into the error that names the resource."""
    try:
        yield
    except OSError as error:
        raise (memory_error(error) if is_out_of_memory(error) else file_error(error, of_run=True)) from error


def _continue(workspace: Workspace, folder: RunFolder, lease: Lease, console: Console, overrides: Overrides) -> RunFolder:
    """Continue a run after reporting which steps are kept and which are repeated."""
    plan = RunPlan.from_json(folder.record)
    accepted = overridden_gates(folder) if overrides.accept else ()
    run = Run(plan, workspace, folder, _pool(plan, overrides), console, lease, accepted, workspace.adopt_suppression())
    console.note(f"continuing run {folder.id}")
    run.check_resumable()
    inspection = inspect_run(run)
    for line in inspection.lines():
        console.note(line)
    _forget(run, inspection)
    limits = plan.config.limits
    if overrides.max_minutes is not None:
        limits = limits.model_copy(update={"max_minutes": overrides.max_minutes, "max_cost_usd": 0.0})
    return _work(run, limits, lease.previous)


def _forget(run: Run, inspection: Inspection) -> None:
    """Remove the records of steps whose files are damaged, so that they are repeated."""
    for step in inspection.redo:
        remove(run.folder.step_file(step))


def _pool(plan: RunPlan, overrides: Overrides) -> Pool:
    running = plan.config.running
    return Pool(overrides.workers or plan.workers, running.attempts, running.hang_seconds)


def _work(run: Run, limits: LimitsConfig, before: Holder | None) -> RunFolder:
    attempts = Attempts(run.folder)
    attempts.begin(run.lease.token, before)
    run.folder.set_status(RUNNING, run.lease.token)
    outcome, message = FAILED, ""
    began = time.monotonic()
    try:
        spill = spilling_into(run.folder.path / f"spill-{run.lease.token}")
        with within(seconds_left(limits, attempts.seconds())), spill, run.pool, imports_ahead(run) as begin:
            for step in STEPS:
                begin(step)
                if not run.is_done(step):
                    do_step(run, step)
                if step.name in GATES:
                    GATES[step.name](run)
            from predict_age.report import write_report

            write_report(run.folder)
        outcome = DONE
    except (KeyboardInterrupt, LimitError) as stop:
        outcome, message = INTERRUPTED, str(stop) or "stopped by a signal"
        raise
    except Exception as error:
        out_of_memory = memory_error(error) if is_out_of_memory(error) else None
        message = str(out_of_memory or error) if out_of_memory or isinstance(error, PredictAgeError | OSError) else ""
        message = message or f"internal error: {type(error).__name__}"  # whose text may quote a value
        run.lease.check()  # errors after the lease was lost are its consequences
        if out_of_memory is not None:
            raise out_of_memory from error
        if isinstance(error, RuntimeError) and isinstance(error.__cause__ or error.__context__, OSError):
            raise (error.__cause__ or error.__context__) from None  # type: ignore[misc]  # a library wrapped a failed file operation
        raise
    finally:
        _note_end(run, attempts, time.monotonic() - began, outcome, message)
    return run.folder


def _note_end(run: Run, attempts: Attempts, seconds: float, outcome: str, message: str) -> None:
    """Record the outcome. A full disk must not hide its own error, and nothing is written after the lease is lost."""
    try:
        run.lease.check()
        remove_scratch(run.folder)
        attempts.end(seconds, outcome)
        run.folder.set_status(outcome, run.lease.token, with_workspace(message, run.workspace.root))
    except (OSError, PredictAgeError):
        if outcome == DONE:
            raise


def do_step(run: Run, step: Step, work: Callable[[], StepResult[Facts]] | None = None) -> None:
    """Run one step and write its record. After a transient fault it is tried again, with growing waits.

    ``work`` replaces :func:`run_step`.
    """
    console = cast(Console, run.progress)
    run.lease.check()
    run.check_inputs(step.needs)
    console.begin(STEPS.index(step) + 1, len(STEPS), step.title, step.name)
    attempts = run.plan.config.running.attempts
    with Measure() as measure:
        for attempt in range(1, attempts + 1):
            try:
                result = work() if work else run_step(run, step)
                break
            except OSError as error:
                if error.errno not in TRANSIENT or attempt == attempts:
                    raise
                wait = FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
                console.note(f"{step.title} failed ({error.strerror}); attempt {attempt + 1} of {attempts} in {wait:g} s")
                time.sleep(wait)
    if step.reads_source:
        run.check_source()  # a step's output counts only when the source did not change meanwhile
    run.lease.check()
    signals.check()
    record = StepRecord.of(step, result, measure.seconds, measure.peak_rss_bytes, run.key(step))
    write_json(run.folder.step_file(step.name), record.as_json())
    console.end(measure.seconds, result.rows)
