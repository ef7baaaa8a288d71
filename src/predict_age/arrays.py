"""Types of NumPy arrays, by the type of their numbers."""

from __future__ import annotations

import numpy as np

AnyShape = tuple[int, ...]
BoolArray = np.ndarray[AnyShape, np.dtype[np.bool_]]
Float32Array = np.ndarray[AnyShape, np.dtype[np.float32]]
Float64Array = np.ndarray[AnyShape, np.dtype[np.float64]]
Int64Array = np.ndarray[AnyShape, np.dtype[np.int64]]
