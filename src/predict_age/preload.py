"""What worker processes work with, imported by the server that forks them. Nothing here may start a thread."""

import sys

import numpy as np
import pyarrow as pa
import scipy.sparse  # noqa: F401
import sqlglot  # noqa: F401

import predict_age.cli
import predict_age.steps.final_results
import predict_age.steps.human_qa
import predict_age.steps.parallel_prediction
import predict_age.steps.read_source
import predict_age.steps.training  # noqa: F401
from predict_age.workers import report

sys.excepthook = report
pa.array(np.zeros(1))  # at its first array PyArrow looks for pandas, and imports it where there is one
