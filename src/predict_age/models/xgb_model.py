"""The first boosted member: XGBoost with absolute error, so that it predicts the median age."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predict_age.config import TrainingConfig
from predict_age.errors import IntegrityError
from predict_age.features.encode import Matrix
from predict_age.models.l1_boosting import train_l1_booster
from predict_age.models.size_presets import share_of_columns
from predict_age.models.structure import StructureError
from predict_age.models.training_threads import CancelEvent
from predict_age.models.tree_ensembles import ubjson
from predict_age.models.tree_ensembles.tree import TreeArrays, UnsupportedTreeError
from predict_age.models.tree_ensembles.tree_sum import TreeSum
from predict_age.models.tree_ensembles.xgboost_trees import check_library_fields, xgboost_tree_arrays
from predict_age.pieces import finished

if TYPE_CHECKING:
    import xgboost

MISSING_VALUE = np.float32(-1e30)
ROW_SAMPLE_SHARE = 0.8  # share of the rows that each tree is trained on
MIN_ROWS_FOR_OWN_MEDIANS = 10_000  # with fewer rows, extracting each tree from XGBoost costs more than its medians


def fill_missing(matrix: Matrix) -> Matrix:
    """``matrix`` with missing values replaced by MISSING_VALUE, which lies below every real value.

    A split can still separate missing from known values, and XGBoost evaluates a matrix without NaN three times as fast (ADR 3).
    """
    return np.where(np.isnan(matrix), MISSING_VALUE, matrix)


@contextmanager
def _unreadable_as_integrity_error() -> Iterator[None]:
    try:
        yield
    except (ubjson.UBJSONError, KeyError, TypeError) as error:
        raise IntegrityError(
            "a model of boosted trees cannot be read", expected="XGBoost's binary format", found=str(error)
        ) from error


@dataclass(frozen=True)
class XGBoostModel:
    """An XGBoost model in the library's binary format, ``content``.

    All else is derived from the content, so that saved and trained models are equal. The library is imported only for many rows
    without kernels, or for trees that only it supports.
    """

    content: bytes

    @classmethod
    def of(cls, booster: xgboost.Booster) -> XGBoostModel:
        """The model that ``booster`` was trained to."""
        return cls(bytes(booster.save_raw("ubj")))

    @cached_property
    def model(self) -> dict[str, Any]:
        """The model in XGBoost's JSON schema. Raises IntegrityError when the content is no model."""
        with _unreadable_as_integrity_error():
            loaded = ubjson.read(self.content)
            loaded["learner"]["gradient_booster"]["model"]["trees"]
            return dict(loaded)

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns that it was trained on. Raises IntegrityError when the content is no model."""
        with _unreadable_as_integrity_error():
            return list(ubjson.read_path(self.content, "learner", "feature_names"))

    def __reduce__(self) -> tuple[type[XGBoostModel], tuple[bytes]]:
        """Pickle the content only, not what is derived from it."""
        return XGBoostModel, (self.content,)

    @property
    def rounds(self) -> int:
        """The number of boosting rounds."""
        return len(self.model["learner"]["gradient_booster"]["model"]["iteration_indptr"]) - 1

    @cached_property
    def booster(self) -> xgboost.Booster:
        """The model as XGBoost's own object, set to one thread."""
        import xgboost

        loaded = xgboost.Booster(model_file=bytearray(self.content))
        loaded.set_param({"nthread": 1})
        return loaded

    def predict(self, matrix: Matrix) -> NDArray[np.float32]:
        """Ages (n_rows,), years, unbounded."""
        return finished(self.predict_in_pieces(matrix))

    def predict_in_pieces(self, matrix: Matrix) -> Generator[None, None, NDArray[np.float32]]:
        """Ages as :meth:`predict` gives them, with pauses."""
        if not len(matrix):
            return np.empty(0, np.float32)
        if self._trees is not None:
            trees, base = self._trees
            ages = np.full(len(matrix), base, np.float32)
            if (yield from trees.add_in_pieces(matrix, ages)):
                return ages
        result: NDArray[np.float32] = self.booster.inplace_predict(fill_missing(matrix), validate_features=False)
        return result

    def check_structure(self, columns: int) -> None:
        """Raise an error when the trees are not what training makes: split indices, children and counts are in bounds."""
        check_library_fields(self.model, columns)
        if self.parsed is None:
            raise StructureError("trees", expected="splits by numbers", found="splits by category")

    @cached_property
    def parsed(self) -> tuple[TreeArrays, np.float32] | None:
        """The trees and their base score; None when they have splits that only XGBoost supports."""
        try:
            return xgboost_tree_arrays(self.model)
        except UnsupportedTreeError:
            return None

    @cached_property
    def _trees(self) -> tuple[TreeSum, np.float32] | None:
        """The trees ready for prediction and their base score."""
        if self.parsed is None:
            return None
        trees, base = self.parsed
        return TreeSum(trees, [float(MISSING_VALUE)], np.float32), base


