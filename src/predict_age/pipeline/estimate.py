"""Estimate of a run before it starts: rows, batches, minutes, memory, disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from predict_age.age_bands import LAST_AGE
from predict_age.errors import InputError
from predict_age.features.extract import extract_features
from predict_age.models.age_weights import age_weights
from predict_age.pipeline.measured_speeds import (
    CONVERT_RATE,
    MERGE_RATE,
    PREDICT_RATE,
    READ_RATE,
    prediction_rate,
    training_people,
    training_seconds,
)
from predict_age.pipeline.source_sample import ROWS_TOGETHER, AgeColumn, PlanSample, SampledPeople
from predict_age.runs.age_gate import AgeFindings, check_known_ages, unusable_ages_error
from predict_age.runs.batching import number_of_batches
from predict_age.runs.budget import cost_usd
from predict_age.runs.lookup_files import FILE_PEOPLE
from predict_age.runs.run import RunPlan
from predict_age.runs.step_outputs import rules_before_reading
from predict_age.runtime.command_log import stage
from predict_age.runtime.worker_pool import available_cores
from predict_age.source.external_partition import BUCKET_ROWS
from predict_age.source.missing_keys import (
    AGE_KEYS,
    PROFILE_COLUMN,
    EmptyKeys,
    check_keys,
    columns_without_value,
    id_hint,
    no_known_age,
    suspects,
)
from predict_age.source.reading_plan import ReadingGroup, reading_plan
from predict_age.source.rejected_rows import FileRows, check_rejected, too_few_known
from predict_age.source.row_group_reader import merged
from predict_age.source.row_rules import connect
from predict_age.source.row_walk import RowWalk, checked_footer
from predict_age.source.source_file import PassedOver
from predict_age.source.text_stream import open_bytes

COUNTED_ROWS = 200_000  # of Parquet: ids and ages of so many are read
SAMPLED_ROWS = 200_000  # of larger Parquet
COUNTED_TEXT_BYTES, UNPACKED = 64 << 20, 8  # text up to this size is read as a whole; how much larger it is when it is packed
RUN_START_SECONDS = 5.0
# Bytes, measured by `make bench` (docs/performance.md says on which machine).
RESULT_BYTES_A_ROW, PREDICTION_BYTES_A_ROW, QA_BYTES_A_ROW, WORKING_BYTES_A_ROW = 11, 23, 9, 200
SCRATCH_BYTES_A_ROW = 17  # during the search for duplicates
LOOKUP_SCRATCH_BYTES_A_ROW = 28  # while people are distributed to several lookup files
TRAINING_FIELDS = ("rows", "exact_rows", "known_share", "pid_type", "odd_ids", "withheld", "reading", "rows_sampled", "ages")
PARENT_BYTES, WORKER_BYTES, TRAINING_BYTES_A_ROW, BUCKET_BYTES_A_ROW = 400 << 20, 500 << 20, 2000, 56


@dataclass(frozen=True)
class Estimate:
    """Estimate of a run. ``exact_rows``: rows were counted, not scaled up from a sample of a large text.

    ``minutes`` are those of a machine that is idle otherwise. ``pid_type`` is what the sampled ids are, ``odd_ids`` how many of
    them are something else, and ``padded_ids`` how many have leading zeros and may be the same whole numbers as others. ``ages``
    are those of ``rows_sampled``, counted at ``as_of``; ``withheld`` of these rows are those of known minors. ``people`` are
    distinct ids, and ``duplicates`` the further rows of them; ``exact_people``: all rows were looked at. Where there is a
    ``training`` source, its rows are estimated apart; time, memory, disk and bytes are those of both.
    """

    rows: int
    exact_rows: bool
    known_share: float
    to_predict: int
    batches: int
    formula: str
    workers: int
    minutes: float
    memory_bytes: int
    disk_bytes: int
    source_bytes: int
    usd_per_hour: float
    cost_usd: float
    pid_type: str
    odd_ids: int
    withheld: int
    reading: list[ReadingGroup]
    passed_over: list[PassedOver]
    as_of: str
    rows_sampled: int
    ages: list[AgeColumn]
    people: int
    duplicates: int
    exact_people: bool
    training: Estimate | None = None
    padded_ids: int = 0

    def as_json(self) -> dict[str, object]:
        fields = asdict(self)
        if self.training is None:
            del fields["training"]
        else:
            fields["training"] = {name: fields["training"][name] for name in TRAINING_FIELDS}
        return fields


@stage("look at a sample of the rows and estimate the run")
def estimate(plan: RunPlan, *, gates: bool = False) -> Estimate:
    """Estimate from file sizes, Parquet footers and a sample of the rows; reads no profile of a Parquet source.

    Text of moderate size is read as a whole and refused as a run would refuse it; of larger text only the beginning is read. With
    ``gates``, too many given ages of no use are refused as well.
    """
    if not plan.training_source:
        return _of_one_source(plan, gates=gates, trains=True, predicts=True)[0]
    source = replace(plan, training_source="", training_files=())
    own, ages, people = _of_one_source(source, gates=False, trains=False, predicts=True)
    theirs, others, trained_on = _of_one_source(plan.of_training_source(), gates=False, trains=True, predicts=False)
    if gates and not (both := ages.together_with(others, people.given_ages_with(trained_on))).passes:
        raise unusable_ages_error(both)
    rate = prediction_rate(training_people(theirs.rows, theirs.known_share, plan.config), plan.config.training)
    longer = own.to_predict * (1 / rate - 1 / PREDICT_RATE) / own.workers
    minutes = own.minutes + theirs.minutes + longer / 60
    return replace(
        own,
        minutes=minutes,
        memory_bytes=max(own.memory_bytes, theirs.memory_bytes),
        disk_bytes=own.disk_bytes + theirs.disk_bytes,
        source_bytes=own.source_bytes + theirs.source_bytes,
        cost_usd=cost_usd(minutes, plan.config.limits),
        training=theirs,
    )


def _of_one_source(plan: RunPlan, *, gates: bool, trains: bool, predicts: bool) -> tuple[Estimate, AgeFindings, SampledPeople]:
    """Estimate of a run over the plan's source, which ``trains`` on its people or ``predicts`` some, its given ages and people."""
    trains = trains and not plan.base
    config, text_rows = plan.config, 0
    walk = RowWalk(plan.files, config.source, ages_needed=trains, profile_columns=())
    sample = PlanSample(rules_before_reading(plan), config.source, plan.files)
    texts = [f for f in plan.files if f.format != "parquet"]
    whole = sum(f.size * (UNPACKED if f.compression else 1) for f in texts) <= COUNTED_TEXT_BYTES
    footers = {
        number: checked_footer(file, config.source, ages_needed=trains)
        for number, file in enumerate(plan.files)
        if file.format == "parquet"
    }
    rows = sum(metadata.num_rows for metadata in footers.values())
    counted = whole and rows <= COUNTED_ROWS
    empty: list[EmptyKeys] = []
    for number, file in enumerate(plan.files):
        if number not in footers:
            found, keys = _sample_text(walk, number, sample, whole=whole)
            text_rows += found
            empty += [keys] if keys.records else []
        elif counted and footers[number].num_rows:
            for piece in walk.of_file(number):
                sample.add_piece(piece)
        else:
            sample.add_unread(FileRows(file.path, footers[number].num_rows, Counter()))
    sample.finish()
    if not counted:
        parquet = replace(walk, files=[plan.files[number] for number in footers])
        for raw in merged((piece.rows for piece in parquet.sample(SAMPLED_ROWS)), ROWS_TOGETHER):
            sample.add(raw)
    rows += text_rows
    if not rows:
        raise InputError("the source holds no rows", expected="at least one record", found=f"{len(plan.files)} empty file(s)")
    check_keys(empty, plan.source, config.source)
    if whole:
        hint = partial(id_hint, files=plan.files, source=config.source)
        check_rejected(sample.rows_by_file(), config.source, "look at the source", hint)
    ages, columns, people = sample.ages(plan, rows)
    if sample.sees_all(rows) and trains:
        if all(column.is_empty for column in columns):
            raise no_known_age(plan.files, plan.source, config.source, config.training.min_rows)
        check_known_ages(ages, training=True)
        if counted:
            _check_labelled_profiles(plan, sample, ages)
    if gates and not ages.passes:
        raise unusable_ages_error(ages)
    if sample.sees_all(rows) and predicts and not plan.base:
        by_age = np.bincount(people.known_ages, minlength=LAST_AGE + 1).astype(np.float64)
        age_weights(plan.config.population.ages, by_age, people.to_predict, people.known_ages.astype(np.float64))
    estimated = _estimate(plan, rows, text_rows, sample, columns, people, exact=whole, trains=trains, predicts=predicts)
    return estimated, ages, people


