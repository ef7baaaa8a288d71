"""State CreatePredictionsTable: the tables of this run, over folders that the prediction tasks will fill."""

from __future__ import annotations

from predict_age.aws.lambdas.runtime import Call, Event, create_table, handler, once, passed_on
from predict_age.aws.object_names import PEOPLE, PREDICTIONS, STAGED
from predict_age.step import StepResult


@handler
def handle(call: Call) -> Event:
    """Creates the tables for predictions and people under names of this run."""
    once(call, "create_predictions_table", lambda: _create(call))
    return passed_on(call)


def _create(call: Call) -> StepResult:
    for table in (PREDICTIONS, PEOPLE):
        create_table(call, table, call.store.url(call.name(STAGED[table])) + "/")
    return StepResult(0, {"tables": [call.staged(PREDICTIONS), call.staged(PEOPLE)], "scanned_bytes": call.athena.scanned})
