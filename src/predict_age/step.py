"""Order of the steps, result of a step, and the record that a finished step leaves in ``steps/<name>.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from predict_age.errors import IntegrityError
from predict_age.records.json_fields import as_json, from_json
from predict_age.records.step_facts import FACTS, Facts

F_co = TypeVar("F_co", bound=Facts, covariant=True)


@dataclass(frozen=True)
class Step:
    """A step: its name, which is also its module and function in ``predict_age.steps``, and its title for people.

    ``needs`` are the earlier steps whose files it reads; before it begins, these are compared with their recorded hashes.
    ``state`` is the state of the AWS state machine that performs it.
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


def step_named(name: str) -> Step:
    """The step called ``name``."""
    return next(s for s in STEPS if s.name == name)


@dataclass(frozen=True)
class StepResult(Generic[F_co]):
    """Result of a step: ``rows`` it handled, ``facts`` for later steps, and SHA-256 of the files it made, by name."""

    rows: int
    facts: F_co
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StepRecord(Generic[F_co]):
    """Record of a finished step. ``key`` identifies its inputs: a record with another key belongs to other inputs."""

    number: int
    name: str
    title: str
    seconds: float
    rows: int
    peak_rss_bytes: int
    facts: F_co
    outputs: dict[str, str]
    key: str

    @classmethod
    def of(cls, step: Step, result: StepResult[Facts], seconds: float, peak_rss_bytes: int = 0, key: str = "") -> StepRecord[Facts]:
        """The record of ``step``, done in ``seconds``."""
        return StepRecord[Facts](
            STEPS.index(step) + 1,
            step.name,
            step.title,
            round(seconds, 3),
            result.rows,
            peak_rss_bytes,
            result.facts,
            result.outputs,
            key,
        )

    def as_json(self) -> dict[str, object]:
        """Contents of ``steps/<name>.json``."""
        return as_json(self)

    @classmethod
    def from_json(cls, value: dict[str, Any], name: str) -> StepRecord[Facts]:
        """The record of the step ``name`` from its JSON object. Raises IntegrityError when it is not that."""
        try:
            if value["name"] != name:
                raise ValueError(f"it is the record of {value['name']}")
            facts = from_json(FACTS[name], value["facts"])
            bare = from_json(_Bare, value)
        except (KeyError, TypeError, ValueError) as error:
            found = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            raise IntegrityError(
                f"the record of step {name} is damaged or from another version",
                expected="the facts that this step leaves",
                found=found,
                fix="`predict-age resume`, which does the step again, or a new run",
            ) from None
        return StepRecord[Facts](
            bare.number, name, bare.title, bare.seconds, bare.rows, bare.peak_rss_bytes, facts, bare.outputs, bare.key
        )


@dataclass(frozen=True)
class _Bare:
    """The fields of a record that every step has."""

    number: int
    title: str
    seconds: float
    rows: int
    peak_rss_bytes: int
    outputs: dict[str, str]
    key: str
