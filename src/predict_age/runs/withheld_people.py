"""People whom a run withheld, by pid: whoever asks with such an id gets no number, whatever profile is sent with it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

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
