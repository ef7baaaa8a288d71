"""Model versions: every finished run holds a model, and one of them is the champion."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from predict_age.errors import ConfigError, IntegrityError
from predict_age.records.step_facts import TrainingFacts
from predict_age.runs.quality_gates import outcome
from predict_age.storage.manifest import verified_run
from predict_age.storage.publication import Published, update_pointer
from predict_age.storage.workspace import DONE, RunFolder, Workspace

CHAMPION, PREVIOUS_CHAMPION = "champion", "previous"


@dataclass(frozen=True)
class Version:
    """A model version and the ``runs`` that used it, newest last.

    Errors are years on held-out people; ``gate`` is the outcome of its quality gate: passed, accepted, or not judged.
    """

    version: str
    trained_at: str
    runs: list[str]
    mae: float | None
    ridge_mae: float | None
    coverage: float | None
    gate: str
    champion: bool

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def model_versions(workspace: Workspace) -> list[Version]:
    """All models of finished runs, the oldest first."""
    runs_by_version: dict[str, list[tuple[RunFolder, TrainingFacts]]] = {}
    for folder in workspace.runs():
        if folder.status == DONE:
            try:
                facts = folder.facts(TrainingFacts)
                runs_by_version.setdefault(facts.model_version, []).append((folder, facts))
            except IntegrityError:
                continue
    champion = workspace.published.champion
    return [_version(name, uses, champion) for name, uses in runs_by_version.items()]


def _version(name: str, uses: list[tuple[RunFolder, TrainingFacts]], champion: str) -> Version:
    facts = uses[0][1]
    judged = [o for f, _ in uses if (o := outcome(f, "model"))]
    leaks = [o for f, _ in uses if (o := outcome(f, "leaks"))]
    gate = "not judged" if not judged else "passed" if all(o.passed for o in judged[:1] + leaks[:1]) else "accepted"
    held, ridge = facts.metrics.held_out, facts.metrics.ridge
    ids = [f.id for f, _ in uses]
    return Version(name, facts.trained_at, ids, held.mae, ridge.mae, held.coverage, gate, champion in ids)


def run_of(workspace: Workspace, name: str) -> RunFolder:
    """Newest finished run with the model ``name``: a version, a prefix of one, or "champion". ConfigError when there is none."""
    if name == CHAMPION:
        champion = workspace.published.champion
        if not champion:
            raise ConfigError("there is no champion yet", expected="a published run", fix="run once without --model")
        return workspace.run(champion)
    known = model_versions(workspace)
    matching = [v for v in known if v.version.startswith(name) and len(name) >= len("age-") + 4]
    if len(matching) != 1:
        raise ConfigError(
            f"there is no model {name!r}" if not matching else f"{name!r} is a prefix of several models",
            expected='"champion" or a version',
            found=", ".join(v.version for v in (matching or known)[-5:]) or "no finished run",
            fix="list them with `predict-age models`",
        )
    return workspace.run(matching[0].runs[-1])


def promote_model(workspace: Workspace, name: str) -> tuple[str, RunFolder]:
    """Verify a model's run and make the model the champion; "previous" returns to the champion before. Returns version and run.

    Published results stay. A run without --model trains a new model; ``--model champion`` uses this one.
    """
    folder = workspace.run(_previous(workspace)) if name == PREVIOUS_CHAMPION else run_of(workspace, name)
    run = verified_run(workspace, folder)
    run.checked("model/")

    def promoted(now: Published) -> Published:
        if folder.id in now.removing:
            raise ConfigError(f"run {folder.id} is being removed", fix="choose another model: `predict-age models`")
        return now if now.champion == folder.id else now.with_champion(folder.id)

    update_pointer(workspace.documents, promoted)
    return run.manifest.model, folder


def _previous(workspace: Workspace) -> str:
    published = workspace.published
    for entry in reversed(published.history):
        before = str(entry["before"])
        if before not in ("", published.champion) and (workspace.run(before).path / "run.json").is_file():
            return before
    raise ConfigError("there is no previous champion to go back to", fix="name one: `predict-age models` lists them")
