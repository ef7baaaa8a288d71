"""The order of the steps: the one source of it, for the pipeline, for what people see, and for checks before a resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

StepFunction = Callable[[Any], Any]  # Run -> StepResult


@dataclass(frozen=True)
class Step:
    """A step: its name, which is also its module and function in ``predict_age.steps``, and what it does, for people.

    ``needs`` are the earlier steps whose files it reads: these are compared with their recorded hashes before it begins.
    ``state`` is the state of the machine on AWS that does it.
    """

    name: str
    title: str
    state: str
    needs: tuple[str, ...] = ()
    reads_source: bool = False

    def load(self) -> StepFunction:
        """Import the step's function. Late, so that the order of steps can be read without importing models."""
        return cast(StepFunction, getattr(import_module(f"predict_age.steps.{self.name}"), self.name))


STEPS = (
    Step("pre_cleanup", "Pre-cleanup", "PreCleanup"),
    Step("read_source", "Read source", "Training", reads_source=True),
    Step("training", "Training", "Training", ("read_source",), reads_source=True),
    Step("batch_generator", "Batch generator", "BatchGenerator", ("read_source",)),
    Step("create_predictions_table", "Create predictions table", "CreatePredictionsTable"),
    Step(
        "parallel_prediction", "Parallel prediction", "ParallelPrediction",
        ("read_source", "training", "batch_generator", "create_predictions_table"), reads_source=True,
    ),
    Step("human_qa", "Human QA", "HumanQA", ("read_source", "batch_generator", "parallel_prediction"), reads_source=True),
    Step("final_results", "Final results", "FinalResults", ("batch_generator", "human_qa")),
    Step("post_cleanup", "Post-cleanup", "PostCleanup"),
)  # fmt: skip
