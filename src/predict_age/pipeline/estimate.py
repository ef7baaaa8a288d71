"""Estimate of a run before it starts: rows, batches, minutes, memory, disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from predict_age.config import Config
from predict_age.errors import InputError
from predict_age.run.batching import number_of_batches
from predict_age.run.budget import cost_usd
from predict_age.run.run import RunPlan
from predict_age.run.step_outputs import rules_before_reading
from predict_age.runtime.worker_pool import available_cores
from predict_age.source.column_types import check_types
from predict_age.source.external_partition import BUCKET_ROWS
from predict_age.source.row_group_reader import Split, check_columns, open_parquet, read_split, splits_of_file
from predict_age.source.row_rules import NOT_AN_INTEGER, RowRules, connect
from predict_age.source.scan import id_type
from predict_age.source.text_ids import count_text_ids
from predict_age.source.text_readers import read_text
from predict_age.source.text_stream import open_bytes

SAMPLED_SPLITS = 5
# Rows/s of one core and bytes, measured by `make bench` (docs/performance.md says on which machine).
READ_RATE, CONVERT_RATE, PREDICT_RATE, MERGE_RATE, TRAIN_RATE = 990_000, 60_000, 112_000, 560_000, 6_000
RUN_START_SECONDS = 6.0
RESULT_BYTES_A_ROW, PREDICTION_BYTES_A_ROW, QA_BYTES_A_ROW, WORKING_BYTES_A_ROW = 11, 23, 9, 200
SCRATCH_BYTES_A_ROW = 17  # during the search for duplicates
PARENT_BYTES, WORKER_BYTES, TRAINING_BYTES_A_ROW, BUCKET_BYTES_A_ROW = 400 << 20, 500 << 20, 2000, 56


@dataclass(frozen=True)
class Estimate:
    """Estimate of a run. ``exact_rows``: rows were counted (Parquet), not scaled up from a sample (text).

    ``pid_type`` is what the sampled ids are, and ``odd_ids`` how many of them are something else.
    """

    rows: int
    exact_rows: bool
    known_share: float
    to_predict: int
    batches: int
    formula: str
    workers: int
    minutes: float
    memory_bytes: int
    disk_bytes: int
    source_bytes: int
    usd_per_hour: float
    cost_usd: float
    pid_type: str
    odd_ids: int

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def estimate(plan: RunPlan) -> Estimate:
    """Estimate from file sizes, Parquet footers and a few sampled row groups; reads no profile of a Parquet source."""
    config = plan.config
    rules = rules_before_reading(plan)
    rows = text_rows = 0
    splits: list[Split] = []
    sample = _Sample(rules)
    for number, file in enumerate(plan.files):
        if file.format == "parquet":
            parquet = open_parquet(file.path)
            check_columns(parquet.schema_arrow.names, config.source, file.path, ages_needed=not plan.base)
            check_types(parquet.schema_arrow, config.source, file.path)
            splits += splits_of_file(parquet.metadata, len(splits), number, file.path, working=False)
            rows += parquet.metadata.num_rows
        else:
            text_rows += _sample_text(plan, number, sample)
    for split in splits[:: max(1, len(splits) // SAMPLED_SPLITS)][:SAMPLED_SPLITS]:
        piece = next(read_split(split, config.source, with_profile=False))
        sample.add(piece.raw)
    rows += text_rows
    if not rows:
        raise InputError("the source holds no rows", expected="at least one record", found=f"{len(plan.files)} empty file(s)")
    return _estimate(plan.config, rows, text_rows, sample, sum(f.size for f in plan.files))


class _Sample:
    """Some rows of each file or of some row groups: shares of known ages, and what ids are."""

    def __init__(self, rules: RowRules) -> None:
        self._rules = rules
        self._shares: list[float] = []
        self._numbers = self._texts = 0

    def add(self, raw: pa.Table) -> None:
        """Rows of one file or row group."""
        canonical = self._rules.canonical(connect(), raw)
        self._shares.append(1 - canonical["known_age"].null_count / max(canonical.num_rows, 1))
        self._numbers += len(canonical["pid"]) - canonical["pid"].null_count
        no_integer = pc.fill_null(pc.equal(canonical["problem"], NOT_AN_INTEGER), False)
        self._texts += count_text_ids(raw["pid"].filter(no_integer))

    @property
    def known_share(self) -> float:
        return sum(self._shares) / max(len(self._shares), 1)

    def ids(self, declared: str) -> tuple[str, int]:
        """Type of the sampled ids, and the number of ids of another type."""
        kind = id_type(self._texts, self._numbers) if declared == "auto" else declared
        return kind, self._texts if kind == "integer" else 0


def _sample_text(plan: RunPlan, number: int, sample: _Sample) -> int:
    """Rows of a text file, scaled up by bytes from its first chunk, which is added to the ``sample``."""
    file = plan.files[number]
    reader = read_text(file, plan.config.source, ages_needed=not plan.base)
    piece = next(reader, None)
    if piece is None or not piece.rows.num_rows:
        return len(piece.broken) if piece else 0
    sample.add(piece.rows)
    with open_bytes(file) as stream:
        beginning = stream.read(8 << 20)
    packed = pa.compress(beginning, codec=file.compression, asbytes=True) if file.compression else beginning
    factor = max(1.0, file.size / max(len(packed), 1))
    return round((piece.rows.num_rows + len(piece.broken)) * factor)


def _estimate(config: Config, rows: int, text_rows: int, sample: _Sample, source_bytes: int) -> Estimate:
    share = sample.known_share
    workers = config.running.workers or available_cores()
    to_predict = round(rows * (1 - share))
    batches, formula = number_of_batches(to_predict, config.prediction.batch_rows, workers)
    sampled = min(round(rows * share), config.training.sample_rows)
    seconds = (
        RUN_START_SECONDS
        + sampled / TRAIN_RATE
        + (rows / READ_RATE + text_rows / CONVERT_RATE + to_predict / PREDICT_RATE + rows / MERGE_RATE) / workers
    )
    disk = rows * (RESULT_BYTES_A_ROW + QA_BYTES_A_ROW) + to_predict * PREDICTION_BYTES_A_ROW + text_rows * WORKING_BYTES_A_ROW
    disk = max(disk, rows * SCRATCH_BYTES_A_ROW + text_rows * WORKING_BYTES_A_ROW)
    looking = workers * min(rows, BUCKET_ROWS) * BUCKET_BYTES_A_ROW  # search for duplicates, which does not overlap with training
    memory = PARENT_BYTES + workers * WORKER_BYTES + max(sampled * TRAINING_BYTES_A_ROW, looking)
    minutes = seconds / 60
    return Estimate(
        rows,
        text_rows == 0,
        share,
        to_predict,
        batches,
        formula,
        workers,
        minutes,
        memory,
        disk,
        source_bytes,
        config.limits.usd_per_hour,
        cost_usd(minutes, config.limits),
        *sample.ids(config.source.pid_type),
    )
