"""The order of the steps: the one source of it, for the pipeline, for what people see, and for checks before a resume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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


STEPS = (
    Step("pre_cleanup", "Pre-cleanup", "PreCleanup"),
    Step("read_source", "Read source", "Training", reads_source=True),
    Step("training", "Training", "Training", ("read_source",), reads_source=True),
    Step("batch_generator", "Batch generator", "BatchGenerator", ("read_source",)),
    Step("create_predictions_table", "Create predictions table", "CreatePredictionsTable"),
    Step(
        "parallel_prediction",
        "Parallel prediction",
        "ParallelPrediction",
        ("read_source", "training", "batch_generator", "create_predictions_table"),
        reads_source=True,
    ),
    Step("human_qa", "Human QA", "HumanQA", ("read_source", "batch_generator", "parallel_prediction"), reads_source=True),
    Step("final_results", "Final results", "FinalResults", ("batch_generator", "human_qa")),
    Step("post_cleanup", "Post-cleanup", "PostCleanup"),
)


@dataclass(frozen=True)
class StepResult:
    """What a step did: ``rows`` it handled, ``facts`` for later steps (JSON), and SHA-256 of the files it made, by name."""

    rows: int
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


def record_of(step: Step, result: StepResult, seconds: float, peak_rss_bytes: int = 0, key: str = "") -> dict[str, Any]:
    """The contents of ``steps/<name>.json``. ``key`` stands for what the step worked on."""
    return {
        "number": STEPS.index(step) + 1,
        "name": step.name,
        "title": step.title,
        "seconds": round(seconds, 3),
        "rows": result.rows,
        "peak_rss_bytes": peak_rss_bytes,
        "facts": result.facts,
        "outputs": result.outputs,
        "key": key,
    }
