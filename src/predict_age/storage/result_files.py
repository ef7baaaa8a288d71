"""Files of a run: which post-cleanup removes, and which therefore belong to the result and its manifest. Same rule on AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

WORKING_COPIES = ("source/working/", "source/routed/")  # of the source, in the pipeline's own format and order
SCRATCH_FOLDERS = (
    "training-*/",
    "reuse-*/",
    "source/scratch-*/",
    "lookup-*/",
    "spill-*/",
)  # of each attempt; a killed one leaves its own
MAP_FOLDERS = ("tasks/", "map/")  # AWS: batch numbers of each task, and what the distributed map reports
PREDICTIONS = "predictions/"
RESULT_STEPS = ("read_source", "training", "batch_generator", "create_predictions_table", "parallel_prediction", "human_qa")
RESULT_RECORDS = ("run.json", "steps/pre_cleanup.json", *(f"steps/{step}.json" for step in RESULT_STEPS))


def temporary_folders(keep_predictions: bool) -> tuple[str, ...]:
    """Patterns of the folders inside a run's folder that post-cleanup removes."""
    folders = (*WORKING_COPIES, *SCRATCH_FOLDERS, *MAP_FOLDERS)
    return folders if keep_predictions else (*folders, PREDICTIONS)


def is_temporary_file(name: str, keep_predictions: bool) -> bool:
    """Whether post-cleanup removes the file ``name`` (its path inside the run's folder)."""
    return any(fnmatchcase(name, f"{folder}*") for folder in temporary_folders(keep_predictions))


def result_files(
    step_outputs: Iterable[Mapping[str, str]], record_hash: Callable[[str], str], keep_predictions: bool
) -> dict[str, str]:
    """Files that the manifest names, with their SHA-256: outputs of the RESULT_STEPS that stay, and the run's records.

    ``record_hash`` returns the SHA-256 of a record of the run by its name.
    """
    outputs = {name: digest for outputs in step_outputs for name, digest in outputs.items()}
    kept = {name: digest for name, digest in outputs.items() if not is_temporary_file(name, keep_predictions)}
    return kept | {name: record_hash(name) for name in RESULT_RECORDS}
