"""Step 3: sample people whose age is known, extract their features, train and judge the models, save the artefact."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from predict_age.config import Config, GatesConfig, TrainingConfig
from predict_age.errors import InputError, IntegrityError, QualityError
from predict_age.evaluation.model_card.card import TrainingSample, build_card
from predict_age.evaluation.model_card.contents import Subject
from predict_age.evaluation.model_card.findings import most_biased_group
from predict_age.evaluation.model_card.leakage import LeakageScore, leaking_features
from predict_age.evaluation.model_card.page import CARD_FILES, write_card
from predict_age.features.extract import compile_features, extract_features
from predict_age.features.group_fields import NOT_GIVEN, read_groups
from predict_age.features.spec import FeatureSet
from predict_age.hashing import sampling_hash, uniform_hash
from predict_age.kernels import MIN_KERNEL_ROWS, prepare_kernels
from predict_age.models.artifact import MODEL_FILES, challenger_folder, copy_model, copy_verified_file, save_model
from predict_age.models.training import train_bundle
from predict_age.models.tuning import TuningResult, tune
from predict_age.records.drift_state import DriftState
from predict_age.records.json_fields import as_json
from predict_age.records.model_quality import ModelEvaluation
from predict_age.records.step_facts import ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.run.run import Run, library_versions
from predict_age.run.step_outputs import duplicate_rows_file, grouped, rules_of, splits_of
from predict_age.run.warm_up import warm_up
from predict_age.source.row_group_reader import Split, read_split
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.scan import counting_rows
from predict_age.step import StepResult
from predict_age.storage.durable_files import creating, file_sha256, make_folder, read_json, write_json

GROUP = "group:"
MORE_THAN_NEEDED = 4
FEWEST_SPLITS = 100


@dataclass(frozen=True)
class Draw:
    """How people are drawn: the shares (0..1) of those with and without a known age, and whose profiles are read how."""

    config: Config
    rules: RowRules
    losers: Path
    features: str
    known: float
    others: float


def in_drift_sample(splits: list[Split], labelled: int, settings: TrainingConfig) -> tuple[list[Split], int]:
    """Splits to draw people from, and how many times as many there are: with many more people than needed, not all are read.

    Of so many consecutive splits one is drawn by the seed. All together hold :data:`MORE_THAN_NEEDED` times the people to draw,
    so that a person's neighbours hardly matter: the sample is spread over the whole source, however it is sorted.
    """
    times = max(1, min(int(labelled / (MORE_THAN_NEEDED * settings.sample_rows)), len(splits) // FEWEST_SPLITS))
    draws = uniform_hash(np.arange(len(splits) // times + 1, dtype=np.int64) + settings.seed * 1_000_003)
    chosen = [
        first + int(draw * min(times, len(splits) - first))
        for first, draw in zip(range(0, len(splits), times), draws, strict=False)
    ]
    return [splits[i] for i in chosen], times


def sample(number: int, splits: list[Split], drawing: Draw, folder: Path) -> tuple[int, str]:
    """Write features of people drawn from ``splits`` to ``folder/<number>.parquet``.

    Returns the number of those with a known age, and the path or nothing when nobody was drawn.

    Columns: the features, the group fields as ``group:<name>``, ``age`` (NULL where unknown) and ``luck``. A person is drawn when
    their luck is below the share; only then the profile is parsed.
    """
    connection = connect()
    config = drawing.config
    tables = []
    prepare_kernels(int(sum(split.rows for split in splits) * min(drawing.known, drawing.others)))
    for split in splits:
        wanted = counting_rows(split, drawing.losers)
        for piece in read_split(split, config.source, with_profile=True, only=wanted):
            judged = drawing.rules.canonical(connection, piece.raw, ("pid", "known_age"))
            usable = judged["pid"].is_valid().to_numpy()
            known = judged["known_age"].is_valid().to_numpy()
            lucky = sampling_hash(judged["pid"].fill_null(0).to_numpy(), config.training.seed)
            chosen = usable & (lucky < np.where(known, drawing.known, drawing.others))
            if not chosen.any():
                continue
            profiles = piece.raw["profile"].filter(chosen)
            made = extract_features(connection, profiles, drawing.features, drawing.rules.as_of)
            groups = read_groups(connection, profiles, config.card.groups)
            table = made.with_text_categories().append_column("age", judged["known_age"].filter(chosen))
            table = table.append_column("luck", pa.array(lucky[chosen]))
            for name in groups.column_names:
                table = table.append_column(GROUP + name, groups[name])
            tables.append(table.filter(made.problem.is_null()))
    if not tables:
        return 0, ""
    path = folder / f"{number}.parquet"
    drawn = pa.concat_tables(tables)
    with creating(path) as stream:
        pq.write_table(drawn, stream, compression="zstd")
    return drawn.num_rows - drawn["age"].null_count, str(path)


def training(run: Run) -> StepResult:
    """Train, or take over the base run's model; copy the challengers' models."""
    challengers = _take_challengers(run)
    made = _from_base(run) if run.plan.base else _train(run)
    return StepResult(made.rows, made.facts, made.outputs | challengers)


def _take_challengers(run: Run) -> dict[str, str]:
    """The models of ``plan.challengers`` in folders of their own; returns their files with SHA-256."""
    outputs: dict[str, str] = {}
    for number, (name, manifest) in enumerate(run.plan.challengers):
        folder = challenger_folder(run.folder.path, number)
        copy_model(run.workspace.run(name).model, folder, manifest)
        outputs |= {f"{folder.name}/{file}": file_sha256(folder / file) for file in (*MODEL_FILES, "manifest.json")}
    return outputs


def _train(run: Run) -> StepResult:
    """Train on up to ``sample_rows`` labelled people. Raises InputError when too few have a known age."""
    plan, settings = run.plan, run.plan.config.training
    folder = run.folder.path / f"training-{run.lease.token}"  # of this attempt alone
    make_folder(folder)
    labelled = run.facts(ReadSourceFacts).known
    splits, times = in_drift_sample(splits_of(run.folder), labelled, settings)
    share = min(1.0, times * settings.sample_rows / max(labelled, 1))
    others = min(1.0, times * plan.config.card.unlabelled_rows / max(run.facts(ReadSourceFacts).to_predict, 1))
    drawing = Draw(plan.config, rules_of(plan), duplicate_rows_file(run.folder), plan.features_text, share, others)
    tasks = [(i, group, drawing, folder) for i, group in enumerate(grouped(splits))]
    more = run.progress.part(round(labelled * share / times), "labelled people sampled")

    def advance(_: int, made: tuple[int, str]) -> None:
        more(made[0])

    drawn = run.pool.run(sample, tasks, advance, "sampling")
    people = _load([path for _, path in drawn if path], settings.sample_rows)
    if len(people.age) < settings.min_rows:
        raise InputError(
            "too few people with a known age to train on",
            expected=f"at least {settings.min_rows} with a usable profile",
            found=f"{len(people.age)} of {labelled} with a known age",
            fix="add rows with birth_year or approximate_age, or lower training.min_rows (20 at least)",
        )
    run.progress.note(f"training on {len(people.age):,} people, {people.columns.num_columns} features")
    told = people.leakage_scores()
    _refuse_leaks(told, plan.config.gates)
    features, _ = compile_features(plan.features_text, plan.as_of)
    config, tuned = _tuned(run, features, people)
    side_by_side = partial(run.pool.run, names="training turn")
    bundle, metrics, judged = train_bundle(
        features, people.columns, people.age, people.sampling_hashes, config, plan.workers, side_by_side
    )
    version = save_model(
        bundle, run.folder.model, {"trained_at": plan.timestamp, "as_of": plan.as_of.isoformat(), "metrics": as_json(metrics)}
    )
    _workers_get_ready(run)
    subject = Subject(
        model_version=version,
        trained_at=plan.timestamp,
        as_of=plan.as_of.isoformat(),
        quarter=plan.quarter,
        run_id=plan.run_id,
        source=Path(plan.source).name,
        features_name=plan.features_name,
        features_hash=features.hash,
        labelled=labelled,
        learned=len(people.age),
        unlabelled=run.facts(ReadSourceFacts).to_predict,
        coverage=settings.coverage,
        versions=library_versions(),
        code=plan.code,
        tuned=tuned,
    )
    card = build_card(people, told, bundle, judged, metrics, subject, plan.config, plan.workers)
    write_card(card, run.folder.model)
    shutil.rmtree(folder, ignore_errors=True)
    facts = TrainingFacts(
        model_version=version,
        sampled=len(people.age),
        labelled=labelled,
        metrics=metrics,
        evaluation=ModelEvaluation(card.held_out, card.ridge, card.median, card.by_band, card.findings, most_biased_group(card)),
        trained_at=plan.timestamp,
        reference=_reference(run),
    )
    return StepResult(len(people.age), facts, _outputs(run))


def _workers_get_ready(run: Run) -> None:
    """Let workers load the model that lies in the run's folder, while this process has something left to do alone."""
    splits = splits_of(run.folder)
    largest = max(splits, key=lambda split: split.rows)
    if run.facts(ReadSourceFacts).to_predict >= run.pool.workers * MIN_KERNEL_ROWS and largest.rows >= MIN_KERNEL_ROWS:
        seal = file_sha256(run.folder.model / "manifest.json")
        run.pool.ahead(warm_up, run.folder.model, seal, largest, run.plan.config.source, rules_of(run.plan))


