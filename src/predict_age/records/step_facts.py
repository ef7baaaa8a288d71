"""Facts that each step hands on to later steps, to the report and to the commands: one frozen dataclass a step.

Fields marked OPTIONAL are those that only one platform knows, or that not every run has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from predict_age.records.drift_state import DriftComparison, DriftState
from predict_age.records.given_ages import GivenAges, UnusableAgesRecord
from predict_age.records.json_fields import OPTIONAL, stored_as
from predict_age.records.model_quality import Delivery, IntervalCorrection, Metrics, MinorsRate, ModelEvaluation, ReusedModelQuality
from predict_age.records.training_source import TrainingSourceRows
from predict_age.tally import Tally

WITHHELD_BY_PROFILE = "withheld_by_profile"  # count of a tally: people withheld by an age in their profile


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts of a step; ``step`` is the step's name."""

    step: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True)
class PreCleanupFacts(Facts):
    """Runs removed and, on a local disk, leftover files removed, bytes free and bytes needed."""

    step: ClassVar[str] = "pre_cleanup"
    removed_runs: list[str]
    removed_files: int | None = field(default=None, metadata=OPTIONAL)
    free_bytes: int | None = field(default=None, metadata=OPTIONAL)
    needed_bytes: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class SourceFileFacts:
    """Records of one source file, and how it was read; ``delimiter``, ``quote`` and ``escape`` are those of CSV."""

    path: str
    format: str
    compression: str
    encoding: str
    delimiter: str
    quote: str
    escape: str
    layout: str
    bytes: int
    records: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class ReadSourceFacts(Facts):
    """Row counts of the source. ``checksum`` is the order-free sum of hashed pids, whose ``checksum_key`` (hexadecimal) is
    the run's, None in earlier versions; ``known_ages`` counts whole years, the ends folded (:func:`~predict_age.tally.fold_tails`).

    ``known`` and ``to_predict`` are people with and without a known age, duplicates left out. ``pid_type`` says what the ids are,
    ``files`` accounts for each file from its bytes on; ``given_ages`` counts distinct people. ``suppressed`` people are hidden by
    the suppression list: they are in ``distinct``, but neither in ``checksum`` nor in any other count of people or ages; None where
    the workspace has no list. ``withheld`` people are known minors, None where ``ages.min_age`` is 0; ``zero_ages`` rows of theirs
    have nothing but the approximate age 0; ``near_limit`` people are at most four years too young, 5 for 5 to 19, 0 for fewer
    (:func:`~predict_age.tally.fold_part`). They are in no count of ages.

    With a training source, ``known``, ``known_ages``, ``to_predict`` and ``withheld`` still count people of the source, by the rows
    that count; ``source_sha256`` holds the hashes of its files after those of the source; and ages of no use, disagreeing ones and
    ``given_ages`` are counted in both together. Its own counts are in ``training``, ``training_near_limit`` and
    ``training_files``; ``near_limit`` is by the rows of the source alone. Both are None where an earlier version did not count.
    """

    step: ClassVar[str] = "read_source"
    read: int
    rejected: dict[str, int] = field(metadata=stored_as("set_aside"))
    usable: int
    distinct: int
    duplicate: int
    checksum: int
    known: int
    to_predict: int
    known_ages: list[int]
    unreadable_age: int
    implausible_age: int
    conflicting_age: int
    source_sha256: list[str]
    pid_type: str = "integer"
    files: list[SourceFileFacts] = field(default_factory=list)
    unusable_ages: list[UnusableAgesRecord] | None = field(default=None, metadata=OPTIONAL)
    suppressed: int | None = field(default=None, metadata=OPTIONAL)
    withheld: int | None = field(default=None, metadata=OPTIONAL)
    zero_ages: int | None = field(default=None, metadata=OPTIONAL)
    near_limit: int | None = field(default=None, metadata=OPTIONAL)
    given_ages: GivenAges | None = field(default=None, metadata=OPTIONAL)
    checksum_key: str | None = field(default=None, metadata=OPTIONAL)
    training: TrainingSourceRows | None = field(default=None, metadata=OPTIONAL)
    training_near_limit: int | None = field(default=None, metadata=OPTIONAL)
    training_files: list[SourceFileFacts] | None = field(default=None, metadata=OPTIONAL)

    @property
    def people(self) -> int:
        """Distinct people who are in the result."""
        return self.distinct - (self.suppressed or 0)

    @property
    def labelled(self) -> int:
        """People with a known age to train on: of the training source, where there is one."""
        return self.training.known if self.training else self.known