def _check_labelled_profiles(plan: RunPlan, sample: PlanSample, ages: AgeFindings) -> None:
    """Raise InputError where too few of the people with a known age have a usable profile, as training does."""
    if plan.config.source.profile_json == "*":
        return  # the profile of a row without any value is usable
    least, usable = plan.config.training.min_rows, 0
    for profiles in sample.labelled_profiles():
        usable += extract_features(connect(), profiles, plan.features_text, plan.as_of).problem.null_count
        if usable >= least:
            return
    sentences = [values.sentence for values in ages.unusable]
    raise too_few_known(
        least, "; ".join([f"{usable:,} of {ages.people.known:,} with a known age", ages.people.sentence, *sentences])
    )


def _sample_text(walk: RowWalk, number: int, sample: PlanSample, *, whole: bool) -> tuple[int, EmptyKeys]:
    """Rows of a text file: counted where it is read as a ``whole``, else scaled up by bytes from its first chunk.

    A JSON file that may have its profiles or ages under another key is read until one is found.
    """
    file, rows, usable, empty = walk.files[number], 0, 0, frozenset((*AGE_KEYS, PROFILE_COLUMN))
    wanted: frozenset[str] | None = None
    for piece in walk.of_file(number):
        if whole or not rows:
            sample.add_piece(piece)
            rows += piece.records
        if file.format == "jsonl" and len(piece):
            usable, empty = usable + len(piece), empty & columns_without_value(piece.rows, piece.profiles())
        if not whole:
            sample.finish()
            wanted = suspects(file, walk.source) if wanted is None and file.format == "jsonl" else wanted
            if not wanted or not wanted & empty:
                break
    keys = EmptyKeys(file, empty, usable)
    if whole or not rows:
        return rows, keys
    with open_bytes(file) as stream:
        beginning = stream.read(8 << 20)
    packed = pa.compress(beginning, codec=file.compression, asbytes=True) if file.compression else beginning
    return round(rows * max(1.0, file.size / max(len(packed), 1))), keys


