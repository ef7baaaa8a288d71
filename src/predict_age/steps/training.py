"""Step 3: sample people whose age is known, extract their features, train and judge the models, save the artefact."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.config import Config
from predict_age.errors import InputError
from predict_age.features.extract import compiled, extract
from predict_age.files import creating, make_folder, sha256
from predict_age.models.artefact import FILES, copy, save
from predict_age.models.bundle import train
from predict_age.run import Run, StepResult
from predict_age.source.rows import RowRules, connect
from predict_age.source.scan import counting_rows, uniform
from predict_age.source.splits import Split, read_split
from predict_age.steps.read_source import grouped, losers_of, rules_of, splits_of


def luck(pids: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each pid, fixed by the seed: sampling by it does not depend on order or files."""
    salted = pids.astype(np.uint64) ^ np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    return uniform(salted.astype(np.int64))


def sample(
    number: int, splits: list[Split], config: Config, rules: RowRules, losers: Path, features: str, share: float, folder: Path
) -> tuple[int, str]:
    """Write the features of the sampled labelled rows of ``splits`` to ``folder/<number>.parquet``.

    Returns their number, and the path or nothing when there are none.

    Columns: the features, ``age`` and ``luck``. Only rows with ``luck < share`` have their profile parsed.
    """
    connection = connect()
    tables = []
    for split in splits:
        wanted = counting_rows(split, losers)
        for piece in read_split(split, config.source, with_profile=True, only=wanted):
            judged = rules.canonical(connection, piece.raw)
            labelled = pc.and_(judged["known_age"].is_valid(), judged["pid"].is_valid())
            chosen = labelled.to_numpy().copy()
            chosen[chosen] = luck(judged["pid"].filter(labelled).to_numpy(), config.training.seed) < share
            if not chosen.any():
                continue
            made = extract(connection, piece.raw["profile"].filter(chosen), features, rules.as_of)
            table = made.columns.append_column("age", judged["known_age"].filter(chosen))
            table = table.append_column("luck", pa.array(luck(judged["pid"].filter(chosen).to_numpy(), config.training.seed)))
            tables.append(table.filter(made.problem.is_null()))
    if not tables:
        return 0, ""
    path = folder / f"{number}.parquet"
    with creating(path) as stream:
        pq.write_table(pa.concat_tables(tables), stream, compression="zstd")
    return sum(t.num_rows for t in tables), str(path)


def training(run: Run) -> StepResult:
    """Train on up to ``sample_rows`` labelled people. Raises InputError when too few have a known age."""
    plan, settings = run.plan, run.plan.config.training
    if plan.base:
        return _from_base(run)
    folder = run.folder.path / f"training-{run.lease.token}"  # of this attempt alone
    make_folder(folder)
    labelled = run.facts("read_source")["known"]
    share = min(1.0, settings.sample_rows / max(labelled, 1))
    groups = grouped(splits_of(run.folder))
    tasks = [
        (i, group, plan.config, rules_of(plan), losers_of(run.folder), plan.features_text, share, folder)
        for i, group in enumerate(groups)
    ]
    rows = 0

    def advance(_: int, made: tuple[int, str]) -> None:
        nonlocal rows
        rows += made[0]
        run.progress.update(rows, round(labelled * share), "labelled people sampled")

    sampled = run.pool.run(sample, tasks, advance, "sampling")
    columns, age, lucky = _load([path for _, path in sampled if path], settings.sample_rows)
    if len(age) < settings.min_rows:
        raise InputError(
            "too few people with a known age to train on", expected=f"at least {settings.min_rows} with a usable profile",
            found=f"{len(age)} of {labelled} with a known age",
            fix="add rows with birth_year or approximate_age, or lower training.min_rows (20 at least)",
        )  # fmt: skip
    run.progress.note(f"training on {len(age):,} people, {columns.num_columns} features")
    features, _ = compiled(plan.features_text, plan.as_of)
    bundle, metrics = train(features, columns, age, lucky, plan.config, plan.workers)
    version = save(bundle, run.folder.model, {"trained_at": plan.timestamp, "as_of": plan.as_of.isoformat(), "metrics": metrics})
    shutil.rmtree(folder, ignore_errors=True)
    facts = {"model_version": version, "sampled": len(age), "labelled": labelled, "metrics": metrics}
    return StepResult(len(age), facts, _outputs(run))


def _from_base(run: Run) -> StepResult:
    """Take over the model of the base run, unchanged, with what was found out about it there."""
    base = run.workspace.run(run.plan.base)
    copy(base.model, run.folder.model, run.plan.base_model)
    facts = base.step("training")["facts"]
    run.progress.note(f"model {facts['model_version']} of run {base.id} is used; nothing is trained")
    return StepResult(0, {**facts, "base": base.id}, _outputs(run))


def _outputs(run: Run) -> dict[str, str]:
    return {f"model/{name}": sha256(run.folder.model / name) for name in (*FILES, "manifest.json")}


def _load(files: list[str], most: int) -> tuple[pa.Table, NDArray[np.float32], NDArray[np.float64]]:
    """Features, ages and luck of the sample, in the order of luck: the same whatever the files were."""
    if not files:
        return pa.table({}), np.empty(0, np.float32), np.empty(0)
    table = pa.concat_tables([pq.read_table(f) for f in files])
    table = table.take(pa.array(np.argsort(table["luck"].to_numpy(), kind="stable")[:most]))
    return table.drop_columns(["age", "luck"]), table["age"].to_numpy().astype(np.float32), table["luck"].to_numpy()