def _refuse_leaks(told: list[LeakageScore], gates: GatesConfig) -> None:
    """Raise QualityError when a feature gives the age away."""
    found = leaking_features(told, gates.leak_error_share, gates.leak_exact_share, gates.not_leaks)
    if found:
        raise QualityError(
            f"a feature gives the age away: {', '.join(t.feature for t in found)}",
            expected=f"more than {gates.leak_error_share:.0%} of the error of a constant left, "
            f"fewer than {gates.leak_exact_share:.0%} of the ages named to the year",
            found="; ".join(f"{t.feature} leaves {t.share:.1%} and names {t.exact:.1%} of {t.rows:,} ages" for t in found),
            fix="remove it from the feature file; where it is honestly known before the age is, name it in gates.not_leaks",
        )


def _from_base(run: Run) -> StepResult:
    """Take over the model of the base run, unchanged, with what was found out about it there."""
    base = run.workspace.run(run.plan.base)
    copy_model(base.model, run.folder.model, run.plan.base_model)
    _workers_get_ready(run)
    facts, outputs = base.facts(TrainingFacts), base.step("training").outputs
    for name in CARD_FILES:
        copy_verified_file(base.model / name, run.folder.model / name, outputs[f"model/{name}"])
    run.progress.note(f"model {facts.model_version} of run {base.id} is used; nothing is trained")
    return StepResult(0, replace(facts, base=base.id, reference=_reference(run, facts)), _outputs(run))


