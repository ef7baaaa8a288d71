"""Outputs of finished steps for later ones: splits, duplicate rows, batches, and the row rules behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.run import RunPlan
from predict_age.source.row_group_reader import Split
from predict_age.source.row_rules import RowRules, id_type_named
from predict_age.step import StepRecord
from predict_age.storage.durable_files import key_of, read_json
from predict_age.storage.workspace import RunFolder

ROWS_PER_TASK = 400_000
SMALL_FILES_ROWS = 20_000  # of several files in one task
SPLITS_PER_TASK = 500


def rows_key(plan: RunPlan, source: StepRecord[ReadSourceFacts]) -> str:
    """Key of the rows and of the duplicates among them: part of the key of everything computed from them."""
    outputs = source.outputs
    return key_of(plan.run_id, plan.identity, outputs["source/splits.json"], outputs["source/duplicates.npy"])


def rules_before_reading(plan: RunPlan) -> RowRules:
    """Row rules of a plan, as long as the source was not read: ids are whole numbers unless the configuration says text."""
    source = plan.config.source
    return RowRules(plan.config.ages, plan.as_of, source.birth_date_format, "text" if source.pid_type == "text" else "integer")


def rules_of(plan: RunPlan, source: ReadSourceFacts) -> RowRules:
    """Row rules of a run whose ``source`` was read."""
    return replace(rules_before_reading(plan), ids=id_type_named(source.pid_type))


def splits_of(folder: RunFolder) -> list[Split]:
    """Splits that ``read_source`` recorded. Paths of working copies are relative to the run, because its folder may be moved."""
    stored = read_json(folder.path / "source" / "splits.json")["splits"]
    splits = [Split(**{**s, "partition": tuple((str(k), v) for k, v in s.get("partition", ()))}) for s in stored]
    return [replace(s, path=folder.place(s.path)) if s.working else s for s in splits]


def training_splits_of(folder: RunFolder) -> tuple[list[Split], list[Split]]:
    """Splits of the source, and those of the training source: none without one."""
    splits = splits_of(folder)
    first = read_json(folder.path / "source" / "splits.json").get("first_training", len(splits))
    return splits[:first], splits[first:]


def duplicate_rows_file(folder: RunFolder) -> Path:
    """File of the duplicate rows that ``read_source`` recorded."""
    return folder.path / "source" / "duplicates.npy"


def unused_rows_file(folder: RunFolder) -> Path:
    """File of the rows of the training source that no model is trained on, where there is a training source."""
    return folder.path / "source" / "unused.npy"


def grouped(splits: list[Split], rows: int = ROWS_PER_TASK, first_training_file: int | None = None) -> list[list[Split]]:
    """Group consecutive splits, about ``rows`` rows a group: those of one file, or of several small files.

    ``first_training_file``: number of the first file of a training source, whose splits are not in a group with others.
    """

    def of_training(split: Split) -> bool:
        return first_training_file is not None and split.file >= first_training_file

    groups: list[list[Split]] = []
    held = 0
    for split in splits:
        last = groups[-1] if groups else []
        most = rows if last and last[-1].file == split.file else SMALL_FILES_ROWS
        if last and held + split.rows <= most and len(last) < SPLITS_PER_TASK and of_training(last[0]) == of_training(split):
            last.append(split)
            held += split.rows
        else:
            groups.append([split])
            held = split.rows
    return groups


def batches_of(folder: RunFolder) -> list[list[int]]:
    """Split ids by batch, as the batch generator wrote them."""
    batches: list[list[int]] = read_json(folder.path / "batches.json")["batches"]
    return batches
