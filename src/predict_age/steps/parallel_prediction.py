"""Step 6: predict everybody whose age is unknown, batch by batch, in parallel; finished batches are kept."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.config import SourceConfig
from predict_age.errors import IntegrityError
from predict_age.evaluation.ab_test.assign import assign_arms
from predict_age.evaluation.drift.sketch import Sketch, SketchBuilder
from predict_age.evaluation.drift.state import compare_states, drift_state
from predict_age.features.encode import Matrix
from predict_age.features.extract import ExtractedFeatures, FeatureReader
from predict_age.hashing import sampling_hash
from predict_age.kernels import use_kernels
from predict_age.models.artifact import challenger_folder, load_model
from predict_age.models.bundle import Bundle, Predictions, confidence_pct
from predict_age.records.step_facts import ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.run.incremental import PREDICTION_ENTRY, Reusable, earlier_predictions
from predict_age.run.partitioned_output import Partition, Receipt, build_missing, outputs_of, valid_partitions
from predict_age.run.run import Run
from predict_age.run.step_outputs import batches_of, duplicate_rows_file, rows_key, rules_of, splits_of
from predict_age.source.profile_hash import profile_keys
from predict_age.source.row_classifier import classify_rows
from predict_age.source.row_group_reader import CACHE_CHUNK_BYTES, SLICE_BYTES, SLICE_ROWS, Split, read_split
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.scan import counting_rows
from predict_age.step import StepResult
from predict_age.storage.durable_files import creating, key_of, write_receipt
from predict_age.storage.parquet_writer import RowGroupWriter
from predict_age.tally import AGE_BINS, PCT_BINS, Tally, sum_tallies

GROUP_ROWS = 30_000


@dataclass(frozen=True)
class BatchContext:
    """What every batch of a run shares."""

    source: SourceConfig
    rules: RowRules
    losers: Path
    model: Path
    model_sha256: str
    timestamp: dt.datetime
    schema: pa.Schema
    reusable: Reusable | None
    drift_seed: int
    drift_share: float
    arms: Arms


@dataclass(frozen=True)
class Arms:
    """The experiment of a run: its ``name``, the ``shares`` of people that each challenger predicts, and their models."""

    name: str
    shares: tuple[float, ...]
    models: tuple[tuple[Path, str], ...]


def predict_batch(path: Path, key: str, splits: list[Split], context: BatchContext) -> dict[str, Any]:
    """Predict the rows of ``splits`` that need it and write ``path`` with its receipt.

    Smart filter first, then inline parsing of only those profiles, then the models. A person whose profile is unchanged
    since the base run keeps that run's prediction, which is what the models would say again. A row whose profile cannot be used,
    or shows none of the features, gets no prediction: it is counted by reason and becomes a DEFAULT row later.
    """
    bundle, version = load_model(context.model, context.model_sha256)
    names = pa.array([version, *(load_model(*model)[1] for model in context.arms.models)], pa.string())
    tally, looked = Tally(), SketchBuilder(bundle.encoders)
    rows = 0
    with creating(path) as stream, RowGroupWriter(stream, context.schema, GROUP_ROWS) as writer:
        for people, found in _read(splits, context, bundle.features.text):
            made, kept = found, people.kept
            matrix = bundle.encoders.encode(made.columns)
            usable = made.problem.is_null().to_numpy() & ~np.isnan(matrix).all(axis=1)
            looked.add(*_marked(made.columns, matrix, usable & people.looked_at))
            if kept.any():
                anew = people.anew
                made, matrix, usable = made.filter(pa.array(anew)), matrix[anew], usable[anew]
            reasons = Counter(r or "profile_without_features" for r in made.problem.filter(~usable).to_pylist())
            good = kept.copy()
            good[~kept] = usable
            arm = assign_arms(people.pids[good], context.arms.name, context.arms.shares)
            columns, matrix = _marked(made.columns, matrix, usable)
            fresh = _predicted(bundle, columns, matrix, context.arms, arm)
            predictions = _merged(kept, people.entries, usable, fresh)
            n = int(good.sum())
            table = {
                "pid": pa.array(people.pids[good]),
                "predicted_age": pa.array(predictions.age),
                "confidence_score": pa.array(predictions.width),
                "age_lower": pa.array(predictions.lower),
                "age_upper": pa.array(predictions.upper),
                "model_version": names.take(pa.array(arm)),
                "profile_key": pa.array(people.keys[good]),
                "prediction_timestamp": pa.repeat(pa.scalar(context.timestamp, pa.timestamp("us")), n),
            }
            writer.write(pa.table([table[name] for name in context.schema.names], schema=context.schema))
            rows += n
            pct = np.minimum((confidence_pct(predictions.width) / (100 / PCT_BINS)).astype(int), PCT_BINS - 1)
            counts = {"predicted": n, "reused": int(kept.sum())} | {f"default:{reason}": k for reason, k in reasons.items()}
            missing = np.isnan(matrix).sum(axis=0).tolist()
            counts |= {f"missing:{f}": k for f, k in zip(bundle.features.names, missing, strict=True)}
            counts |= {f"unseen:{f}": k for f, k in bundle.encoders.unseen_counts(made.columns).items()}
            tally += Tally(
                counts,
                {
                    "predicted_age": np.bincount(predictions.age, minlength=AGE_BINS).tolist(),
                    "confidence_pct": np.bincount(pct, minlength=PCT_BINS).tolist(),
                },
            )
    return write_receipt(
        path,
        key,
        stream,
        {
            "rows": rows,
            "model_version": version,
            "tally": tally.as_json(),
            "sketch": looked.sketch().in_order(),
        },
    )


@dataclass(frozen=True)
class _Profiles:
    """Of n people to be predicted: ``pids``, ``keys`` of their profiles, who has ``kept`` an earlier prediction, those ``entries``.

    Of those whose profile is read: who is predicted ``anew``, and who is ``looked_at`` to see whether the data have changed.
    """

    pids: NDArray[np.int64]
    keys: NDArray[np.int64]
    kept: NDArray[np.bool_]
    entries: np.ndarray
    anew: NDArray[np.bool_]
    looked_at: NDArray[np.bool_]


def _read(splits: list[Split], context: BatchContext, text: str) -> Iterator[tuple[_Profiles, ExtractedFeatures]]:
    """The people of ``splits`` to be predicted, thousands together, and the features that ``text`` describes.

    Profiles are looked through a bite at a time: reading them is a third faster where they stay in the processor's cache. Who is
    together depends on the split alone, because the last bit of a prediction does on who is predicted beside.
    """
    several = _people(splits, context)
    kernels = use_kernels(sum(int(people.needed.sum()) for people in several))
    connection = connect()
    for split, people in zip(splits, several, strict=True):
        reading, found, size, first = None, list[_Profiles](), 0, 0
        for piece in read_split(split, context.source, with_profile=True, with_ids=False, most_bytes=CACHE_CHUNK_BYTES):
            here = slice(piece.first, piece.first + piece.raw.num_rows)
            texts, rows = piece.raw["profile"], people.needed[here]
            pids = people.pids[here][rows]
            if not len(pids):
                continue
            keys = profile_keys(texts, rows)
            kept, entries = _kept(context.reusable, pids, keys)
            looked_at = sampling_hash(pids, context.drift_seed) < context.drift_share
            read = ~kept | looked_at
            rows[np.flatnonzero(rows)[~read]] = False
            if reading is None:
                reading = FeatureReader(connection, text, context.rules.as_of, kernels=kernels)
            reading.add(texts, rows)
            found.append(_Profiles(pids, keys, kept, entries, ~kept[read], looked_at[read]))
            size += texts.nbytes
            end = here.stop
            if size + CACHE_CHUNK_BYTES > SLICE_BYTES or end - first + piece.raw.num_rows > SLICE_ROWS:
                yield _together(found), reading.finish()
                reading, found, size, first = None, [], 0, end
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
        counting = counting_rows(split, context.losers)
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


def _predicted(bundle: Bundle, columns: pa.Table, matrix: Matrix, arms: Arms, arm: NDArray[np.int64]) -> Predictions:
    """Of n people with features ``columns``, by the champion's ``matrix`` of them or, by ``arm`` (n,), by a challenger."""
    predictions = bundle.predict(matrix)
    for number, model in enumerate(arms.models, start=1):
        mine = arm == number
        if mine.any():
            other = load_model(*model)[0]
            made = other.predict(other.encoders.encode(columns.filter(pa.array(mine))))
            for old, new in ((predictions.age, made.age), (predictions.lower, made.lower), (predictions.upper, made.upper)):
                old[mine] = new
    return predictions


