"""Known minors, on demand: by an id that a run withheld, and by an age that is given with a profile or inside it.

Every entrance decides by these functions: the server, on AWS too, and models in Python.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.source.flat_records import NumberedRecords, ages_of_records, ids_of_records, record_keys
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.suppression import pids_as_written
from predict_age.source_config import SourceConfig
from predict_age.storage.durable_files import check_hash
from predict_age.storage.manifest import VerifiedRun
from predict_age.storage.row_accounting import WITHHELD_MINOR


def withheld_pids(run: VerifiedRun) -> NDArray[np.int64]:
    """Ascending pids (n,) of the people whom ``run`` withheld. Raises IntegrityError for a damaged part of the result."""
    if not run.manifest.books.withheld:
        return np.empty(0, np.int64)
    found = [np.empty(0, np.int64)]
    for name in run.named("results/"):
        path = run.folder.path / name
        check_hash(path, run.files[name])
        with pq.ParquetFile(path) as part:
            for batch in part.iter_batches(1 << 20, columns=["pid", "prediction_source"]):
                chosen = pc.fill_null(pc.equal(batch["prediction_source"].cast(pa.string()), WITHHELD_MINOR), False)
                found.append(batch["pid"].filter(chosen).to_numpy())
    return np.sort(np.concatenate(found))


def are_withheld(pids: NDArray[np.int64], withheld: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ``pids`` (n,) are among the ascending pids ``withheld``."""
    if not len(withheld):
        return np.zeros(len(pids), np.bool_)
    near = np.minimum(np.searchsorted(withheld, pids), len(withheld) - 1)
    return np.asarray(withheld[near] == pids, np.bool_)


def minors_by_age(ages: pa.Table, rules: RowRules) -> NDArray[np.bool_]:
    """Who of n people any of the ``ages`` makes a minor: columns (n,) by the names that row rules know, at least one."""
    numbered = ages.append_column("pid", pa.array(np.arange(ages.num_rows)))
    found = replace(rules, ids="integer").canonical(connect(), numbered, ("withheld",))["withheld"]
    return np.asarray(found.to_numpy(), np.bool_)


def age_keys_of_profiles(source: SourceConfig, rules: RowRules) -> tuple[str, ...]:
    """Keys of ages that a run looks for at the top of profiles.

    None where nobody is withheld, or where the reader takes ages out of flat records.
    """
    return record_keys(source) if rules.ages.min_age and source.profile_json != "*" else ()


def minors_by_records(records: NumberedRecords, people: int, source: SourceConfig, rules: RowRules) -> NDArray[np.bool_]:
    """Who of n ``people`` is a minor by an age in one of the ``records`` at the top of their profiles."""
    minors = np.zeros(people, np.bool_)
    if not records:
        return minors
    ages = ages_of_records([record for _, record in records], source)
    if ages.num_columns:
        minors[np.array([number for number, _ in records])[minors_by_age(ages, rules)]] = True
    return minors


def pids_of_records(records: NumberedRecords, source: SourceConfig, rules: RowRules) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of those of the ``records`` that have ids, as those of a flat source may, and the pids of these ids."""
    found = ids_of_records(records, source)
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    pids, are_ids = pids_as_written(pa.chunked_array([pa.array([text for _, text in found], pa.string())]), rules.ids)
    return np.array([number for number, _ in found], np.int64)[are_ids], pids[are_ids]
