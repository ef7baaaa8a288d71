"""Comparison of predictions on demand with the published table: the same people, from the source, must have the same answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.errors import InputError, IntegrityError
from predict_age.evaluation.ab_test.assign import assign_arms
from predict_age.features.encode import Matrix
from predict_age.features.extract import extract_features
from predict_age.hashing import sampling_hash
from predict_age.predictor.answers import PersonAge
from predict_age.predictor.loading import load_predictor
from predict_age.predictor.profile_predictor import ProfilePredictor
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.run import RunPlan
from predict_age.runs.step_outputs import rules_of
from predict_age.serving.people import PublishedPeople, PublishedPerson, published_people
from predict_age.source.row_group_reader import SLICE_BYTES, SLICE_ROWS, merged
from predict_age.source.row_rules import EXISTING, RowRules, connect
from predict_age.source.row_walk import RowWalk
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.row_accounting import WITHHELD_MINOR
from predict_age.storage.suppression_list import SuppressionList
from predict_age.storage.workspace import Workspace

ASKED_TOGETHER = 500
SAMPLE_SEED = 20_261_128
COMPARED = tuple(f.name for f in fields(PersonAge))
AnswerByName = dict[str, object]
Ask = Callable[[list[str | None]], list[AnswerByName]]


@dataclass
class SkewCheck:
    """Outcome: people ``compared``, how many were ``different``, in which published values, and by which features.

    ``refused`` people have a profile that a server does not take, such as one that is no JSON.
    """

    run_id: str
    model_version: str
    compared: int = 0
    refused: int = 0
    different: int = 0
    values: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, object]:
        return {
            "run_id": self.run_id,
            "model_version": self.model_version,
            "compared": self.compared,
            "refused": self.refused,
            "different": self.different,
            "values": dict(self.values),
            "features": dict(self.features),
        }


def check_skew(workspace: Workspace, people: int, ask: Ask | None = None) -> SkewCheck:
    """Ask about ``people`` whom the current run predicted, by their profiles in its source, and compare with what is published.

    ``ask`` answers for profiles; the predictor of this process by default. Left out are suppressed people, ids that occur twice,
    people of a challenger's arm, and those whose age the training source says. Raises InputError when the source has changed
    or has nobody to compare.
    """
    run = verified_run(workspace, workspace.resolve("current"))
    predictor, published = load_predictor(workspace), published_people(run)
    share = min(1.0, 1.5 * people / max(run.folder.facts(ReadSourceFacts).to_predict, 1))
    check = compare_people(run, predictor, published, workspace.suppression, people, share, ask)
    if not check.compared:
        raise InputError("nobody can be compared", expected="people whom the current run predicted", found="none in its source")
    return check


def compare_people(
    run: VerifiedRun,
    predictor: ProfilePredictor,
    published: PublishedPeople,
    suppression: SuppressionList | None,
    people: int,
    share: float,
    ask: Ask | None = None,
) -> SkewCheck:
    """Compare the first ``people`` of a ``share`` of those whom ``run`` predicted. Raises InputError for a changed source."""
    plan, source = RunPlan.from_json(run.folder.record), run.folder.facts(ReadSourceFacts)
    for file in plan.files:
        file.check_unchanged()
    experiment, shares = plan.config.prediction.experiment, tuple(plan.config.prediction.challengers.values())
    answer = ask or (lambda profiles: [found.as_json() for found in predictor.predict(profiles).each()])
    check = SkewCheck(run.folder.id, predictor.version)
    rules = rules_of(plan, source)
    twice = _repeated_ids(plan, rules) if source.duplicate else np.empty(0, np.int64)
    waiting: list[tuple[PublishedPerson, str | None]] = []
    elsewhere: NDArray[np.int64] | None = None
    for pids, profiles in _to_predict(plan, rules):
        chosen = (sampling_hash(pids, SAMPLE_SEED) < share) & ~np.isin(pids, twice) & ~published.is_hidden(pids, suppression)
        chosen &= assign_arms(pids, experiment, shares) == 0  # whom a challenger withholds has no model in the table
        found = _published(published, pids[chosen], predictor.version)
        texts = profiles.filter(pa.array(chosen)).to_pylist()
        unpredicted = np.array([row is not None and _is_age_given(row) for row in found], bool)
        if plan.training_source and unpredicted.any():
            elsewhere = _ids_with_age(plan.of_training_source(), rules) if elsewhere is None else elsewhere
            left_out = unpredicted & np.isin(pids[chosen], elsewhere)
            found = [None if out else row for row, out in zip(found, left_out.tolist(), strict=True)]
        waiting += [(person, text) for person, text in zip(found, texts, strict=True) if person is not None]
        while len(waiting) >= min(ASKED_TOGETHER, people - check.compared) > 0:
            together = min(ASKED_TOGETHER, people - check.compared)
            _compare(check, waiting[:together], answer, predictor)
            del waiting[:together]
        if check.compared >= people:
            return check
    _compare(check, waiting, answer, predictor)
    return check


def raise_skew(check: SkewCheck) -> None:
    """Raise IntegrityError, which names features, when somebody's answer was different."""
    if not check.different:
        return
    named = ", ".join(f"{name} ({n:,})" for name, n in check.features.most_common(10))
    raise IntegrityError(
        f"{check.different:,} of {check.compared:,} people have another answer than the published one",
        expected="equal to the last hundredth",
        found=f"differences in {', '.join(check.values)}; features that are read otherwise: {named or 'none'}",
        fix="stop serving until it is understood: the server, its model or the feature code is not that of the run",
    )


