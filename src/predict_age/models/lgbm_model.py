"""The second boosted member: LightGBM with absolute error. It grows leaf by leaf where XGBoost grows level by level."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predict_age.config import TrainingConfig
from predict_age.errors import IntegrityError
from predict_age.features.encode import Matrix
from predict_age.models.size_presets import share_of_columns
from predict_age.models.structure import StructureError
from predict_age.models.training_threads import CancelEvent, check_cancelled
from predict_age.models.tree_ensembles.lightgbm_trees import LIGHTGBM_ZERO_THRESHOLD, check_layout, lightgbm_tree_arrays
from predict_age.models.tree_ensembles.tree import TreeArrays, UnsupportedTreeError
from predict_age.models.tree_ensembles.tree_sum import TreeSum
from predict_age.pieces import finished

if TYPE_CHECKING:
    import lightgbm

_RANGES = re.compile(r"^(feature_infos=)(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class LightGBMModel:
    """A LightGBM model in the library's text format, ``text``.

    All else is derived from the text, so that saved and trained models are equal. The library is imported only where neither
    kernels nor NumPy serve.
    """

    text: str

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns that it was trained on. Raises IntegrityError when the text is no model."""
        for line in self.text.split("\nTree=", 1)[0].splitlines():
            if line.startswith("feature_names="):
                return line.removeprefix("feature_names=").split(" ")
        raise IntegrityError("a model of boosted trees cannot be read", expected="LightGBM's text format", found="no feature_names")

    def __reduce__(self) -> tuple[type[LightGBMModel], tuple[str]]:
        """Pickle the text only, not what is derived from it."""
        return LightGBMModel, (self.text,)

    @property
    def rounds(self) -> int:
        """The number of trees."""
        return self.text.count("\nTree=")

    @cached_property
    def booster(self) -> lightgbm.Booster:
        """The model as LightGBM's own object."""
        import lightgbm

        return lightgbm.Booster(model_str=self.text)

    def predict(self, matrix: Matrix) -> NDArray[np.float64]:
        """Ages (n_rows,), years, unbounded."""
        return finished(self.predict_in_pieces(matrix))

    def predict_in_pieces(self, matrix: Matrix) -> Generator[None, None, NDArray[np.float64]]:
        """Ages as :meth:`predict` gives them, with pauses."""
        if not len(matrix):
            return np.empty(0)
        if self._trees is not None:
            ages = np.zeros(len(matrix))
            if (yield from self._trees.add_in_pieces(matrix, ages)):
                return ages
        return np.asarray(self.booster.predict(matrix, num_threads=1), np.float64)

    def check_structure(self) -> None:
        """Raise an error when the trees are not what training makes: split indices, children and header are in bounds."""
        check_layout(self.text, len(self.feature_names))
        if self._parsed is None:
            raise StructureError("trees", expected="splits by numbers, NaN for missing values", found="others")

    @cached_property
    def _parsed(self) -> TreeArrays | None:
        try:
            return lightgbm_tree_arrays(self.text, len(self.feature_names))
        except UnsupportedTreeError:
            return None

    @cached_property
    def _trees(self) -> TreeSum | None:
        """The parsed trees; None when they have splits that only LightGBM supports."""
        trees = self._parsed
        return None if trees is None else TreeSum(trees, [np.nan, -np.inf], np.float64, LIGHTGBM_ZERO_THRESHOLD)


def train_lightgbm(
    matrix: Matrix,
    age: NDArray[np.float32],
    names: list[str],
    settings: TrainingConfig,
    threads: int,
    validation: tuple[Matrix, NDArray[np.float32]] | None = None,
    cancelled: CancelEvent = None,
) -> LightGBMModel:
    """Fit on (n_rows, n_features), NaN = missing, and ages (n_rows,), years.

    With ``validation`` rows training stops when their error no longer falls. Deterministic for a seed and a number of threads.
    """
    import lightgbm

    parameters = {
        "objective": "l1",
        "metric": "l1",
        "num_leaves": settings.light_leaves,
        "learning_rate": settings.light_learning_rate,
        "min_data_in_leaf": settings.min_leaf_rows,
        "feature_fraction": share_of_columns(0.6, matrix.shape[1]),
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "max_bin": 127,
        "seed": settings.seed,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    data = lightgbm.Dataset(matrix, age, feature_name=names, params=parameters)
    callbacks: list[Callable[..., Any]] = [lambda _: check_cancelled(cancelled)]
    valid: list[lightgbm.Dataset] = []
    if validation is not None and len(validation[1]):
        valid = [lightgbm.Dataset(validation[0], validation[1], reference=data, params=parameters)]
        callbacks.append(lightgbm.early_stopping(settings.stop_after_rounds, verbose=False))
    booster = lightgbm.train(parameters, data, settings.light_rounds, valid_sets=valid, callbacks=callbacks)
    return LightGBMModel(_without_ranges(booster.model_to_string(num_iteration=booster.best_iteration or -1)))


def _without_ranges(text: str) -> str:
    """The model without the smallest and largest value of each feature, which predict nothing and are those of single people."""
    return _RANGES.sub(lambda line: line[1] + " ".join(["none"] * len(line[2].split())), text, count=1)
