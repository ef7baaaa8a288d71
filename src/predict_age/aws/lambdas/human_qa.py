"""State HumanQA: join the people with their predictions, one row a person, for reviewers."""

from __future__ import annotations

from collections import Counter

from predict_age.aws.lambdas.runtime import Call, Event, do_step_once, handler, has_source_ids, next_state_input, unload_table
from predict_age.aws.object_names import HUMAN_QA_TABLE, PEOPLE_TABLE, PREDICTIONS_TABLE
from predict_age.errors import IntegrityError
from predict_age.records.step_facts import HumanQaFacts, ParallelPredictionFacts, ReadSourceFacts
from predict_age.sql import for_athena
from predict_age.step import StepResult
from predict_age.storage.row_accounting import WITHHELD_MINOR


@handler
def handle(call: Call) -> Event:
    """Unload the join into a folder of this execution and create a table over it."""
    do_step_once(call, "human_qa", lambda: _join(call))
    return next_state_input(call)


def check_no_foreign_objects(call: Call) -> None:
    """Raise IntegrityError unless receipts name every object below the tables' folders: Athena would read a foreign one."""
    outputs = call.step("parallel_prediction").outputs
    expected_objects = {call.name(n) for n in outputs if n.startswith(("predictions/", "people/"))}
    stored = {name for kind in ("predictions/", "people/") for name, _ in call.store.names(call.name(kind))}
    if differing := stored ^ expected_objects:
        raise IntegrityError(
            f"{len(differing)} objects of the run are not those that its tasks made",
            expected=f"{len(expected_objects)} objects",
            found=f"{len(stored)}, for example {sorted(differing)[0]}",
            fix="remove foreign objects, then start a new execution",
        )


def _join(call: Call) -> StepResult[HumanQaFacts]:
    check_no_foreign_objects(call)
    tables = {"source_rows": call.staged(PEOPLE_TABLE), PREDICTIONS_TABLE: call.staged(PREDICTIONS_TABLE)}
    ages = call.run()["config"]["ages"]
    query = for_athena("human_qa", tables, source_ids=has_source_ids(call), default_age=ages["default"])
    location = unload_table(call, HUMAN_QA_TABLE, query)
    table = call.staged(HUMAN_QA_TABLE)
    sources, reviews = Counter[str](), Counter[str]()
    for row in call.athena.rows(for_athena("check_human_qa", {HUMAN_QA_TABLE: table})):
        rows = int(row["n"] or 0)
        sources[str(row["prediction_source"])] += rows
        if row["review_reason"]:
            reviews[row["review_reason"]] += rows
    source, prediction = call.facts(ReadSourceFacts), call.facts(ParallelPredictionFacts)
    expected = (source.people, prediction.predicted, (source.withheld or 0) + (prediction.withheld or 0))
    found = (sources.total(), sources["ML_PREDICTION"], sources[WITHHELD_MINOR])
    if found != expected:
        raise IntegrityError(
            "people and predictions disagree",
            expected="{:,} people, {:,} predictions, {:,} withheld".format(*expected),
            found="{:,} people, {:,} predictions, {:,} withheld".format(*found),
        )
    facts = HumanQaFacts(
        by_source=dict(sources), review=dict(reviews), table=table, location=location, scanned_bytes=call.athena.scanned
    )
    return StepResult(sources.total(), facts)
