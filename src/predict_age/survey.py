"""Before a run is continued: which finished work is still whole, and what has to be made again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from predict_age.errors import IntegrityError
from predict_age.files import damage
from predict_age.pool import available_cores
from predict_age.run import Run


@dataclass(frozen=True)
class Survey:
    """``kept`` steps are done and all their files whole; ``redo`` steps were done, but ``problems`` says what is not whole."""

    kept: list[str]
    redo: list[str]
    missing: list[str]
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The same for people."""
        total = len(self.kept) + len(self.redo) + len(self.missing)
        lines = [f"{len(self.kept)} of {total} steps are done and whole" + (f": {', '.join(self.kept)}" if self.kept else "")]
        lines += self.problems[:20]
        if len(self.problems) > 20:
            lines.append(f"and {len(self.problems) - 20:,} more")
        if self.redo:
            lines.append(f"done again, keeping their whole files: {', '.join(self.redo)}")
        if self.missing:
            lines.append(f"still to do: {', '.join(self.missing)}")
        return lines


INTERMEDIATE = ("source/working/", "source/routed/")
PREDICTIONS = "predictions/"


def survey(run: Run, needs: dict[str, tuple[str, ...]]) -> Survey:
    """Compare every file of every finished step with its recorded SHA-256.

    ``needs`` names, for each step in order, the earlier steps whose files it reads. Copies of the source that no step
    still to be done will read are not missed: the last step removes them.
    """
    found = Survey([], [], [])
    wanted: set[str] = set()
    for step in reversed(needs):
        _look(run, step, step in wanted, found)
        if step not in found.kept:
            wanted.update(needs[step])
    for names in (found.kept, found.redo, found.missing):
        names.reverse()
    return found


def _look(run: Run, step: str, wanted: bool, found: Survey) -> None:
    if not run.folder.step_file(step).exists():
        found.missing.append(step)
        return
    try:
        outputs = run.outputs(step)
    except (IntegrityError, KeyError) as error:
        found.problems.append(str(error).splitlines()[0])
        found.redo.append(step)
        return
    passing = INTERMEDIATE if run.plan.config.running.keep_predictions else (*INTERMEDIATE, PREDICTIONS)
    looked_at = {n: h for n, h in outputs.items() if wanted or not n.startswith(passing)}
    with ThreadPoolExecutor(available_cores()) as threads:
        problems = [p for p in threads.map(lambda n: damage(run.folder.path / n, looked_at[n], n), looked_at) if p]
    found.problems.extend(problems)
    (found.redo if problems else found.kept).append(step)
