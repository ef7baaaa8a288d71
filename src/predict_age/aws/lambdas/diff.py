"""Comparison of two finished runs on AWS, by Athena: the counts from which the command `diff` makes its summary."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from typing import TypedDict, cast

from predict_age.aws.lambdas.event_members import checked_members
from predict_age.aws.lambdas.rollback import finished_run, verified_manifest
from predict_age.aws.lambdas.runtime import Call, Event, create_table, logger
from predict_age.aws.lambdas.users_view import create_hidden_people_table, shown_people
from predict_age.aws.object_names import COMPARISON_TABLES, RESULTS_TABLE, comparison_began, comparison_table
from predict_age.aws.s3_store import client
from predict_age.errors import ConfigError
from predict_age.records.step_facts import FinalResultsFacts, ReadSourceFacts
from predict_age.sql import for_athena
from predict_age.storage.publication import read_published
from predict_age.storage.row_accounting import NOT_IN_RUN
from predict_age.storage.service_errors import code_of

DAYS_A_YEAR = 365.25
FUNCTION_SECONDS_AT_MOST = 900  # that Lambda lets a function work


class DiffRequest(TypedDict, total=False):
    """Names of two runs, and what counts as a jump; ``people``: name those with the largest ones, by pid."""

    before: str
    after: str
    jump_years: float
    people: bool


def diff_request(value: object) -> DiffRequest:
    """The request inside an event. Raises ConfigError naming what is wrong."""
    kinds = {"before": str, "after": str, "jump_years": float, "people": bool}
    return cast(DiffRequest, checked_members(value, "the event's diff", kinds, ("before", "after")))


def diff_results(call: Call, request: DiffRequest) -> Event:
    """Compare the results of two quarters or finished runs, people who are suppressed now in neither.

    Returns ids, ``expected`` (years between them), rows of ``changes`` (source before, source after, change, people) and of
    ``jumps``. Raises ConfigError for a run that is not there, and for the same one twice; IntegrityError for one that is not valid.
    """
    published = read_published(call.documents)
    runs = [finished_run(call, published, name) for name in (request["before"], request["after"])]
    if runs[0].run_id == runs[1].run_id:
        raise ConfigError(
            "nothing to compare: both names mean the same run",
            expected="two different runs",
            found=f"{request['before']} and {request['after']} are run {runs[0].run_id}",
            fix="name the earlier run by its id",
        )
    create_hidden_people_table(call)
    began = int(time.time())
    _drop_abandoned_tables(call, began)
    comparison = uuid.uuid4().hex[:12]
    dates, rows, tables = [], {}, []
    try:
        for side, run in zip(("before", "after"), runs, strict=True):
            run._athena = call.athena
            result = run.facts(FinalResultsFacts)
            dates.append(dt.date.fromisoformat(verified_manifest(run, result.manifest, result.location or "").as_of))
            tables.append(comparison_table(began, comparison, side))
            create_table(run, RESULTS_TABLE, result.location or "", tables[-1])
            rows[f"predict_age_{side}"] = f"(\n{shown_people(run, tables[-1])}\n)"
        text_ids = all(run.facts(ReadSourceFacts).pid_type == "text" for run in runs)
        expected = (dates[1] - dates[0]).days / DAYS_A_YEAR
        changes = call.athena.rows(for_athena("diff_changes", rows, not_in_run=NOT_IN_RUN))
        jumps = []
        if request.get("people"):
            years = request.get("jump_years")
            years = 5.0 if years is None else float(years)
            jumps = call.athena.rows(for_athena("diff_jumps", rows, source_ids=text_ids, expected=expected, jump_years=years))
    finally:
        for table in tables:
            call.athena.run(f"DROP TABLE IF EXISTS {table}")
    return {"before": runs[0].run_id, "after": runs[1].run_id, "expected": expected, "changes": changes, "jumps": jumps}


def _drop_abandoned_tables(call: Call, now: int) -> None:
    """Drop the tables of comparisons whose function was ended before it could drop them.

    IAM lets the function see the tables that its role may read and leaves out the others. Lake Formation or a policy of the
    organisation may refuse the question: then the tables stay, and the log says so.
    """
    glue = client("glue")
    try:
        pages = glue.get_paginator("get_tables").paginate(DatabaseName=call.database, Expression=f"{COMPARISON_TABLES}.*")
        tables = [str(table["Name"]) for page in pages for table in page["TableList"]]
    except Exception as error:
        if code_of(error) != "AccessDeniedException":
            raise
        logger.warning(json.dumps({"function": "diff", "not_dropped": f"{COMPARISON_TABLES}*", "message": str(error)}))
        return
    for table in tables:
        began = comparison_began(table)
        if began is not None and now - began > FUNCTION_SECONDS_AT_MOST:
            call.athena.run(f"DROP TABLE IF EXISTS {table}")