def _merged(kept: NDArray[np.bool_], entries: np.ndarray, usable: NDArray[np.bool_], fresh: Predictions) -> Predictions:
    """Earlier and fresh predictions in the order of the rows; rows without either are left out."""
    if not kept.any():
        return fresh
    from_base = np.flatnonzero(kept)
    anew = np.flatnonzero(~kept)[usable]
    order = np.argsort(np.concatenate([from_base, anew]), kind="stable")
    old = entries[from_base]
    return Predictions(
        np.concatenate([old["age"], fresh.age])[order],
        np.concatenate([old["lower"], fresh.lower])[order],
        np.concatenate([old["upper"], fresh.upper])[order],
    )


def parallel_prediction(run: Run) -> StepResult:
    """Make every batch that is not done. Afterwards every batch exists and is whole, or the run has failed."""
    scratch = run.folder.path / f"reuse-{run.lease.token}"
    reusable, reason = earlier_predictions(run, scratch)
    if run.plan.base and reason:
        run.progress.note(f"nothing of run {run.plan.base} is taken over: {reason}")
    parts = prediction_parts(run, reusable)
    finished = valid_partitions(parts)
    if finished:
        run.progress.note(f"{len(finished)} of {len(parts)} batches are already done and kept")
    total = run.facts(ReadSourceFacts).to_predict
    receipts = build_missing(run, predict_batch, parts, finished, _seen, total, "rows")
    shutil.rmtree(scratch, ignore_errors=True)
    made = summary(run, parts, receipts, len(finished), reason if run.plan.base else "")
    if reusable is not None:
        kept = sum(Tally.from_json(r["tally"]).count("reused") for r in receipts)
        run.progress.note(f"{kept:,} of {total:,} people have an unchanged profile and keep the prediction of {run.plan.base}")
    return made


