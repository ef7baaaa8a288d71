"""Incremental runs: people whose profile is unchanged keep their prediction from a finished run, the base run.

A prediction depends on the model, the profile, the features and, where a feature is a date, on ``as_of``. When all of these and
the code are equal, a new prediction would be equal to the last bit, so it is not computed again. Predictions of the base run are
sorted by pid in buckets, as memory-mapped arrays that all workers share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.features.spec import FeatureSet, parse_features
from predict_age.records.model_quality import Delivery
from predict_age.records.step_facts import ReadSourceFacts, TrainingFacts
from predict_age.runs.run import RunPlan
from predict_age.runtime.worker_pool import Pool
from predict_age.source.external_partition import bucket_of, buckets_for, scatter, together
from predict_age.source.row_rules import IdType, id_type_named
from predict_age.source.suppression import hidden_people
from predict_age.storage.durable_files import make_folder
from predict_age.storage.manifest import VerifiedRun
from predict_age.storage.suppression_list import SuppressionList

PREDICTION_ENTRY = np.dtype([("pid", np.int64), ("key", np.int64), ("age", np.int32), ("lower", np.float64), ("upper", np.float64)])


WITHHOLDING_KEYS = {"min", "max", "min_age", "withhold_probability", "zero"}
NAMES_OF_AGES = {"approximate_age", "birth_year", "birth_date"}  # of columns, and of keys at the top of profiles


def depends_on_date(features: FeatureSet) -> bool:
    """Whether features change with ``as_of`` while the profile stays."""
    return any(f.kind == "date" or (f.kind == "sql" and "as_of" in f.expression) for f in features.features.values())


def obstacle(plan: RunPlan, base: VerifiedRun) -> str:
    """Reason why no prediction of the base run can be reused; empty when they can."""
    if plan.challengers or base.folder.record.get("challengers"):
        return "several models share the people"
    if base.manifest.code != plan.code:
        return "the base run was made by other code"
    as_of = plan.as_of.isoformat()
    if base.manifest.as_of != as_of and depends_on_date(parse_features(plan.features_text, plan.features_name, refuse=False)):
        return f"features count from dates, and as_of moved from {base.manifest.as_of} to {as_of}: every profile is new"
    ages, before = plan.config.ages.model_dump(include=WITHHOLDING_KEYS), base.folder.record["config"]["ages"]
    if any(before.get(key) != value for key, value in ages.items()):
        return "the base run withheld other people (ages.min_age, ages.withhold_probability, ages.zero) or had another age window"
    names, before = plan.config.source.model_dump(include=NAMES_OF_AGES), base.folder.record["config"]["source"]
    if plan.config.ages.min_age and any(before.get(key) != name for key, name in names.items()):
        return "the base run looked for ages in profiles under other names (source.approximate_age, birth_year, birth_date)"
    if not base.named("predictions/batch_"):
        return "the base run did not keep its predictions (running.keep_predictions)"
    return ""


@dataclass(frozen=True)
class Reusable:
    """Predictions of the base run by pid. A lookup reads only the pages it needs.

    ``other_date``: that run counted dates at another ``as_of``, at which a date of birth in a profile may have been no minor's.
    """

    folder: Path
    buckets: int
    other_date: bool = False

    def find(self, pids: NDArray[np.int64], keys: NDArray[np.int64]) -> tuple[NDArray[np.bool_], np.ndarray]:
        """Mask (n,) of the people with a prediction for this very profile, and their entries (n,), undefined outside the mask."""
        entries = np.zeros(len(pids), PREDICTION_ENTRY)
        reusable = np.zeros(len(pids), np.bool_)
        bucket = bucket_of(pids, self.buckets)
        for number in np.unique(bucket):
            known, table = _bucket(self.folder, int(number))
            here = np.flatnonzero(bucket == number)
            if not len(table):
                continue
            at = np.minimum(np.searchsorted(known, pids[here]), len(table) - 1)
            entries[here] = table[at]
            reusable[here] = (entries["pid"][here] == pids[here]) & (entries["key"][here] == keys[here])
        return reusable, entries


def build(pool: Pool, base: VerifiedRun, folder: Path, as_of: str, suppression: SuppressionList | None = None) -> Reusable:
    """Sort the base run's predictions into ``folder``, without suppressed people. Each file is first compared with its hash."""
    paths = base.checked("predictions/batch_")
    ids = id_type_named(base.folder.facts(ReadSourceFacts).pid_type)
    rows = sum(pq.read_metadata(p).num_rows for p in paths)
    buckets = buckets_for(rows, pool.workers)
    make_folder(folder)
    pool.run(
        _scatter,
        [(n, Path(p), buckets, folder, suppression, ids) for n, p in enumerate(paths)],
        names="reading earlier predictions",
    )
    pool.run(_gather, [(b, len(paths), folder) for b in range(buckets)], names="sorting earlier predictions")
    return Reusable(folder, buckets, other_date=base.manifest.as_of != as_of)


def _scatter(number: int, path: Path, buckets: int, folder: Path, suppression: SuppressionList | None, ids: IdType) -> None:
    table = pq.read_table(path, columns=["pid", "profile_key", "predicted_age", "age_lower", "age_upper"])
    hidden, _ = hidden_people(table["pid"].to_numpy(), suppression, ids)
    predicted = table["predicted_age"].is_valid().to_numpy()  # who was withheld is judged again: profiles may hold dates of birth
    table = table.filter(pa.array(~hidden & predicted))
    entries = np.empty(table.num_rows, PREDICTION_ENTRY)
    for name, column in zip(PREDICTION_ENTRY.names or (), table.columns, strict=True):
        entries[name] = column.to_numpy()
    scatter(folder, number, entries, buckets)


def _gather(bucket: int, files: int, folder: Path) -> None:
    entries = together(folder, range(files), bucket, PREDICTION_ENTRY)
    in_order = entries[np.argsort(entries["pid"], kind="stable")]
    np.save(folder / f"bucket-{bucket}.npy", in_order)
    np.save(folder / f"pids-{bucket}.npy", in_order["pid"])  # stored twice: NumPy would copy the field before each search


@lru_cache(maxsize=64)
def _bucket(folder: Path, number: int) -> tuple[NDArray[np.int64], np.ndarray]:
    """Pids of a bucket in ascending order, and their entries."""
    pids, entries = (np.load(folder / f"{name}-{number}.npy", mmap_mode="r") for name in ("pids", "bucket"))
    return pids, entries


def earlier_predictions(
    plan: RunPlan,
    base: VerifiedRun | None,
    pool: Pool,
    folder: Path,
    delivery: Delivery,
    suppression: SuppressionList | None,
) -> tuple[Reusable | None, str]:
    """Predictions of the plan's ``base`` run that can be reused, sorted into ``folder``, or None and the reason.

    ``delivery``: differences between the model and its answers in this run, which the base run may not have had.
    """
    if base is None:
        return None, "no base run"
    reason = obstacle(plan, base)
    before = base.folder.facts(TrainingFacts).delivery
    if not reason and before.correction != delivery.correction:
        reason = "the intervals of one of both runs were calibrated again"
    if not reason and _rate(before) != _rate(delivery):
        reason = "minors are not as frequent as in the base run, so other people are withheld"
    return (None, reason) if reason else (build(pool, base, folder, plan.as_of.isoformat(), suppression), "")


def _rate(delivery: Delivery) -> float:
    return delivery.minors.rate if delivery.minors else 1.0
