"""Modules that worker processes need, imported by the server that forks them. Nothing here may start a thread."""

# ruff: noqa: E402
from predict_age.runtime.forkserver import print_worker_error
from predict_age.runtime.import_blocking import block_unused_imports

block_unused_imports()

import atexit
import gc
import sys

import duckdb  # noqa: F401
import numpy as np
import pyarrow as pa
import scipy.sparse  # noqa: F401

import predict_age.__main__
import predict_age.steps.final_results
import predict_age.steps.human_qa
import predict_age.steps.parallel_prediction
import predict_age.steps.read_source
import predict_age.steps.training  # noqa: F401

sys.excepthook = print_worker_error
pa.array(np.zeros(1))  # PyArrow looks for pandas at its first array
gc.freeze()  # garbage collection would write to memory pages that all workers share, and so copy them
atexit.register(gc.unfreeze)  # otherwise DuckDB reports leaked objects when the server ends
