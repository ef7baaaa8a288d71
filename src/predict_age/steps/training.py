"""Step 3: sample people whose age is known, extract their features, train and judge the models, save the artefact."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from predict_age.config import Config
from predict_age.evaluation.model_card.card import build_card
from predict_age.evaluation.model_card.card_sample import TrainingSample
from predict_age.evaluation.model_card.contents import Subject
from predict_age.evaluation.model_card.findings import most_biased_group
from predict_age.evaluation.model_card.leakage import LeakageScore, leaking_features
from predict_age.evaluation.model_card.leakage_together import closeness_that_counts
from predict_age.evaluation.model_card.page import CARD_FILES, add_this_run, write_card
from predict_age.features.extract import compile_features
from predict_age.features.spec import FeatureSet
from predict_age.models.age_cells import without_single_ages
from predict_age.models.age_weights import age_weights, known_by_age, typical_rows
from predict_age.models.artifact import MODEL_FILES, copy_model, copy_verified_file, load_model, save_model
from predict_age.models.bundle_training import train_models
from predict_age.models.delivery import EVERYBODY
from predict_age.models.held_out import UnseenOutputs
from predict_age.models.reuse import evaluate_reused, not_evaluated
from predict_age.models.tuning import TuningResult, tune
from predict_age.predictor.profile_judgement import delivered_bundle
from predict_age.records.drift_state import DriftState
from predict_age.records.json_fields import as_json
from predict_age.records.model_quality import Delivery, Metrics, ModelEvaluation, ReusedModelQuality
from predict_age.records.step_facts import ReadSourceFacts, TrainingFacts
from predict_age.runs.known_minors import rate_in_reuse, rate_in_training
from predict_age.runs.part_limits import Check
from predict_age.runs.quality_gates import apply_gate, leak_limits
from predict_age.runs.run import StepContext, library_versions
from predict_age.runs.step_outputs import duplicate_rows_file, grouped, rules_of, training_splits_of, unused_rows_file
from predict_age.runs.warm_up import warm_up_ahead
from predict_age.source.id_hashes import key_of_run, read_fingerprints, write_fingerprints
from predict_age.source.rejected_rows import too_few_known
from predict_age.source.row_group_reader import Split
from predict_age.step import StepRecord, StepResult
from predict_age.steps.challengers import Challenger, copy_challengers
from predict_age.steps.training_sample import SamplingTask, choose_splits, draw_people, load_sample
from predict_age.storage.durable_files import file_sha256, make_folder, read_json, write_json
from predict_age.storage.workspace import RunFolder
from predict_age.toml_text import list_setting

TRAINED_ON = "trained_on.npy"  # fingerprints of the people whom the model was trained on, ascending
MAX_REUSED_ROWS = 50_000  # people on whom a reused model is measured, at most


@dataclass(frozen=True)
class BaseModel:
    """The model of a finished run that is used instead of training: where it lies, and the run's record of its training."""

    run_id: str
    model: Path
    record: StepRecord[TrainingFacts]


@dataclass(frozen=True)
class TrainingInputs:
    """Inputs of training: the record of reading the source, models of other runs, and the data to be compared with.

    ``challengers``: models that predict a share of the people; ``accept``: go on although a feature gives the age away.
    """

    context: StepContext
    source: ReadSourceFacts
    base: BaseModel | None
    challengers: tuple[Challenger, ...]
    reference: DriftState | None
    accept: bool = False


def training(inputs: TrainingInputs) -> StepResult[TrainingFacts]:
    """Train, or take over the base run's model; copy the challengers' models."""
    challengers = copy_challengers(inputs.context.folder.path, inputs.challengers)
    made = _copy_base(inputs, inputs.base) if inputs.base else _train(inputs)
    ages = inputs.context.plan.config.ages
    deliveries = tuple(c.delivery(inputs.source, ages) for c in inputs.challengers) or None
    return StepResult(made.rows, replace(made.facts, challengers=deliveries), made.outputs | challengers)


