"""Names of objects and tables of a run on AWS: one place for all of them. Imports nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

PREDICTIONS_TABLE, HUMAN_QA_TABLE, RESULTS_TABLE = "predict_age_predictions", "predict_age_human_qa", "predict_age_final_results"
PEOPLE_TABLE = "predict_age_people"
COMPARISON_TABLES = f"{RESULTS_TABLE}_diff_"  # beginning of their names
HIDDEN_PEOPLE_FOLDER = "hidden"
HIDDEN_PEOPLE_FILE = f"{HIDDEN_PEOPLE_FOLDER}/people.parquet"
STAGING_FOLDERS = {
    PEOPLE_TABLE: "people",
    PREDICTIONS_TABLE: "predictions",
    HUMAN_QA_TABLE: "qa",
    RESULTS_TABLE: "results",
}  # table -> folder of the run


def run_id_of(event: Mapping[str, object]) -> str:
    """Id of the run that an event requests: its time, and a hash of everything that decides the result.

    ``event`` holds, as "contents", a hash of what it names: equal events about equal files have equal ids.
    """
    stamp = re.sub(r"[-:]", "", str(event["time"])[:19])
    identity = json.dumps({k: v for k, v in event.items() if k != "accept"}, sort_keys=True)
    return f"{stamp}Z-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def run_folder(run_id: str) -> str:
    """Folder of the run's objects."""
    return f"runs/{run_id}"


def step_record(run_id: str, step: str) -> str:
    """Name of the record of a finished step."""
    return f"{run_folder(run_id)}/steps/{step}.json"


def failure_text(run_id: str, token: int) -> str:
    """Name of the text in which a container says what it could not do, for the execution that holds the lease ``token``."""
    return f"{run_folder(run_id)}/failures/{token}.txt"


def receipt(run_id: str, batch: int) -> str:
    """Name of the receipt of a batch. Not in the batch's folder: Athena reads every object of a table's folder."""
    return f"{run_folder(run_id)}/receipts/batch_{batch}.json"


def batch_file(run_id: str, kind: str, batch: int) -> str:
    """Name of a file of a batch; ``kind`` is "predictions" or "people"."""
    return f"{run_folder(run_id)}/{kind}/batch_{batch}.parquet"


def reader_tables(quarter: str) -> dict[str, str]:
    """Readers' tables, each with the table of a run that it shows, in the order in which they are switched."""
    return {
        PREDICTIONS_TABLE: PREDICTIONS_TABLE,
        HUMAN_QA_TABLE: HUMAN_QA_TABLE,
        f"{RESULTS_TABLE}_{quarter}": RESULTS_TABLE,
        RESULTS_TABLE: RESULTS_TABLE,
    }


def hidden_people_salt(workspace: str) -> str:
    """Salt that precedes a pid in its digest among the hidden people: another workspace has other digests."""
    return f"{workspace.rstrip('/')} "


def staging_table(table: str, run_id: str) -> str:
    """The table of one run, before it is published under its own name."""
    return f"{table}_run_{run_id.lower().replace('-', '_')}"


def comparison_table(began: int, comparison: str, side: str) -> str:
    """The table of one side of a comparison, which nobody else has; ``began`` is when it began, in seconds since 1970."""
    return f"{COMPARISON_TABLES}{began}_{comparison}_{side}"


def comparison_began(table: str) -> int | None:
    """When the comparison of a table began; None for any other table."""
    found = re.fullmatch(rf"{COMPARISON_TABLES}(\d+)_\w+", table)
    return int(found[1]) if found else None
