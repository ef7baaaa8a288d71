"""People drawn from the source, on whom a model is trained and its card rests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.evaluation.model_card.leakage import LeakageScore, univariate_leakage


@dataclass(frozen=True)
class TrainingSample:
    """People drawn from the source.

    ``columns`` (n features), ``groups`` (n), ``age`` (n,) in years and ``sampling_hashes`` (n,), ascending, of people with a known
    age; ``others`` and ``other_groups`` of people without one; ``fingerprints`` (n,) recognise people with a known age later.
    """

    columns: pa.Table
    age: NDArray[np.float32]
    sampling_hashes: NDArray[np.float64]
    groups: pa.Table
    others: pa.Table
    other_groups: pa.Table
    fingerprints: NDArray[np.uint32]

    def leakage_scores(self) -> list[LeakageScore]:
        """Univariate leakage score of each feature."""
        return univariate_leakage(self.columns, self.age)
