"""Quality gates: requirements that a model and its data must meet before anything is published.

A failed gate stops the run and keeps finished steps: with exit code 3 where given ages cannot be used, else with 5.
``predict-age resume --accept`` overrides the gate and continues from there. The checks, and whether the gate was overridden, are
recorded in ``gates/<name>.json``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from predict_age.config import GatesConfig
from predict_age.distributions import student_t_upper_quantile
from predict_age.errors import IntegrityError, PredictAgeError, QualityError
from predict_age.records.closeness import LEAK_NEAR_SKILL
from predict_age.records.drift_state import DriftComparison
from predict_age.records.json_fields import as_json, from_json
from predict_age.records.model_quality import (
    BEYOND_DOUBT,
    ONE_SIDED_95,
    WITHHELD_FIX,
    WITHHELD_WHY,
    ModelEvaluation,
    PairedGain,
    Quality,
    ReusedModelQuality,
)
from predict_age.records.step_facts import ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.runs.age_gate import AgeFindings, check_known_ages, unusable_ages_error
from predict_age.runs.gate_advice import accept_when
from predict_age.runs.part_limits import Check, worst_band, worst_group
from predict_age.runs.run import Run
from predict_age.storage.durable_files import read_json, write_json
from predict_age.storage.workspace import RunFolder
from predict_age.tally import percent

MIN_ROWS_FOR_GATE = 100
WORTHLESS_ALPHA = 0.001  # share of the trainings on nothing that beat the constant median


def check_model(model: ModelEvaluation, limits: GatesConfig, coverage: float, published: Quality | None) -> list[Check]:
    """Check a trained model; ``published`` is the held-out quality of the model that is published now."""
    held = model.held_out
    checks = []
    if limits.baselines:
        checks += [_better_than_median(model), _not_worse_than_ridge(model)]
    if limits.worse_share and published:
        most = published.mae * (1 + limits.worse_share)
        doubt = ONE_SIDED_95 * math.hypot(held.mae_doubt, published.mae_doubt)
        found = f"{held.mae:.2f} years, {published.mae:.2f} published"
        checks.append(
            Check(
                "not worse than published",
                held.mae <= most + doubt,
                f"a mean error of at most {most:.2f} years, give or take {doubt:.2f}",
                found,
            )
        )
    bands = [b for b in model.by_band if b.rows >= MIN_ROWS_FOR_GATE]
    if limits.band_error_years and bands:
        checks.append(worst_band(model, bands, limits.band_error_years))
    if limits.group_bias_years and model.worst_group:
        checks.append(worst_group(model.worst_group, limits.group_bias_years))
    if limits.coverage_below and held.rows >= MIN_ROWS_FOR_GATE:
        least = coverage - limits.coverage_below - 2 * math.sqrt(coverage * (1 - coverage) / held.rows)
        checks.append(
            Check("coverage", held.coverage >= least, f"at least {percent(least)} inside the interval", percent(held.coverage))
        )
    if limits.leak_error_share:
        checks.append(_too_good_to_be_true(model, limits))
    return checks


def _too_good_to_be_true(model: ModelEvaluation, limits: GatesConfig) -> Check:
    """Several features together may be the age, as its decade and its last digit are. Features in gates.not_leaks do not count."""
    name, near = "too good to be true", model.closeness
    if near is None:  # a record of an earlier version, or all people have one age
        left = model.held_out.mae / model.median.mae if model.median.mae else 1.0
        expected = f"more than {percent(limits.leak_error_share, 0)} of the constant median's error left"
        return Check(name, left > limits.leak_error_share, expected, percent(left, 0))
    without = f" without the features of gates.not_leaks ({', '.join(model.allowed_leaks)})" if model.allowed_leaks else ""
    is_age = near.is_the_age(limits.leak_error_share, limits.leak_exact_share)
    fix = "" if without or not is_age else "; gates.not_leaks takes features that are honestly known before the age is"
    return Check(name, not is_age, leak_limits(limits), near.sentence + without + fix)


def leak_limits(limits: GatesConfig) -> str:
    """The leak rule in words."""
    rules = []
    if limits.leak_error_share:
        rules.append(
            f"more than {percent(1 - LEAK_NEAR_SKILL, 0)} of the people whom a constant misses by years missed by years, too"
        )
    if limits.leak_exact_share:
        rules.append(f"fewer than {percent(limits.leak_exact_share, 0)} of the ages other than the commonest named to the year")
    return ", and ".join(rules)


def _better_than_median(model: ModelEvaluation) -> Check:
    """Paired test: a model without any information passes in at most one of a thousand trainings."""
    found = f"{model.held_out.mae:.2f} years, constant median {model.median.mae:.2f}"
    expected = "an error below that of the constant median by more than chance (1 in 1,000)"
    gain = model.gain_over_median
    if gain is None:  # a record of an earlier version: errors of the same people, taken for independent ones
        gain = PairedGain(model.median.mae - model.held_out.mae, model.held_out.mae_doubt, model.held_out.rows)
    least = student_t_upper_quantile(WORTHLESS_ALPHA, max(gain.rows - 1, 1)) * gain.standard_error
    found += f", difference {gain.years:.2f} where chance alone reaches {least:.2f}"
    return Check("better than the constant median", gain.years > max(least, 0.0), expected, found)


def _not_worse_than_ridge(model: ModelEvaluation) -> Check:
    most = model.ridge.mae + ONE_SIDED_95 * model.held_out.mae_doubt
    expected = f"an error below {most:.2f} years: Ridge's, {model.ridge.mae:.2f}, and chance"
    return Check("not worse than Ridge", model.held_out.mae < most, expected, f"{model.held_out.mae:.2f} years")


def check_reused_model(reused: ReusedModelQuality, trained: Quality, limits: GatesConfig, coverage: float) -> list[Check]:
    """Check a model that was not trained in this run: whether error and interval are what its training promised, beyond doubt."""
    if reused.metrics is None:
        return []
    now, checks = reused.metrics.held_out, []
    if limits.worse_share:
        most = trained.mae * (1 + limits.worse_share)
        doubt = BEYOND_DOUBT * math.hypot(now.mae_doubt, trained.mae_doubt)
        expected = f"a mean error of at most {most:.2f} years, give or take {doubt:.2f}"
        found = f"{now.mae:.2f} years on {now.rows:,} people it was not trained on, {trained.mae:.2f} when it was trained"
        checks.append(Check("not worse than when it was trained", now.mae <= most + doubt, expected, found))
    if limits.coverage_below:
        variance = coverage * (1 - coverage)
        least = coverage - limits.coverage_below - BEYOND_DOUBT * math.sqrt(variance / now.rows + variance / max(trained.rows, 1))
        found = f"{percent(now.coverage)} of {now.rows:,} people"
        checks.append(Check("coverage", now.coverage >= least, f"at least {percent(least)} inside the interval", found))
    return checks


def check_predicted_share(facts: ParallelPredictionFacts, least: float) -> list[Check]:
    """Whether enough of the people without a known age were predicted; the others get the default age.

    Withheld people do not count, unless everybody is withheld.
    """
    defaulted, withheld = sum(facts.default.values()), facts.withheld or 0
    people = facts.predicted + defaulted
    if not least or not people + withheld:
        return []
    if not people:
        nobody = f"0 of {withheld:,}: {WITHHELD_WHY} {WITHHELD_FIX}"
        return [Check("people predicted", False, "anybody without a known age predicted", nobody)]
    share = facts.predicted / people
    reasons = ", ".join(f"{reason}: {n:,}" for reason, n in facts.default.items() if n)
    found = f"{facts.predicted:,} of {people:,} ({percent(share)}); the others get the default age ({reasons})"
    expected = f"at least {percent(least, 0)} of the people without a known age predicted"
    return [Check("people predicted", share >= least, expected, found)]


def check_drift(drift: DriftComparison) -> list[Check]:
    """Check the predicted data by the findings of :mod:`predict_age.evaluation.drift`."""
    return [Check(f"{f.of} {f.name}", not f.drifted, "no change beyond chance", f.sentence or "unchanged") for f in drift.findings]


def published_quality(run: Run) -> Quality | None:
    """Held-out quality of the model behind the published run, if there is another published run that can be read."""
    current = run.workspace.published.current
    if not current or current == run.folder.id:
        return None
    try:
        return run.workspace.run(current).facts(TrainingFacts).delivered.held_out
    except IntegrityError:
        return None


def after_reading(run: Run) -> None:
    """Stop before training where too few ages are known, or where too many given ones cannot be used."""
    facts = run.facts(ReadSourceFacts)
    if facts.given_ages is None:
        return
    ages = AgeFindings(facts.given_ages, facts.unusable_ages or [], run.plan.config, run.plan.as_of)
    check_known_ages(ages, training=not run.plan.base)
    checks = [Check("given ages can be used", ages.passes, ages.expected, ages.found)] if ages.is_judged else []
    _apply_gate(run, AGE_GATE, checks, unusable_ages_error(ages))


def after_training(run: Run) -> None:
    """Apply the gate between training and prediction. A reused model passed its own in the run that trained it."""
    facts, config = run.facts(TrainingFacts), run.plan.config
    if run.plan.base:
        if facts.reused is not None:
            coverage = config.training.coverage
            _apply_gate(run, "reused", check_reused_model(facts.reused, facts.metrics.held_out, config.gates, coverage))
        return
    evaluation = facts.evaluation
    if evaluation is None:
        raise IntegrityError("the record of step training holds no evaluation of the model", fix="start a new run")
    _apply_gate(run, "model", check_model(evaluation, config.gates, config.training.coverage, published_quality(run)))


def after_prediction(run: Run) -> None:
    """Apply the gates before publication: enough people were predicted and, with ``gates.drift``, the data have not changed."""
    facts = run.facts(ParallelPredictionFacts)
    _apply_gate(run, "predictions", check_predicted_share(facts, run.plan.config.gates.predicted_share))
    if run.plan.config.gates.drift:
        _apply_gate(run, "drift", check_drift(facts.drift))


AGE_GATE = "ages"
SENTENCES = {
    "model": "the model is not good enough to be published",
    "reused": "the model is no longer as good as when it was trained",
    "predictions": "too few people could be predicted",
    "drift": "the data have changed since the model was trained",
}
GATE_NAMES = ("ages", "leaks", "model", "reused", "predictions", "drift")  # in the order of the run
GATES = {"read_source": after_reading, "training": after_training, "parallel_prediction": after_prediction}


@dataclass(frozen=True)
class GateOutcome:
    """Decision of a gate: whether all ``checks`` passed, and whether failed ones were ``accepted``."""

    passed: bool
    accepted: bool
    checks: list[Check]


def outcome(folder: RunFolder, name: str) -> GateOutcome | None:
    """Decision of the gate ``name`` of a run; None where the run has not reached it."""
    try:
        return from_json(GateOutcome, read_json(folder.path / "gates" / f"{name}.json"))
    except (IntegrityError, ValueError):
        return None


def overridden_gates(folder: RunFolder) -> tuple[str, ...]:
    """Gates that ``--accept`` overrides: that on given ages alone where it stopped the run, else all others."""
    stopped = outcome(folder, AGE_GATE)
    by_ages = stopped is not None and not (stopped.passed or stopped.accepted)
    return (AGE_GATE,) if by_ages else tuple(name for name in GATE_NAMES if name != AGE_GATE)


def _apply_gate(run: Run, name: str, checks: list[Check], error: PredictAgeError | None = None) -> None:
    fix = f"look at {run.folder.model / 'card.html'}; then change data, features or configuration and run again, or `predict-age "
    fix += f"resume --accept`, which is right where {accept_when([c.name for c in checks if not c.passed])}"
    apply_gate(run.folder, name, checks, name in run.accept, run.progress.note, SENTENCES.get(name, ""), fix, error)


def apply_gate(
    folder: RunFolder,
    name: str,
    checks: list[Check],
    accept: bool,
    note: Callable[[str], None],
    problem: str,
    fix: str,
    error: PredictAgeError | None = None,
) -> None:
    """Record the ``checks`` of the gate ``name``; when one failed and ``accept`` is not set, raise ``error``.

    By default, that is a QualityError with ``problem`` and ``fix``.
    """
    before = outcome(folder, name)
    if before and (before.passed or before.accepted):
        return  # decided at the first attempt: another run may have been published since
    failed = [c for c in checks if not c.passed]
    decided = GateOutcome(not failed, bool(failed) and accept, checks)
    write_json(folder.path / "gates" / f"{name}.json", as_json(decided))
    if failed and not accept:
        raise error or QualityError(
            problem,
            expected="; ".join(f"{c.name}: {c.expected}" for c in failed[:5]),
            found="; ".join(c.found for c in failed[:5]),
            fix=fix,
        )
    for check in failed:
        note(f"accepted although {check.name} fails: {check.found}")
