"""Which profiles can be predicted, and the bundle as it is delivered: shared by batches and by single predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import AgesConfig
from predict_age.features.encode import Matrix
from predict_age.features.extract import ExtractedFeatures
from predict_age.models.bundle import Bundle
from predict_age.models.reuse import corrected_bundle
from predict_age.models.withholding import withholding_rule
from predict_age.records.model_quality import Delivery

WITHOUT_FEATURES = "profile_without_features"


def delivered_bundle(bundle: Bundle, delivery: Delivery, ages: AgesConfig) -> Bundle:
    """The ``bundle`` as a run delivers it: its intervals with a correction, minors withheld by ``ages`` and their frequency."""
    return corrected_bundle(bundle, delivery.correction).withholding(withholding_rule(ages, delivery.minors))


@dataclass(frozen=True)
class JudgedProfiles:
    """n profiles as the models see them: the ``matrix`` (n, n_columns), and who is ``usable`` (n,).

    ``problem`` (n,) says why a profile cannot be used; it is NULL also for a usable profile that shows none of the features.
    """

    matrix: Matrix
    usable: NDArray[np.bool_]
    problem: pa.ChunkedArray

    def reasons(self) -> list[str]:
        """Reasons of the profiles that are not usable, in their order."""
        return [r or WITHOUT_FEATURES for r in self.problem.filter(pa.array(~self.usable)).to_pylist()]

    def only(self, chosen: NDArray[np.bool_]) -> JudgedProfiles:
        """The marked profiles (n,) alone."""
        if chosen.all():
            return self
        return JudgedProfiles(self.matrix[chosen], self.usable[chosen], self.problem.filter(pa.array(chosen)))


def judged_profiles(bundle: Bundle, found: ExtractedFeatures) -> JudgedProfiles:
    """Encode the features ``found``. A profile that cannot be used, or shows none of the features, gets no prediction."""
    matrix = bundle.encoders.encode(found.columns)
    return JudgedProfiles(matrix, found.problem.is_null().to_numpy() & shows_features(bundle, matrix), found.problem)


def shows_features(bundle: Bundle, matrix: Matrix) -> NDArray[np.bool_]:
    """Who of n people has a value for at least one feature."""
    unknown: NDArray[np.bool_] = np.isnan(matrix[:, : len(bundle.features)])
    return np.asarray(~unknown.all(axis=1), np.bool_)
