"""The quantile forest: trees grown by XGBoost, whose leaves hold the histogram of their training ages.

The distribution for a row is the mean over trees of its leaf's normalised age histogram (Meinshausen 2006, "Quantile Regression
Forests", eq. 5, with every training row in the leaves). Ages are whole years, so the histogram loses nothing. See ADR 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predict_age.config import TrainingConfig
from predict_age.errors import IntegrityError
from predict_age.features.encode import Matrix
from predict_age.kernels import MIN_KERNEL_ROWS, use_kernels
from predict_age.models.age_distribution import Probabilities
from predict_age.models.structure import SHARES, ArrayRule, StructureError
from predict_age.models.tree_ensembles.nodes import LeafAgeRanges, TreeNodes, flatten_trees
from predict_age.models.xgb_model import MISSING_VALUE, XGBoostModel, fill_missing

if TYPE_CHECKING:
    import xgboost

FOREST_CHUNK_ROWS = 2048
COLUMNS_PER_SPLIT = 26  # of many columns, for each split: trees that may choose among more of them are too much alike
LEAST_SHARE_TRIED, MOST_SHARE_TRIED = 0.2, 0.6
SUM_TOLERANCE = 1e-3  # float32 shares of a leaf sum to 1 within about 1e-6
LEAF_ARRAYS = {
    "leaf_of": ArrayRule(np.int32, ("trees", "nodes"), 0, 2**31 - 1),
    "shares": ArrayRule(np.float32, ("leaves", "ages"), *SHARES),
}


@dataclass(frozen=True)
class QuantileForest:
    """The forest's trees and the age histograms of its leaves.

    ``shares``: (n_leaves, n_ages) float32, row sums 1; ``leaf_of``: (n_trees, max_node + 1), the row of ``shares`` of a node.
    """

    trees: XGBoostModel
    leaf_of: NDArray[np.int32]
    shares: Probabilities

    def __post_init__(self) -> None:
        """Raise IntegrityError when ``leaf_of`` names a row that does not exist: kernels do not check bounds."""
        if self.leaf_of.size and not 0 <= self.leaf_of.min() <= self.leaf_of.max() < len(self.shares):
            raise IntegrityError(
                "the model's forest cannot be read",
                expected=f"leaves 0 to {len(self.shares) - 1}",
                found=f"{self.leaf_of.min()} to {self.leaf_of.max()}",
            )

    def __reduce__(self) -> tuple[type[QuantileForest], tuple[XGBoostModel, NDArray[np.int32], Probabilities]]:
        """Pickle the fields only, not what is derived from them."""
        return QuantileForest, (self.trees, self.leaf_of, self.shares)

    def check_structure(self) -> None:
        """Raise StructureError unless every leaf of the checked trees has a histogram, and histograms sum to 1."""
        assert self.trees.parsed is not None  # the trees have been checked
        trees = self.trees.parsed[0]
        if len(trees.sizes) != len(self.leaf_of):
            raise StructureError("leaf_of", expected=f"{len(trees.sizes)} trees", found=str(len(self.leaf_of)))
        last = int(trees.sizes.max()) - 1  # the last node of a tree is a leaf
        if last >= self.leaf_of.shape[1]:
            raise StructureError("leaf_of", expected=f"nodes up to {last}", found=f"up to {self.leaf_of.shape[1] - 1}")
        totals = self.shares @ np.ones(self.shares.shape[1], np.float32)
        if not np.abs(totals - 1).max() < SUM_TOLERANCE:
            raise StructureError("shares", expected="rows that sum to 1", found=f"{totals.min():g}..{totals.max():g}")

    def leaves(self, matrix: Matrix) -> NDArray[Any]:
        """Rows of ``shares`` (n_rows, n_trees) of the leaves that (n_rows, n_features) reaches."""
        if len(matrix) < MIN_KERNEL_ROWS:
            return self._nodes.walk(fill_missing(matrix))
        nodes = _leaf_nodes(self.trees.booster, matrix)
        return self.leaf_of[np.arange(self.leaf_of.shape[0]), nodes]

    def distribution(self, matrix: Matrix) -> Probabilities:
        """Probabilities (n_rows, n_ages) of each whole age, the youngest first."""
        result = np.empty((len(matrix), self.shares.shape[1]), np.float32)
        if not len(matrix):
            return result
        if use_kernels(len(matrix)):
            result[:] = 0
            self._nodes.add_probabilities(matrix, self._ranges, result)
            result *= np.float32(1 / len(self.leaf_of))
            return result
        leaves = self.leaves(matrix)
        for start in range(0, len(matrix), FOREST_CHUNK_ROWS):
            block = leaves[start : start + FOREST_CHUNK_ROWS]
            total = self.shares[block[:, 0]]
            for tree in range(1, block.shape[1]):
                total += self.shares[block[:, tree]]
            result[start : start + FOREST_CHUNK_ROWS] = total * np.float32(1 / block.shape[1])
        return result

    @cached_property
    def _ranges(self) -> LeafAgeRanges:
        return LeafAgeRanges.from_table(self.shares)

    @cached_property
    def _nodes(self) -> TreeNodes:
        parsed = self.trees.parsed
        assert parsed is not None  # the forest is trained without categories
        return flatten_trees(parsed[0], MISSING_VALUE, self.leaf_of)


def _leaf_nodes(trees: xgboost.Booster, matrix: Matrix) -> NDArray[np.int32]:
    import xgboost

    data = xgboost.DMatrix(fill_missing(matrix), nthread=1 if len(matrix) < 100_000 else None)
    nodes = trees.predict(data, pred_leaf=True, validate_features=False)
    return np.asarray(nodes, np.int32).reshape(len(matrix), -1)


def train_forest(
    matrix: Matrix, age: NDArray[np.float32], youngest: int, oldest: int, settings: TrainingConfig, threads: int
) -> QuantileForest:
    """Grow the forest on (n_rows, n_features), NaN = missing, and whole ages (n_rows,) inside youngest..oldest."""
    import xgboost

    data = xgboost.QuantileDMatrix(fill_missing(matrix), age, max_bin=128, nthread=threads)
    share_tried = min(MOST_SHARE_TRIED, max(LEAST_SHARE_TRIED, COLUMNS_PER_SPLIT / matrix.shape[1]))
    parameters = {
        "tree_method": "hist",
        "max_bin": 128,
        "num_parallel_tree": settings.forest_trees,
        "learning_rate": 1.0,
        "subsample": 0.6,
        "colsample_bynode": share_tried,
        "max_depth": settings.forest_depth,
        "min_child_weight": settings.forest_leaf_rows,
        "reg_lambda": 0.0,
        "base_score": float(age.mean(dtype=np.float64)),
        "seed": settings.seed,
        "nthread": threads,
    }
    trees = xgboost.train(parameters, data, 1)
    nodes = _leaf_nodes(trees, matrix)
    width = oldest - youngest + 1
    bins = age.astype(np.int64) - youngest
    leaf_of = np.zeros((nodes.shape[1], int(nodes.max()) + 1), np.int32)
    tables: list[Probabilities] = []
    leaves = 0
    for tree in range(nodes.shape[1]):
        used, leaf = np.unique(nodes[:, tree], return_inverse=True)
        counts = np.bincount(leaf * width + bins, minlength=len(used) * width).reshape(len(used), width)
        tables.append((counts / counts.sum(axis=1, keepdims=True)).astype(np.float32))
        leaf_of[tree, used] = np.arange(leaves, leaves + len(used))
        leaves += len(used)
    return QuantileForest(XGBoostModel.of(trees), leaf_of, np.concatenate(tables))