def prediction_parts(run: Run, reusable: Reusable | None = None) -> list[Partition]:
    """Every batch of the run: its file, its key, and what :func:`predict_batch` needs."""
    splits, batches = splits_of(run.folder), batches_of(run)
    model = run.outputs("training")["model/manifest.json"]
    context = BatchContext(
        run.plan.config.source,
        rules_of(run.plan),
        duplicate_rows_file(run.folder),
        run.folder.model,
        model,
        dt.datetime.fromisoformat(run.plan.timestamp).replace(tzinfo=None),
        pq.read_schema(run.folder.path / "predictions" / "schema.parquet"),
        reusable,
        run.plan.config.training.seed + 1,
        run.plan.config.drift.rows / max(run.facts(ReadSourceFacts).to_predict, 1),
        _arms(run),
    )
    rows = rows_key(run)
    others = [seal for _, seal in context.arms.models]
    return [
        Partition(run.folder.batch(n), key_of("batch", rows, model, others, batch), ([splits[s] for s in batch], context))
        for n, batch in enumerate(batches)
    ]


def summary(run: Run, parts: list[Partition], receipts: list[Receipt], kept: int, not_reused: str) -> StepResult:
    """What all batches say together. Raises IntegrityError unless they hold every row that needs a prediction."""
    total = run.facts(ReadSourceFacts).to_predict
    tallies = [Tally.from_json(r["tally"]) for r in receipts]
    tally = sum_tallies(tallies)
    done = sum(_seen(r) for r in receipts)
    if done != total:
        raise IntegrityError(
            "predictions are missing",
            expected=f"{total:,} rows in {len(parts)} batches",
            found=f"{done:,} rows in {len(receipts)} batches",
            fix="run `predict-age resume`",
        )
    now = drift_state(
        run.folder.id,
        run.plan.as_of.isoformat(),
        run.facts(TrainingFacts).model_version,
        [Sketch.from_json(r["sketch"]) for r in receipts],
        [t.histograms.get("predicted_age", [0]) for t in tallies],
        run.facts(ReadSourceFacts).known_ages,
    )
    drift = compare_states(run.facts(TrainingFacts).reference, now, run.plan.config.drift)
    facts = ParallelPredictionFacts(
        batches=len(parts),
        kept=kept,
        predicted=tally.count("predicted"),
        reused=tally.count("reused"),
        not_reused_because=not_reused,
        default=tally.group("default"),
        tally=tally,
        state=now,
        drift=drift,
    )
    return StepResult(total, facts, outputs_of(run, parts, receipts))


def _arms(run: Run) -> Arms:
    settings = run.plan.config.prediction
    outputs = run.outputs("training")
    folders = [challenger_folder(run.folder.path, n) for n in range(len(run.plan.challengers))]
    models = tuple((f, outputs[f"{f.name}/manifest.json"]) for f in folders)
    return Arms(settings.experiment, tuple(settings.challengers.values()), models)


def _seen(receipt: dict[str, Any]) -> int:
    tally = Tally.from_json(receipt["tally"])
    return tally.count("predicted") + sum(tally.group("default").values())
