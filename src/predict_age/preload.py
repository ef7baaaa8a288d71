"""What worker processes work with, imported by the server that forks them. Nothing here may start a thread."""

import predict_age.cli
import predict_age.steps.final_results
import predict_age.steps.human_qa
import predict_age.steps.parallel_prediction
import predict_age.steps.read_source
import predict_age.steps.training  # noqa: F401