def _train(inputs: TrainingInputs) -> StepResult[TrainingFacts]:
    """Train on up to ``sample_rows`` labelled people. Raises InputError when too few have a known age."""
    context, plan, settings = inputs.context, inputs.context.plan, inputs.context.plan.config.training
    labelled = inputs.source.labelled
    people = _draw(inputs, labelled, settings.sample_rows, plan.config.card.unlabelled_rows)
    if len(people.age) < settings.min_rows:
        given = [inputs.source.given_ages.sentence] if inputs.source.given_ages else []
        unused = [ages.sentence for ages in inputs.source.unusable_ages or []]
        raise too_few_known(
            settings.min_rows, "; ".join([f"{len(people.age):,} of {labelled:,} with a known age", *given, *unused])
        )
    context.progress.note(f"training on {len(people.age):,} people, {people.columns.num_columns} features")
    leakage = people.leakage_scores()
    _refuse_leaks(leakage, inputs)
    known_ages = known_by_age(people.age, labelled)
    if plan.training_source:  # the population is that of the source
        known_ages = np.array(inputs.source.known_ages, np.float64)
    weights = age_weights(plan.config.population.ages, known_ages, inputs.source.to_predict, people.age)
    features, _ = compile_features(plan.features_text, plan.as_of)
    config, tuned = _tuned(context, features, people)

    def side_by_side(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], name: str) -> list[Any]:
        more = context.progress.part(len(tasks), name)
        return context.pool.run(function, tasks, lambda *_: more(1), "training turn")

    trained = train_models(
        features, people.columns, people.age, people.sampling_hashes, config, plan.workers, side_by_side, weights
    )
    _record_people(context, people)
    of_all = as_json(trained.measured(EVERYBODY)[0])  # the model's files do not depend on known minors
    version = save_model(
        trained.bundle(), context.folder.model, {"trained_at": plan.timestamp, "as_of": plan.as_of.isoformat(), "metrics": of_all}
    )
    minors = rate_in_training(trained, inputs.source, plan.config.ages)
    rate = minors.rate if minors else EVERYBODY
    bundle, (metrics, judged) = trained.bundle(rate), trained.measured(rate)
    warm_up_ahead(context, inputs.source)
    subject = Subject(
        model_version=version,
        trained_at=plan.timestamp,
        as_of=plan.as_of.isoformat(),
        quarter=plan.quarter,
        run_id=plan.run_id,
        source=Path(plan.source).name,
        training_source=Path(plan.training_source).name or None,
        features_name=plan.features_name,
        features_hash=features.hash,
        labelled=labelled,
        learned=len(people.age),
        unlabelled=inputs.source.to_predict,
        coverage=settings.coverage,
        versions=library_versions(),
        code=plan.code,
        tuned=tuned,
        purpose=plan.purpose,
    )
    card = build_card(people, leakage, bundle, judged, metrics, subject, plan.config, plan.workers, weights, minors)
    write_card(card, context.folder.model)
    facts = TrainingFacts(
        model_version=version,
        sampled=len(people.age),
        labelled=labelled,
        metrics=metrics,
        evaluation=ModelEvaluation(
            card.held_out,
            card.ridge,
            card.median,
            card.by_band,
            card.findings,
            most_biased_group(card),
            judged.gain_over_median,
            judged.gain_over_ridge,
            *closeness_that_counts(people, bundle, judged, plan.config, plan.workers),
            judged.gain_by_band,
            judged.ridge_gain_by_band,
        ),
        trained_at=plan.timestamp,
        reference=inputs.reference,
        minors=minors,
        published=trained.correction(rate),
    )
    return StepResult(len(people.age), facts, _outputs(context.folder))


def _record_people(context: StepContext, people: TrainingSample) -> None:
    """Write whom the model is trained on, so that another run can tell."""
    write_fingerprints(context.folder.model / TRAINED_ON, _fingerprint_key(context), people.fingerprints)