def _estimate(
    plan: RunPlan,
    rows: int,
    text_rows: int,
    sample: PlanSample,
    ages: list[AgeColumn],
    people: SampledPeople,
    *,
    exact: bool,
    trains: bool,
    predicts: bool,
) -> Estimate:
    config, share = plan.config, sample.known_share
    workers = config.running.workers or available_cores()
    times = rows / max(sample.records, 1)  # ids repeat in the source as often as in the sample, as far as that is known
    to_predict = round(people.to_predict * times)
    batches, formula = number_of_batches(to_predict, config.prediction.batch_rows, workers)
    sampled = training_people(rows, share, config) if trains or plan.base else 0
    reading = rows / READ_RATE + text_rows / CONVERT_RATE
    predicting = to_predict / prediction_rate(sampled, config.training) + rows / MERGE_RATE if predicts else 0.0
    seconds = (
        (RUN_START_SECONDS if predicts else 0.0)
        + training_seconds(sampled if trains else 0, workers)
        + (reading + predicting) / workers
    )
    results = rows * (RESULT_BYTES_A_ROW + QA_BYTES_A_ROW) + to_predict * PREDICTION_BYTES_A_ROW if predicts else 0
    results += rows * LOOKUP_SCRATCH_BYTES_A_ROW if predicts and rows > FILE_PEOPLE else 0
    disk = results + text_rows * WORKING_BYTES_A_ROW
    disk = max(disk, rows * SCRATCH_BYTES_A_ROW + text_rows * WORKING_BYTES_A_ROW)
    looking = workers * min(rows, BUCKET_ROWS) * BUCKET_BYTES_A_ROW  # search for duplicates, which does not overlap with training
    memory = PARENT_BYTES + workers * WORKER_BYTES + max(sampled * TRAINING_BYTES_A_ROW, looking)
    minutes = seconds / 60
    return Estimate(
        rows,
        exact,
        share,
        to_predict,
        batches,
        formula,
        workers,
        minutes,
        memory,
        disk,
        sum(f.size for f in plan.files),
        config.limits.usd_per_hour,
        cost_usd(minutes, config.limits),
        *sample.ids(),
        sample.withheld,
        reading_plan(plan.files),
        list(plan.passed_over),
        plan.as_of.isoformat(),
        sample.rows,
        ages,
        round(people.people * times),
        round((people.rows - people.people) * times),
        sample.sees_all(rows),
        padded_ids=sample.padded_ids,
    )
