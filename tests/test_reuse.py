"""Earlier predictions are found again, by person and profile."""

from pathlib import Path

import numpy as np
import pytest

from predict_age.runs.incremental import PREDICTION_ENTRY, Reusable, _bucket, _gather
from predict_age.source.external_partition import scatter


@pytest.mark.parametrize("buckets", [1, 3])
def test_found_by_pid_and_key_alone(buckets: int, tmp_path: Path) -> None:
    """Several files and buckets: people with the same profile find their own entry; those with another one, or unknown, none."""
    rng = np.random.default_rng(buckets)
    entries = np.zeros(900, PREDICTION_ENTRY)
    entries["pid"] = rng.permutation(10**6)[:900] - 500_000
    entries["key"], entries["age"] = entries["pid"] * 7, np.arange(900) % 60
    for number, some in enumerate(np.split(entries, 3)):
        scatter(tmp_path, number, some, buckets)
    for bucket in range(buckets):
        _gather(bucket, 3, tmp_path)
        assert _bucket(tmp_path, bucket)[0].flags.c_contiguous, "NumPy would copy all of them at each search"
    asked = np.concatenate([entries["pid"][::2], [10**7, -(10**7)]])
    keys = asked * 7
    keys[::5] += 1
    found, made = Reusable(tmp_path, buckets).find(asked, keys)
    assert found.tolist() == [i % 5 != 0 and i < 450 for i in range(452)]
    assert made[found]["age"].tolist() == entries[::2][found[:450]]["age"].tolist()
