"""Inspection of a run before it is continued: valid steps are kept, damaged ones are repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from predict_age.errors import IntegrityError
from predict_age.runs.run import Run
from predict_age.runtime.worker_pool import available_cores
from predict_age.step import STEPS, Step
from predict_age.storage.durable_files import file_problem
from predict_age.storage.result_files import is_temporary_file


@dataclass(frozen=True)
class Inspection:
    """``kept`` steps are finished and all their files valid; ``redo`` steps are finished, but some files have ``problems``."""

    kept: list[str]
    redo: list[str]
    missing: list[str]
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Lines for the user."""
        total = len(self.kept) + len(self.redo) + len(self.missing)
        lines = [f"{len(self.kept)} of {total} steps are finished and valid" + (f": {', '.join(self.kept)}" if self.kept else "")]
        lines += self.problems[:20]
        if len(self.problems) > 20:
            lines.append(f"and {len(self.problems) - 20:,} more")
        if self.redo:
            lines.append(f"repeated, keeping their valid files: {', '.join(self.redo)}")
        if self.missing:
            lines.append(f"remaining: {', '.join(self.missing)}")
        return lines


def inspect_run(run: Run) -> Inspection:
    """Compare every file of every finished step with its recorded SHA-256.

    Copies of the source may be missing when no remaining step reads them: the last step removes them.
    """
    inspection = Inspection([], [], [])
    wanted: set[str] = set()
    for step in reversed(STEPS):
        _look(run, step, step.name in wanted, inspection)
        if step.name not in inspection.kept:
            wanted.update(step.needs)
    for names in (inspection.kept, inspection.redo, inspection.missing, inspection.problems):
        names.reverse()
    return inspection


def _is_other_work(run: Run, step: Step) -> bool:
    """Whether the record belongs to another run or other input files. False while a needed step has no readable record."""
    try:
        run.key(step)
    except IntegrityError:
        return False
    return not run.is_done(step)


def _look(run: Run, step: Step, wanted: bool, inspection: Inspection) -> None:
    if not run.folder.step_file(step.name).exists():
        inspection.missing.append(step.name)
        return
    problems = []
    try:
        outputs = run.outputs(step.name)
    except IntegrityError as error:
        problems, outputs = [str(error).splitlines()[0]], {}
    keep_predictions = run.plan.config.running.keep_predictions
    checked = {n: h for n, h in outputs.items() if wanted or not is_temporary_file(n, keep_predictions)}
    with ThreadPoolExecutor(available_cores()) as threads:
        problems += [p for p in threads.map(lambda n: file_problem(run.folder.path / n, checked[n], n), checked) if p]
    if not problems and _is_other_work(run, step):
        problems.append(f"steps/{step.name}.json belongs to another run or other input files")
    inspection.problems.extend(reversed(problems))
    (inspection.redo if problems else inspection.kept).append(step.name)
