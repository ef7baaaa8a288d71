"""State CreatePredictionsTable: the tables of this run, over folders that the prediction tasks will fill."""

from __future__ import annotations

from predict_age.aws.lambdas.runtime import Call, Event, create_table, do_step_once, handler, next_state_input
from predict_age.aws.object_names import PEOPLE_TABLE, PREDICTIONS_TABLE, STAGING_FOLDERS
from predict_age.records.step_facts import CreatePredictionsTableFacts
from predict_age.step import StepResult


@handler
def handle(call: Call) -> Event:
    """Create the tables for predictions and people under names of this run."""
    do_step_once(call, "create_predictions_table", lambda: _create(call))
    return next_state_input(call)


def _create(call: Call) -> StepResult[CreatePredictionsTableFacts]:
    for table in (PREDICTIONS_TABLE, PEOPLE_TABLE):
        create_table(call, table, call.store.url(call.name(STAGING_FOLDERS[table])) + "/")
    tables = [call.staged(PREDICTIONS_TABLE), call.staged(PEOPLE_TABLE)]
    return StepResult(0, CreatePredictionsTableFacts(tables=tables, scanned_bytes=call.athena.scanned))