@dataclass(frozen=True, kw_only=True)
class TrainingFacts(Facts):
    """The model: its version, on how many people it was trained, and how good it is.

    ``reference`` is the state of the data that this run's will be compared with; ``base`` the run whose model was taken over, and
    ``reused`` how good that model is in this run. ``minors``: how frequent minors are, None in earlier versions and without a
    limit; ``published``: the intervals' corrections for people who are not withheld, None where they are those in the model.
    ``challengers``: how answers of each challenger's model differ in this run, None without challengers.
    """

    step: ClassVar[str] = "training"
    model_version: str
    sampled: int
    labelled: int
    metrics: Metrics
    evaluation: ModelEvaluation | None = field(default=None, metadata=stored_as("judged"))
    trained_at: str = ""
    reference: DriftState | None = None
    base: str | None = field(default=None, metadata=OPTIONAL)
    reused: ReusedModelQuality | None = field(default=None, metadata=OPTIONAL)
    minors: MinorsRate | None = field(default=None, metadata=OPTIONAL)
    published: IntervalCorrection | None = field(default=None, metadata=OPTIONAL)
    challengers: tuple[Delivery, ...] | None = field(default=None, metadata=OPTIONAL)

    @property
    def delivered(self) -> Metrics:
        """Metrics of the intervals and ages that this run delivers: measured in it where the model was reused, if possible."""
        return self.reused.metrics if self.reused and self.reused.metrics else self.metrics

    @property
    def delivery(self) -> Delivery:
        """Differences between the model and its answers in this run."""
        again = self.reused.correction if self.reused else None
        return Delivery(again or self.published, self.minors)


@dataclass(frozen=True, kw_only=True)
class BatchGeneratorFacts(Facts):
    """Number of batches with its formula, rows of the largest and the smallest, and on AWS the number of tasks."""

    step: ClassVar[str] = "batch_generator"
    batches: int
    formula: str
    largest: int
    smallest: int
    tasks: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class CreatePredictionsTableFacts(Facts):
    """Columns of the predictions; on AWS the tables and the bytes that Athena scanned."""

    step: ClassVar[str] = "create_predictions_table"
    columns: list[str] | None = field(default=None, metadata=OPTIONAL)
    tables: list[str] | None = field(default=None, metadata=OPTIONAL)
    scanned_bytes: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class ParallelPredictionFacts(Facts):
    """Predictions of all batches together.

    ``kept`` batches were there from an earlier attempt, ``reused`` people keep the prediction of the base run, ``default``
    counts people without a usable profile by reason; ``withheld`` people are too young, or too probably so, for a prediction.
    """

    step: ClassVar[str] = "parallel_prediction"
    batches: int
    kept: int
    predicted: int
    reused: int = 0
    not_reused_because: str = ""
    default: dict[str, int]
    tally: Tally
    state: DriftState | None = None
    drift: DriftComparison = field(default_factory=DriftComparison)
    withheld: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class HumanQaFacts(Facts):
    """People by source of the age and by review reason; on AWS the table, its folder and the bytes that Athena scanned."""

    step: ClassVar[str] = "human_qa"
    by_source: dict[str, int]
    review: dict[str, int]
    table: str | None = field(default=None, metadata=OPTIONAL)
    location: str | None = field(default=None, metadata=OPTIONAL)
    scanned_bytes: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class RowCounts:
    """Row accounting of a finished run: read = usable + rejected, usable = distinct + duplicate, and the distinct by source.

    ``suppressed`` people are distinct ones who are not in the result; None where the workspace has no suppression list.
    ``withheld`` people are in the result without an age: minors; None where ``ages.min_age`` is 0. All are counts of the source;
    those of a training source are in ``training``.
    """

    read: int
    rejected: int = field(metadata=stored_as("set_aside"))
    usable: int
    distinct: int
    duplicate: int
    existing_by_source: dict[str, int]
    predicted: int
    default: int
    existing: int
    suppressed: int | None = field(default=None, metadata=OPTIONAL)
    withheld: int | None = field(default=None, metadata=OPTIONAL)
    training: TrainingSourceRows | None = field(default=None, metadata=OPTIONAL)

    @property
    def people(self) -> int:
        """Distinct people who are in the result."""
        return self.distinct - (self.suppressed or 0)


@dataclass(frozen=True, kw_only=True)
class FinalResultsFacts(Facts):
    """The published result: row counts, quality shares (0..1), table, tally and the manifest's content hash."""

    step: ClassVar[str] = "final_results"
    rows: RowCounts
    quality: dict[str, float]
    table: str
    tally: Tally
    manifest: str
    location: str | None = field(default=None, metadata=OPTIONAL)
    scanned_bytes: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class PostCleanupFacts(Facts):
    """Bytes freed; locally the bytes that the run keeps, on AWS the number of objects deleted."""

    step: ClassVar[str] = "post_cleanup"
    freed_bytes: int
    run_bytes: int | None = field(default=None, metadata=OPTIONAL)
    objects: int | None = field(default=None, metadata=OPTIONAL)


FACTS: dict[str, type[Facts]] = {
    kind.step: kind
    for kind in (
        PreCleanupFacts,
        ReadSourceFacts,
        TrainingFacts,
        BatchGeneratorFacts,
        CreatePredictionsTableFacts,
        ParallelPredictionFacts,
        HumanQaFacts,
        FinalResultsFacts,
        PostCleanupFacts,
    )
}
