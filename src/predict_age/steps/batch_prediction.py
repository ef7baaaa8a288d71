"""Prediction of one batch: the work of a worker process in step 6."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import SourceConfig
from predict_age.evaluation.ab_test.assign import assign_arms
from predict_age.evaluation.drift.sketch import SketchBuilder
from predict_age.features.encode import Matrix
from predict_age.features.extract import ExtractedFeatures, FeatureReader
from predict_age.hashing import sampling_hash
from predict_age.kernels import use_kernels
from predict_age.models.artifact import load_model
from predict_age.models.bundle import Bundle, Predictions, confidence_pct
from predict_age.predictor.profile_judgement import delivered_bundle, judged_profiles
from predict_age.records.model_quality import Delivery
from predict_age.records.receipts import BatchContents, Receipt
from predict_age.records.step_facts import WITHHELD_BY_PROFILE
from predict_age.runs.incremental import PREDICTION_ENTRY, Reusable
from predict_age.runs.partitioned_output import write_partition_receipt
from predict_age.runs.withheld_people import age_keys_of_profiles, minors_by_records
from predict_age.source.duplicate_rows import counting_rows
from predict_age.source.flat_records import records_in
from predict_age.source.profile_hash import profile_keys
from predict_age.source.row_classifier import classify_rows
from predict_age.source.row_group_reader import CACHE_CHUNK_BYTES, SLICE_BYTES, SLICE_ROWS, Split, read_split
from predict_age.source.row_rules import RowRules, connect
from predict_age.storage.durable_files import creating
from predict_age.storage.parquet_writer import RowGroupWriter
from predict_age.tally import AGE_BINS, PCT_BINS, Tally

GROUP_ROWS = 30_000


@dataclass(frozen=True)
class BatchContext:
    """Inputs that all batches of a run share. ``delivery``: how answers of ``model`` differ in this run."""

    source: SourceConfig
    rules: RowRules
    duplicate_rows: Path
    model: Path
    model_sha256: str
    timestamp: dt.datetime
    schema: pa.Schema
    reusable: Reusable | None
    drift_seed: int
    drift_share: float
    arms: Arms
    delivery: Delivery


@dataclass(frozen=True)
class Arms:
    """The experiment of a run: its ``name``, the ``shares`` of people that each challenger predicts, and their models.

    ``deliveries``: how answers of each model differ in this run.
    """

    name: str
    shares: tuple[float, ...]
    models: tuple[tuple[Path, str], ...]
    deliveries: tuple[Delivery, ...]


def predict_batch(path: Path, key: str, splits: list[Split], context: BatchContext) -> Receipt[BatchContents]:
    """Predict the rows of ``splits`` that need it and write ``path`` with its receipt.

    Smart filter first, then inline parsing of only those profiles, then the models. A person whose profile is unchanged
    since the base run keeps that run's prediction, which is what the models would say again. A row whose profile cannot be used,
    or shows none of the features, gets no prediction: it is counted by reason and becomes a DEFAULT row later. Somebody who is
    withheld, by an age in the profile or by the model, gets a row without any number, and is in no count but that of such rows,
    nor in the drift sample.
    """
    bundle, version = load_model(context.model, context.model_sha256)
    bundle = delivered_bundle(bundle, context.delivery, context.rules.ages)
    names = pa.array([version, *(load_model(*model)[1] for model in context.arms.models)], pa.string())
    tally, drift_sample = Tally(), SketchBuilder(bundle.encoders)
    rows = 0
    with creating(path) as stream, RowGroupWriter(stream, context.schema, GROUP_ROWS) as writer:
        for people, found in _read(splits, context, bundle.features.text):
            columns, kept, judged = found.columns, people.kept, judged_profiles(bundle, found)
            whole, in_sample = (columns, judged.matrix), judged.usable & people.in_drift_sample & ~people.minors
            minors = people.minors[people.recomputed]
            if kept.any():
                columns, judged = columns.filter(pa.array(people.recomputed)), judged.only(people.recomputed)
            reasons, answered = Counter(judged.only(~minors).reasons()), judged.usable | minors
            good = kept.copy()
            good[~kept] = answered
            arm = assign_arms(people.pids[good], context.arms.name, context.arms.shares)
            columns, matrix = _marked(columns, judged.matrix, answered)
            fresh = _predicted(bundle, columns, matrix, context, arm[~kept[good]], minors[answered])
            predictions = _merged(kept, people.entries, answered, fresh)
            n, withheld = int(good.sum()), predictions.withheld
            table = {
                "pid": pa.array(people.pids[good]),
                "predicted_age": pa.array(predictions.age, mask=withheld),
                "confidence_score": pa.array(predictions.width, mask=withheld),
                "age_lower": pa.array(predictions.lower, mask=withheld),
                "age_upper": pa.array(predictions.upper, mask=withheld),
                "model_version": names.take(pa.array(arm, mask=withheld)),
                "profile_key": pa.array(people.keys[good]),
                "prediction_timestamp": pa.repeat(pa.scalar(context.timestamp, pa.timestamp("us")), n),
            }
            writer.write(pa.table([table[name] for name in context.schema.names], schema=context.schema))
            rows += n
            in_sample[np.flatnonzero(people.recomputed)[answered]] &= ~fresh.withheld
            drift_sample.add(*_marked(*whole, in_sample))
            columns, matrix, predictions = *_marked(columns, matrix, ~fresh.withheld), predictions.only(~withheld)
            pct = np.minimum((confidence_pct(predictions.width) / (100 / PCT_BINS)).astype(int), PCT_BINS - 1)
            counts = {"predicted": len(predictions.age), "reused": int(kept.sum()), "withheld": int(withheld.sum())}
            counts |= {WITHHELD_BY_PROFILE: int(minors.sum())}
            counts |= {f"default:{reason}": k for reason, k in reasons.items()}
            missing = np.isnan(matrix[:, : len(bundle.features)]).sum(axis=0).tolist()
            counts |= {f"missing:{f}": k for f, k in zip(bundle.features.names, missing, strict=True)}
            counts |= {f"unseen:{f}": k for f, k in bundle.encoders.unseen_counts(columns).items()}
            tally += Tally(
                counts,
                {
                    "predicted_age": np.bincount(predictions.age, minlength=AGE_BINS).tolist(),
                    "confidence_pct": np.bincount(pct, minlength=PCT_BINS).tolist(),
                },
            )
    contents = BatchContents(rows, version, tally, drift_sample.sketch().in_order())
    return write_partition_receipt(path, key, stream, contents)


@dataclass(frozen=True)
class _Profiles:
    """People to predict (n): ``pids``, ``keys`` of their profiles, who has ``kept`` an earlier prediction, those ``entries``.

    For those whose profile is read: whose prediction is ``recomputed``, who is ``in_drift_sample``, who are ``minors`` by an age
    at the top of the profile.
    """

    pids: NDArray[np.int64]
    keys: NDArray[np.int64]
    kept: NDArray[np.bool_]
    entries: np.ndarray
    recomputed: NDArray[np.bool_]
    in_drift_sample: NDArray[np.bool_]
    minors: NDArray[np.bool_]


def _read(splits: list[Split], context: BatchContext, text: str) -> Iterator[tuple[_Profiles, ExtractedFeatures]]:
    """The people of ``splits`` to be predicted, thousands together, and the features that ``text`` describes.

    Profiles are read in cache-sized chunks, which is a third faster. Which people are predicted together changes no prediction.
    """
    several = _people(splits, context)
    kernels = use_kernels(sum(int(people.needed.sum()) for people in several))
    connection, age_keys = connect(), age_keys_of_profiles(context.source, context.rules)
    search_all = bool(age_keys and context.reusable and context.reusable.other_date)  # of everybody, also who keeps a prediction
    reading, found, size, held = None, list[_Profiles](), 0, 0  # across splits: those of small files have few rows
    for split, people in zip(splits, several, strict=True):
        if not people.needed.any():
            continue
        for piece in read_split(split, context.source, with_profile=True, with_ids=False, most_bytes=CACHE_CHUNK_BYTES):
            here = slice(piece.first, piece.first + piece.raw.num_rows)
            texts, rows = piece.raw["profile"], people.needed[here]
            pids = people.pids[here][rows]
            if not len(pids):
                continue
            keys = profile_keys(texts, rows)
            kept, entries = _kept(context.reusable, pids, keys)
            in_drift_sample = sampling_hash(pids, context.drift_seed) < context.drift_share
            read = ~kept | in_drift_sample | search_all
            rows[np.flatnonzero(rows)[~read]] = False
            if reading is None:
                reading = FeatureReader(connection, text, context.rules.as_of, kernels=kernels, keys=age_keys)
            may_tell_age = reading.add(texts, rows)
            candidates = np.flatnonzero(rows)[may_tell_age].tolist() if age_keys else []
            records = records_in(texts, context.source, candidates)
            minors = minors_by_records(records, len(texts), context.source, context.rules)[rows]
            kept[np.flatnonzero(read)[minors]] = False
            found.append(_Profiles(pids, keys, kept, entries, ~kept[read], in_drift_sample[read], minors))
            size, held = size + texts.nbytes, held + piece.raw.num_rows
            if size + CACHE_CHUNK_BYTES > SLICE_BYTES or held + piece.raw.num_rows > SLICE_ROWS:
                yield _together(found), reading.finish()
                reading, found, size, held = None, [], 0, 0
    if reading is not None:
        yield _together(found), reading.finish()


def _together(several: list[_Profiles]) -> _Profiles:
    return _Profiles(*(np.concatenate([getattr(some, field.name) for some in several]) for field in fields(_Profiles)))


@dataclass(frozen=True)
class _People:
    """The rows of a split: ``pids`` (rows,), 0 where there is none, and whose age is to be predicted."""

    pids: NDArray[np.int64]
    needed: NDArray[np.bool_]


def _people(splits: list[Split], context: BatchContext) -> list[_People]:
    """The smart filter."""
    made = [_People(np.empty(split.rows, np.int64), np.empty(split.rows, np.bool_)) for split in splits]
    by_split = {split.id: people for split, people in zip(splits, made, strict=True)}
    for split, piece, found in classify_rows(splits, context.source, context.rules, ("pid", "needs_prediction")):
        here = slice(piece.first, piece.first + len(found))
        by_split[split.id].pids[here] = found["pid"].fill_null(0).to_numpy()
        by_split[split.id].needed[here] = found["needs_prediction"].to_numpy()
    for split, people in zip(splits, made, strict=True):
        counting = counting_rows(split, context.duplicate_rows)
        if counting is not None:
            people.needed[~counting] = False
    return made


def _marked(columns: pa.Table, matrix: Matrix, rows: NDArray[np.bool_]) -> tuple[pa.Table, Matrix]:
    """The marked rows (n,) of feature ``columns`` (n rows) and of their ``matrix``: mostly all of them."""
    return (columns, matrix) if rows.all() else (columns.filter(pa.array(rows)), matrix[rows])


def _kept(reusable: Reusable | None, pids: NDArray[np.int64], keys: NDArray[np.int64]) -> tuple[NDArray[np.bool_], np.ndarray]:
    """Which of n people keep an earlier prediction, and the entries (n,) that hold it."""
    if reusable is None:
        return np.zeros(len(keys), np.bool_), np.empty(0, PREDICTION_ENTRY)
    return reusable.find(pids, keys)


def _predicted(
    bundle: Bundle,
    columns: pa.Table,
    matrix: Matrix,
    context: BatchContext,
    arm: NDArray[np.int64],
    minors: NDArray[np.bool_],
) -> Predictions:
    """Predictions from feature ``columns`` (n rows), by the champion from their ``matrix`` or, by ``arm`` (n,), by a challenger.

    The ``minors`` (n,) are withheld, and no model is asked about them.
    """
    if minors.any():
        asked = ~minors
        made = _predicted(bundle, *_marked(columns, matrix, asked), context, arm[asked], minors[asked])
        return made.among_withheld(asked)
    predictions = bundle.predict(matrix)
    for number, (model, delivery) in enumerate(zip(context.arms.models, context.arms.deliveries, strict=True), start=1):
        mine = arm == number
        if mine.any():
            other = delivered_bundle(load_model(*model)[0], delivery, context.rules.ages)
            made = other.predict(other.encoders.encode(columns.filter(pa.array(mine))))
            for field in fields(Predictions):
                getattr(predictions, field.name)[mine] = getattr(made, field.name)
    return predictions


def _merged(kept: NDArray[np.bool_], entries: np.ndarray, usable: NDArray[np.bool_], fresh: Predictions) -> Predictions:
    """Earlier and fresh predictions in the order of the rows; rows without either are left out."""
    if not kept.any():
        return fresh
    from_base = np.flatnonzero(kept)
    recomputed = np.flatnonzero(~kept)[usable]
    order = np.argsort(np.concatenate([from_base, recomputed]), kind="stable")
    old = entries[from_base]
    return Predictions(
        np.concatenate([old["age"], fresh.age])[order],
        np.concatenate([old["lower"], fresh.lower])[order],
        np.concatenate([old["upper"], fresh.upper])[order],
        np.concatenate([np.zeros(len(old), np.bool_), fresh.withheld])[order],
    )