def _published(published: PublishedPeople, pids: NDArray[np.int64], version: str) -> list[PublishedPerson | None]:
    """Published rows of ``pids``; None for people whom another model predicted."""
    rows = [published.find(pid) for pid in pids.tolist()]
    return [row if row is not None and row.model_version in (None, version) else None for row in rows]


def _compare(check: SkewCheck, people: list[tuple[PublishedPerson, str | None]], ask: Ask, predictor: ProfilePredictor) -> None:
    if not people:
        return
    different = []
    for (row, profile), answer in zip(people, ask([profile for _, profile in people]), strict=True):
        if "problem" in answer:
            check.refused += 1
            continue
        check.compared += 1
        values = [name for name in COMPARED if getattr(row, name) != answer.get(name)]
        if values:
            check.different += 1
            check.values.update(values)
            different.append(profile)
    if different:
        check.features.update(_differing_features(predictor, different))


def _differing_features(predictor: ProfilePredictor, profiles: list[str | None]) -> Counter[str]:
    """Number of ``profiles`` in which this process reads a feature otherwise than its definition in SQL says, by feature."""
    column = pa.chunked_array([pa.array(profiles, pa.string())])
    text, as_of = predictor.bundle.features.text, predictor.rules.as_of
    defined: Matrix = predictor.bundle.encoders.encode(extract_features(connect(), column, text, as_of, kernels=False).columns)
    read = predictor.read(column).matrix
    differs = ~((defined == read) | (np.isnan(defined) & np.isnan(read)))
    counts = differs.sum(axis=0).tolist()
    return Counter({name: n for name, n in zip(predictor.bundle.features.names, counts, strict=False) if n})


def _to_predict(plan: RunPlan, rules: RowRules) -> Iterator[tuple[NDArray[np.int64], pa.ChunkedArray]]:
    """Ids (n,) and profiles (n,) of the rows of the source whose age is to be predicted, some thousand together."""
    for raw in _rows(plan, with_profile=True):
        judged = rules.canonical(connect(), raw, ("pid", "needs_prediction"))
        needed = judged["needs_prediction"].fill_null(False)
        yield judged["pid"].filter(needed).to_numpy(), raw["profile"].filter(needed)


def _is_age_given(row: PublishedPerson) -> bool:
    """Whether ``row`` may come from a given age: a training source may have it where the source has none."""
    return row.prediction_source == WITHHELD_MINOR or row.prediction_source in EXISTING.values()


def _ids_with_age(training: RunPlan, rules: RowRules) -> NDArray[np.int64]:
    """Ids of the rows of a training source whose age is known or withheld. Raises InputError for a changed file."""
    for file in training.files:
        file.check_unchanged()
    found = [np.empty(0, np.int64)]
    for raw in _rows(training, with_profile=False):
        judged = rules.canonical(connect(), raw, ("pid", "needs_prediction"))
        pids = judged["pid"].filter(pc.invert(judged["needs_prediction"].fill_null(True)))
        found.append(pids.drop_null().to_numpy())
    return np.unique(np.concatenate(found))


def _repeated_ids(plan: RunPlan, rules: RowRules) -> NDArray[np.int64]:
    """Ids that several rows of the source have: which of these rows counted is not looked for here."""
    pids = [rules.canonical(connect(), raw, ("pid",))["pid"].drop_null().to_numpy() for raw in _rows(plan, with_profile=False)]
    different, counts = np.unique(np.concatenate([np.empty(0, np.int64), *pids]), return_counts=True)
    return different[counts > 1]


def _rows(plan: RunPlan, *, with_profile: bool) -> Iterator[pa.Table]:
    """The rows of the plan's source, with the columns of a slice; those of small files together."""
    walk = RowWalk(plan.files, plan.config.source, with_profile=with_profile)
    return merged((piece.rows for piece in walk.all() if len(piece)), SLICE_ROWS, SLICE_BYTES)
