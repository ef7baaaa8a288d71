"""Constants that kernels share with the NumPy code of the same results; importable without Numba."""

import numpy as np

TWO_LEAVES, LEFT_LEAF, RIGHT_LEAF, NO_LEAF, FOUR_LEAVES = range(5)  # children of a split; FOUR_LEAVES: two splits of leaves

KERNEL_WALK_ROWS = 256  # rows that kernels walk down a tree side by side

MIN_EXPONENT = np.float32(-87)  # its exponential is close to the smallest normal float32
LOG2_E, HALF, ONE = np.float32(1.44269504088896341), np.float32(0.5), np.float32(1)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # the sum is ln 2; the first times a whole number is exact
EXP_COEFFICIENTS = tuple(
    map(np.float32, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5))
)
