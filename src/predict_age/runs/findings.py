"""Findings about a run, most important first: what a reader must know before using its predictions."""

from __future__ import annotations

from math import hypot

from predict_age.records.model_quality import MANY_WITHHELD, WITHHELD_FIX, WITHHELD_WHY
from predict_age.records.step_facts import (
    WITHHELD_BY_PROFILE,
    FinalResultsFacts,
    ParallelPredictionFacts,
    ReadSourceFacts,
    TrainingFacts,
)
from predict_age.tally import in_number, percent

MANY_DUPLICATES = 0.2  # share of the usable rows
FEW_USABLE = 0.5  # share of the predictions below which this is the first finding
MANY_DEFAULTS = 0.05  # share of the people without a known age
MANY_IGNORED = 0.01  # share of the given ages
MANY_ZEROS = 0.01  # share of the rows
ABSENT_NAMED = 5
AGE_IN_PROFILE = (
    "a key of their profile with the name of an age column gives an age below ages.min_age. Where zeros stand for no age, write "
    'zero = "missing" under [ages] of the configuration; where the key is no age of the person, rename it.'
)
CLEARLY = 3.0  # standard errors
BEYOND_CHANCE = 1.645  # standard errors that one comparison in twenty exceeds without a difference


def run_findings(
    usable_from_pct: float,
    source: ReadSourceFacts | None,
    training: TrainingFacts | None,
    prediction: ParallelPredictionFacts | None,
    final: FinalResultsFacts | None,
) -> list[str]:
    """Sentences computed from the records of the finished steps; those that do not apply are left out."""
    found = _duplicates(source) if source else []
    found += _withheld(prediction) if prediction else []
    if final and final.rows.predicted:
        found += _usability(usable_from_pct, final)
    if training and training.reused:
        found += _reused_model(training)
    elif training:
        found += _baselines(training)
    if training:
        found += _absent_features(training)
    if prediction:
        found += _defaults(prediction)
    if source:
        found += _zero_ages(source) + _ignored_ages(source)
    return found


def _duplicates(source: ReadSourceFacts) -> list[str]:
    if not source.usable or source.duplicate / source.usable < MANY_DUPLICATES:
        return []
    return [
        f"{source.duplicate:,} of {source.usable:,} rows ({percent(source.duplicate / source.usable)}) have the id of another row "
        "and do not count: one row of each person does. Where every row is a person, source.pid names the wrong column."
    ]


def _usability(usable_from_pct: float, final: FinalResultsFacts) -> list[str]:
    share = final.quality.get("usable_share_predicted")
    if share is None or share >= FEW_USABLE:
        return []
    if share == 0:
        return [
            f"No prediction is usable: all {final.rows.predicted:,} are marked usable = false, "
            f"their confidence is below {usable_from_pct:g} %."
        ]
    unusable = round((1 - share) * final.rows.predicted)
    return [
        f"{percent(1 - share)} of the predictions ({unusable:,} of {final.rows.predicted:,}) are marked usable = false: "
        f"their confidence is below {usable_from_pct:g} %."
    ]


def _reused_model(training: TrainingFacts) -> list[str]:
    """Differences between the reused model in this run and at its training; nothing where both agree within chance."""
    then, reused = training.metrics.held_out, training.reused
    if reused is None:
        return []
    if reused.metrics is None:
        return [f"The quality shown is that of the model's training: {reused.sentence}."]
    now = reused.metrics.held_out
    found = []
    if abs(now.mae - then.mae) > CLEARLY * hypot(now.mae_doubt, then.mae_doubt):
        found += [
            f"The model errs by {now.mae:.2f} years on {now.rows:,} people of known age whom it was not trained on; "
            f"when it was trained, it erred by {then.mae:.2f}."
        ]
    if reused.correction is not None and reused.as_trained is not None:
        found += [
            f"Its intervals held {percent(reused.as_trained.coverage)} of these people and were calibrated again for this run: "
            f"{percent(now.coverage)}, {now.width:.1f} years wide instead of {reused.as_trained.width:.1f}."
        ]
    return found


def _baselines(training: TrainingFacts) -> list[str]:
    gain = training.evaluation.gain_over_ridge if training.evaluation else None
    if gain is None or gain.years > BEYOND_CHANCE * gain.standard_error:
        return []
    held, ridge = training.metrics.held_out.mae, training.metrics.ridge.mae
    return [f"The model is not better than Ridge beyond chance: {held:.2f} against {ridge:.2f} years on held-out people."]


def _absent_features(training: TrainingFacts) -> list[str]:
    absent = [name for name, share in training.metrics.missing.items() if share == 1.0]
    if not absent:
        return []
    more = f" and {len(absent) - ABSENT_NAMED} more" if len(absent) > ABSENT_NAMED else ""
    features = f"{in_number(len(absent), 'feature')} {in_number(len(absent), 'was')}"
    of_all = f"{len(absent)} of {len(training.metrics.missing)}"
    return [f"{of_all} {features} in no training profile: {', '.join(absent[:ABSENT_NAMED])}{more}."]


def _withheld(prediction: ParallelPredictionFacts) -> list[str]:
    inside = prediction.tally.count(WITHHELD_BY_PROFILE)
    by_model = (prediction.withheld or 0) - inside
    people = prediction.predicted + by_model + inside
    sentences = []
    for withheld, why in ((by_model, f"{WITHHELD_WHY} {WITHHELD_FIX}"), (inside, AGE_IN_PROFILE)):
        if withheld and withheld / people >= MANY_WITHHELD:
            share = f"{percent(withheld / people)} of the people without a known age ({withheld:,} of {people:,})"
            sentences.append(f"{share} are withheld: {why}")
    return sentences


def withheld_reason(source: ReadSourceFacts | None, prediction: ParallelPredictionFacts | None, min_age: int) -> str:
    """Sentence that says why people of a run have no age; empty where nobody is withheld."""
    known, taken = (source.withheld or 0) if source else 0, (prediction.withheld or 0) if prediction else 0
    inside = prediction.tally.count(WITHHELD_BY_PROFILE) if prediction else 0
    known, taken = known + inside, taken - inside
    if not known + taken:
        return ""
    return (
        f"{known + taken:,} people are withheld, because they may be younger than {min_age} (ages.min_age): {known:,} by an age of "
        f"their own, {taken:,} of unknown age by the model (ages.withhold_probability)"
    )


def _defaults(prediction: ParallelPredictionFacts) -> list[str]:
    defaulted = sum(prediction.default.values())
    people = prediction.predicted + defaulted
    if not people or defaulted / people < MANY_DEFAULTS:
        return []
    return [f"{percent(defaulted / people)} of the people without a known age got the default age: their profile cannot be used."]


def _zero_ages(source: ReadSourceFacts) -> list[str]:
    """An age of 0 is often a code for an unknown one."""
    zero = source.zero_ages or 0
    if not source.usable or zero / source.usable <= MANY_ZEROS:
        return []
    return [
        f"{zero:,} rows ({percent(zero / source.usable)}) have the age 0, and their people are withheld as minors. "
        'Where 0 stands for an unknown age, set ages.zero = "missing".'
    ]


def _ignored_ages(source: ReadSourceFacts) -> list[str]:
    ignored = source.unreadable_age + source.implausible_age
    given = source.known + ignored
    if not given or ignored / given < MANY_IGNORED:
        return []
    return [
        f"{ignored:,} of {given:,} given ages were not used: {source.implausible_age:,} outside the plausible window, "
        f"{source.unreadable_age:,} unreadable."
    ]