def _tuned(run: Run, features: FeatureSet, people: TrainingSample) -> tuple[Config, dict[str, object] | None]:
    """The configuration to train with. What tuning found is kept, so that a second attempt trains the same model."""
    config = run.plan.config
    if not config.training.tune_minutes:
        return config, None
    path = run.folder.path / "tuning.json"
    if path.exists():
        found = TuningResult(**{k: v for k, v in read_json(path).items() if k != "changed"})
    else:
        run.progress.note(f"looking for better settings, {config.training.tune_minutes:g} minutes at most")
        found = tune(features, people.columns, people.age, people.sampling_hashes, config, run.plan.workers)
        write_json(path, found.as_json())
    changed = ", ".join(f"{k} = {v:g}" for k, v in found.settings.items()) or "none better than the configured ones"
    run.progress.note(f"{found.tried} settings tried: {changed}")
    return found.applied(config), found.as_json()


def _reference(run: Run, of_base: TrainingFacts | None = None) -> DriftState | None:
    """The state of the data that this run's will be compared with: of the run whose model is used, else of the published run.

    It is kept here, so that it outlives that run.
    """
    if of_base and of_base.base:
        return of_base.reference
    earlier = run.plan.base or run.workspace.published.current
    if not earlier or earlier == run.folder.id:
        return None
    try:
        return run.workspace.run(earlier).facts(ParallelPredictionFacts).state
    except IntegrityError:
        return None


def _outputs(run: Run) -> dict[str, str]:
    return {f"model/{name}": file_sha256(run.folder.model / name) for name in (*MODEL_FILES, "manifest.json", *CARD_FILES)}


def _load(files: list[str], most: int) -> TrainingSample:
    """The people drawn, in the order of their luck: the same whatever the files were."""
    if not files:
        return TrainingSample(pa.table({}), np.empty(0, np.float32), np.empty(0), *(pa.table({}) for _ in range(3)))
    table = pa.concat_tables([pq.read_table(f) for f in files])
    table = table.take(pa.array(np.argsort(table["luck"].to_numpy(), kind="stable")))
    known = table["age"].is_valid()
    labelled, others = table.filter(known).slice(0, most), table.filter(pc.invert(known))
    features = [n for n in table.column_names if not n.startswith(GROUP) and n not in ("age", "luck")]

    def groups(of: pa.Table) -> pa.Table:
        """Fields that occur: one that nobody has says nothing."""
        named = {n.removeprefix(GROUP): table[n] for n in table.column_names if n.startswith(GROUP)}
        there = [n for n, column in named.items() if not pc.all(pc.equal(column, NOT_GIVEN)).as_py()]
        return of.select([GROUP + n for n in there]).rename_columns(there)

    return TrainingSample(
        labelled.select(features),
        labelled["age"].to_numpy().astype(np.float32),
        labelled["luck"].to_numpy(),
        groups(labelled),
        others.select(features),
        groups(others),
    )
