"""Words that kernels and those who prepare their work share; they are read without Numba."""

LEAVES, LEFT, RIGHT, SPLITS, FOUR = 0, 1, 2, 3, 4  # what is below a split: leaves, a leaf on one side, none, splits of leaves only