def _fingerprint_key(context: StepContext) -> bytes:
    """From the run's time alone, so that people who are not trained on change no byte of the model."""
    return key_of_run(context.plan.timestamp, TRAINED_ON)


def _refuse_leaks(leakage: list[LeakageScore], inputs: TrainingInputs) -> None:
    """Apply the gate on target leakage, before any model is trained. Raises QualityError when a feature gives the age away."""
    context, limits = inputs.context, inputs.context.plan.config.gates
    found = leaking_features(leakage, limits.leak_error_share, limits.leak_exact_share, limits.not_leaks)
    check = Check("target leakage", not found, leak_limits(limits), "; ".join(score.sentence for score in found) or "no feature")
    names = ", ".join(score.feature for score in found)
    allowed = list_setting("gates", "not_leaks", (*limits.not_leaks, *(score.feature for score in found)))
    fix = (
        f"remove it from the feature file; where it is honestly known before the age is, set {allowed} in a new run; "
        "or `predict-age resume --accept`"
    )
    note = context.progress.note
    apply_gate(context.folder, "leaks", [check], inputs.accept, note, f"a feature gives the age away: {names}", fix)


def _copy_base(inputs: TrainingInputs, base: BaseModel) -> StepResult[TrainingFacts]:
    """Copy the model of the base run, unchanged, with its card, which then begins with its quality in this run."""
    context, model = inputs.context, inputs.context.folder.model
    copy_model(base.model, model, context.plan.base_model)
    warm_up_ahead(context, inputs.source)
    facts, outputs = base.record.facts, base.record.outputs
    for name in CARD_FILES:
        copy_verified_file(base.model / name, model / name, outputs[f"model/{name}"])
    if f"model/{TRAINED_ON}" in outputs:  # earlier versions did not record it
        copy_verified_file(base.model / TRAINED_ON, model / TRAINED_ON, outputs[f"model/{TRAINED_ON}"])
    context.progress.note(f"model {facts.model_version} of run {base.run_id} is used; nothing is trained")
    trained = without_single_ages(facts.metrics)
    minors = rate_in_reuse(facts.minors, inputs.source, context.plan.config.ages)
    reused = _evaluate_reused(inputs, trained, Delivery(facts.published, minors))
    add_this_run(model, context.folder.id, reused, minors)
    context.progress.note(f"the model's quality: {reused.sentence}")
    made = replace(facts, metrics=trained, base=base.run_id, reference=inputs.reference, reused=reused, minors=minors)
    return StepResult(0, made, _outputs(context.folder))


def _evaluate_reused(inputs: TrainingInputs, trained: Metrics, delivery: Delivery) -> ReusedModelQuality:
    """Measure the model in the run's folder on people of known age whom it was not trained on."""
    context, plan = inputs.context, inputs.context.plan
    trained_on = context.folder.model / TRAINED_ON
    if not trained_on.exists():
        return not_evaluated(0, "the model does not record whom it was trained on, so it could not be measured in this run")
    strangers = max(1, inputs.source.known - len(read_fingerprints(trained_on)[1]))  # at least
    people = _draw(inputs, strangers, MAX_REUSED_ROWS, 0.0, trained_on)
    bundle, _ = load_model(context.folder.model, file_sha256(context.folder.model / "manifest.json"))
    bundle = delivered_bundle(bundle, delivery, plan.config.ages)
    matrix = bundle.encoders.encode(people.columns) if len(people.age) else np.empty((0, bundle.columns), np.float32)
    readable = ~np.isnan(matrix[:, : len(bundle.features)]).all(axis=1)  # others get no prediction
    unseen = UnseenOutputs.of(bundle, matrix[readable], people.age[readable], plan.workers)
    known_ages = np.array(inputs.source.known_ages, np.float64)
    weights = age_weights(plan.config.population.ages, known_ages, inputs.source.to_predict, unseen.age)
    return evaluate_reused(bundle, unseen.only(typical_rows(weights, unseen.age)), trained)


