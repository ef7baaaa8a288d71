"""The order of the steps, and how a run goes through them: measured, retried, resumable.

Every step is a function of the run; it may be run twice. A step with a record in ``steps/`` is done and is skipped.
"""

from __future__ import annotations

import datetime as dt
import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from predict_age.config import Config
from predict_age.errors import ConfigError, PredictAgeError, ResourceError
from predict_age.files import write_json
from predict_age.measure import Measure
from predict_age.pool import Pool, available_cores
from predict_age.progress import Console
from predict_age.quarter import latest_complete_quarter
from predict_age.run import Run, RunPlan, StepResult, code_hash
from predict_age.source.files import discover
from predict_age.workspace import DONE, FAILED, INTERRUPTED, RUNNING, RunFolder, Workspace

StepFunction = Callable[[Run], StepResult]


@dataclass(frozen=True)
class Step:
    """A step: its name, which is also its module and function in ``predict_age.steps``, and what it does, for people."""

    name: str
    title: str
    reads_source: bool = False

    def load(self) -> StepFunction:
        """Import the step's function. Late, so that the order of steps can be read without importing models."""
        return cast(StepFunction, getattr(import_module(f"predict_age.steps.{self.name}"), self.name))


STEPS = (
    Step("pre_cleanup", "Pre-cleanup"),
    Step("read_source", "Read source", reads_source=True),
    Step("training", "Training", reads_source=True),
    Step("batch_generator", "Batch generator"),
    Step("create_predictions_table", "Create predictions table"),
    Step("parallel_prediction", "Parallel prediction", reads_source=True),
    Step("human_qa", "Human QA", reads_source=True),
    Step("final_results", "Final results"),
    Step("post_cleanup", "Post-cleanup"),
)

TRANSIENT = {errno.EIO, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, errno.ESTALE, errno.EBUSY, errno.ENETDOWN, errno.ECONNRESET}
EXHAUSTED = {
    errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up", errno.EROFS: "the file system is read-only",
    errno.ENOMEM: "the memory is used up", errno.EMFILE: "too many files are open", errno.ENFILE: "too many files are open",
    errno.EACCES: "permission was denied", errno.EPERM: "permission was denied",
}  # fmt: skip
FIRST_WAIT_SECONDS = 0.5


def new_plan(source: str, as_of: dt.date, config: Config, features_text: str, features_name: str) -> RunPlan:
    """Look at the source and fix everything that decides the result. The only place where a run reads the clock."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    files = discover(source)
    quarter = config.running.quarter or latest_complete_quarter(as_of)
    plan = RunPlan("", now.isoformat(), as_of, quarter, source, tuple(files), config, features_text, features_name, code_hash())
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{plan.identity[:8]}"
    return RunPlan(**{**plan.__dict__, "run_id": run_id})


def start(workspace: Workspace, plan: RunPlan, console: Console) -> RunFolder:
    """Run ``plan`` to the end. An unfinished run that would give the same rows is continued instead of begun again."""
    workspace.create()
    with workspace.lock(f"run {plan.run_id}"):
        unfinished = [r for r in workspace.runs() if r.status != DONE]
        for folder in reversed(unfinished):
            record = folder.record
            if record.get("identity") == plan.identity:
                console.note(f"continuing unfinished run {folder.id}")
                return _work(Run(RunPlan.from_json(record), workspace, folder, _pool(plan.config), console))
        folder = workspace.run(plan.run_id)
        if folder.path.exists():
            raise ConfigError(f"run {plan.run_id} exists already", fix="wait a second and start again")
        folder.path.mkdir(parents=True)
        write_json(folder.path / "run.json", plan.as_json())
        return _work(Run(plan, workspace, folder, _pool(plan.config), console))


def resume(workspace: Workspace, console: Console) -> RunFolder:
    """Finish the newest unfinished run. Raises ConfigError when there is none, or when code or source have changed."""
    with workspace.lock("resume"):
        unfinished = [r for r in workspace.runs() if r.status != DONE]
        if not unfinished:
            raise ConfigError("there is nothing to resume", expected="an unfinished run", found="only finished ones")
        folder = unfinished[-1]
        plan = RunPlan.from_json(folder.record)
        run = Run(plan, workspace, folder, _pool(plan.config), console)
        run.check_resumable()
        done = [s.name for s in STEPS if folder.step_file(s.name).exists()]
        console.note(f"resuming run {folder.id}: {len(done)} of {len(STEPS)} steps are done")
        return _work(run)


def _pool(config: Config) -> Pool:
    return Pool(config.running.workers or available_cores(), config.running.attempts)


def _work(run: Run) -> RunFolder:
    run.folder.set_status(RUNNING)
    try:
        with run.pool:
            for number, step in enumerate(STEPS, start=1):
                if run.folder.step_file(step.name).exists():
                    continue
                _do(run, number, step)
        from predict_age.report import write_report

        write_report(run.folder)
    except KeyboardInterrupt:
        run.folder.set_status(INTERRUPTED, "stopped from outside")
        raise
    except PredictAgeError as error:
        _try_status(run, str(error))
        raise
    except OSError as error:
        _try_status(run, str(error))
        raise _resource_error(error) from error
    except MemoryError as error:
        _try_status(run, "out of memory")
        raise ResourceError("the memory is used up", fix="lower running.workers, then `predict-age resume`") from error
    run.folder.set_status(DONE)
    return run.folder


def _try_status(run: Run, message: str) -> None:
    """A full disk must not hide the error that it caused."""
    try:
        run.folder.set_status(FAILED, message)
    except OSError:
        return


def _resource_error(error: OSError) -> ResourceError:
    reason = EXHAUSTED.get(error.errno or 0, error.strerror or str(error))
    return ResourceError(
        f"the machine gave out: {reason}", found=str(error), fix="put that right, then `predict-age resume`; finished work is kept"
    )


def _do(run: Run, number: int, step: Step) -> None:
    """One step: try it, again after a transient fault with growing waits, and leave a record when it is done."""
    console = cast(Console, run.progress)
    console.begin(number, len(STEPS), step.title)
    attempts = run.plan.config.running.attempts
    with Measure() as measure:
        for attempt in range(1, attempts + 1):
            try:
                result = step.load()(run)
                break
            except OSError as error:
                if error.errno not in TRANSIENT or attempt == attempts:
                    raise
                wait = FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
                console.note(f"{step.title} failed ({error.strerror}); attempt {attempt + 1} of {attempts} in {wait:g} s")
                time.sleep(wait)
    if step.reads_source:
        run.check_source()  # what a step has read must still be what the plan names, or its output counts for nothing
    record: dict[str, Any] = {
        "number": number, "name": step.name, "title": step.title, "seconds": round(measure.seconds, 3), "rows": result.rows,
        "peak_rss_bytes": measure.peak_rss_bytes, "facts": result.facts,
    }  # fmt: skip
    write_json(run.folder.step_file(step.name), record)
    console.end(measure.seconds, result.rows)