def train_xgboost(
    matrix: Matrix,
    age: NDArray[np.float32],
    names: list[str],
    settings: TrainingConfig,
    threads: int,
    validation: tuple[Matrix, NDArray[np.float32]] | None = None,
    cancelled: CancelEvent = None,
) -> XGBoostModel:
    """Fit on (n_rows, n_features), NaN = missing, and ages (n_rows,), years. Deterministic for a seed, whatever the ``threads``.

    With ``validation`` rows training stops when their error no longer falls, and the trees up to the best round are kept.
    """
    parameters = {
        "tree_method": "hist",
        "max_bin": 128,
        "max_depth": settings.max_depth,
        "learning_rate": settings.learning_rate,
        "min_child_weight": settings.min_leaf_rows,
        "colsample_bytree": share_of_columns(0.8, matrix.shape[1]),
        "seed": settings.seed,
    }
    validation_data = None if validation is None or not len(validation[1]) else (fill_missing(validation[0]), validation[1])
    if len(age) < MIN_ROWS_FOR_OWN_MEDIANS:
        return XGBoostModel.of(_by_library((fill_missing(matrix), age), validation_data, parameters, names, settings))
    parameters["nthread"] = threads
    return XGBoostModel.of(
        train_l1_booster(
            (fill_missing(matrix), age),
            validation_data,
            parameters,
            settings.rounds,
            settings.stop_after_rounds,
            names,
            ROW_SAMPLE_SHARE,
            cancelled,
        )
    )


def _by_library(
    known: tuple[Matrix, NDArray[np.float32]],
    validation: tuple[Matrix, NDArray[np.float32]] | None,
    parameters: dict[str, object],
    names: list[str],
    settings: TrainingConfig,
) -> xgboost.Booster:
    """Train with XGBoost's own absolute error, in one thread: its row sampling depends on the number of threads."""
    import xgboost

    own_parameters = {
        **parameters,
        "objective": "reg:absoluteerror",
        "eval_metric": "mae",
        "subsample": ROW_SAMPLE_SHARE,
        "nthread": 1,
    }
    data = xgboost.QuantileDMatrix(*known, feature_names=names, max_bin=parameters["max_bin"], nthread=1)
    if validation is None:
        return xgboost.train(own_parameters, data, settings.rounds)
    validation_matrix = xgboost.QuantileDMatrix(
        *validation, feature_names=names, max_bin=parameters["max_bin"], nthread=1, ref=data
    )
    booster = xgboost.train(
        own_parameters,
        data,
        settings.rounds,
        evals=[(validation_matrix, "unseen")],
        early_stopping_rounds=settings.stop_after_rounds,
        verbose_eval=False,
    )
    return booster[: booster.best_iteration + 1]


def gain_importance(model: XGBoostModel) -> dict[str, float]:
    """Share of the total gain by feature, 0..1; features without a split are left out."""
    gains: dict[str, float] = {}
    for column, gain in model.booster.get_score(importance_type="total_gain").items():
        name = str(column).partition(".")[0]  # a feature may have several columns
        gains[name] = gains.get(name, 0.0) + float(np.sum(gain))
    total = sum(gains.values()) or 1.0
    return {name: gain / total for name, gain in sorted(gains.items(), key=lambda item: -item[1])}