def _draw(
    inputs: TrainingInputs, labelled: int, most: int, unlabelled_rows: float, except_for: Path | None = None
) -> TrainingSample:
    """Up to ``most`` of about ``labelled`` people of known age, and some without; none whose fingerprint is in ``except_for``."""
    context, plan, settings = inputs.context, inputs.context.plan, inputs.context.plan.config.training
    folder = context.folder.path / f"training-{context.lease.token}"  # of this attempt alone
    make_folder(folder)
    own, theirs = training_splits_of(context.folder)
    trained_on_theirs = bool(theirs) and (not plan.base or not inputs.source.known)
    where = theirs if trained_on_theirs else own + theirs
    splits, times = choose_splits(where, labelled, settings.model_copy(update={"sample_rows": most}))
    share = min(1.0, times * most / max(labelled, 1))
    others = min(1.0, times * unlabelled_rows / max(inputs.source.to_predict, 1))
    rules, key = rules_of(plan, inputs.source), _fingerprint_key(context)
    rows = unused_rows_file(context.folder) if trained_on_theirs else duplicate_rows_file(context.folder)
    drawing = SamplingTask(plan.config, rules, rows, plan.features_text, share, others, key, except_for)
    groups = [(group, drawing) for group in grouped(splits)]
    if trained_on_theirs:
        groups = [(group, replace(drawing, others=0.0)) for group, _ in groups] + _unlabelled(inputs, own, drawing, unlabelled_rows)
    tasks = [(i, group, how, folder) for i, (group, how) in enumerate(groups)]
    more = context.progress.part(round(labelled * share / times), "labelled people sampled")

    def advance(_: int, made: tuple[int, str]) -> None:
        more(made[0])

    drawn = context.pool.run(draw_people, tasks, advance, "sampling")
    people = load_sample([path for _, path in drawn if path], most)
    shutil.rmtree(folder, ignore_errors=True)
    return people


def _unlabelled(
    inputs: TrainingInputs, splits: list[Split], drawing: SamplingTask, most: float
) -> list[tuple[list[Split], SamplingTask]]:
    """Tasks that draw about ``most`` people without a known age from the ``splits`` of the source, where it is not trained on."""
    context, people = inputs.context, inputs.source.to_predict
    settings = drawing.config.training.model_copy(update={"sample_rows": max(1, round(most))})
    chosen, times = choose_splits(splits, people, settings)
    share = min(1.0, times * most / max(people, 1))
    how = replace(drawing, duplicate_rows=duplicate_rows_file(context.folder), known=0.0, others=share)
    return [(group, how) for group in grouped(chosen)] if share else []


def _tuned(context: StepContext, features: FeatureSet, people: TrainingSample) -> tuple[Config, dict[str, object] | None]:
    """The configuration to train with. Tuned settings are kept, so that a second attempt trains the same model."""
    config = context.plan.config
    if not config.training.tune_minutes:
        return config, None
    path = context.folder.path / "tuning.json"
    if path.exists():
        found = TuningResult(**{k: v for k, v in read_json(path).items() if k != "changed"})
    else:
        context.progress.note(f"looking for better settings, {config.training.tune_minutes:g} minutes at most")
        found = tune(features, people.columns, people.age, people.sampling_hashes, config, context.plan.workers)
        write_json(path, found.as_json())
    changed = ", ".join(f"{k} = {v:g}" for k, v in found.settings.items()) or "none better than the configured ones"
    context.progress.note(f"{found.tried} settings tried: {changed}")
    return found.applied(config, len(people.age)), found.as_json()


def _outputs(folder: RunFolder) -> dict[str, str]:
    names = [*MODEL_FILES, "manifest.json", *CARD_FILES]
    names += [TRAINED_ON] if (folder.model / TRAINED_ON).exists() else []
    return {f"model/{name}": file_sha256(folder.model / name) for name in names}
