"""State FinalResults: merge, reconcile the row accounting, and only then publish."""

from __future__ import annotations

from dataclasses import replace

from predict_age.aws.lambdas.diff import diff_request, diff_results
from predict_age.aws.lambdas.rollback import roll_back_tables, verify_objects
from predict_age.aws.lambdas.runtime import (
    Call,
    Event,
    do_step_once,
    handler,
    has_source_ids,
    next_state_input,
    object_tags,
    point_table,
    unload_table,
)
from predict_age.aws.lambdas.users_view import show_users_view
from predict_age.aws.object_names import HUMAN_QA_TABLE, PEOPLE_TABLE, RESULTS_TABLE, reader_tables
from predict_age.errors import IntegrityError
from predict_age.records.json_fields import as_json
from predict_age.records.step_facts import FinalResultsFacts, ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.sql import for_athena
from predict_age.step import StepResult
from predict_age.storage.durable_files import hashed_json, parse_hashed_json
from predict_age.storage.manifest import manifest_contents
from predict_age.storage.publication import publish
from predict_age.storage.result_files import RESULT_STEPS, result_files
from predict_age.storage.row_accounting import WITHHELD_MINOR, RowAccounting
from predict_age.tally import AGE_BINS, PCT_BINS, Tally


@handler
def handle(call: Call) -> Event:
    """Unload the result, check it, and switch the published tables and the pointer to it.

    Invoked by hand with ``{"rollback_to": QUARTER or RUN}``: switch them to an earlier result; with ``{"verify": ...}``: compare
    every object of a result with its manifest; with ``{"diff": {"before": ..., "after": ...}}``: compare two results.
    """
    if "diff" in call.event:
        return diff_results(call, diff_request(call.event["diff"]))
    if "verify" in call.event:
        return verify_objects(call, call.text("verify"))
    if "rollback_to" in call.event:
        return roll_back_tables(call, call.text("rollback_to"))
    do_step_once(call, "final_results", lambda: _merge(call))
    return next_state_input(call)


def _merge(call: Call) -> StepResult[FinalResultsFacts]:
    run = call.run()
    stamp = run["timestamp"][:19].replace("T", " ")
    usable = float(run["config"]["prediction"]["usable_from_pct"])
    query = for_athena(
        "final_results",
        {HUMAN_QA_TABLE: call.staged(HUMAN_QA_TABLE)},
        source_ids=has_source_ids(call),
        qa_timestamp=stamp,
        run_id=call.run_id,
        usable_from_pct=usable,
    )
    location = unload_table(call, RESULTS_TABLE, query)
    table = call.staged(RESULTS_TABLE)
    tally = _tally(call.athena.rows(for_athena("check_results", {RESULTS_TABLE: table})))
    books = _reconciled(call, tally, table)
    manifest = manifest_text(call, books, tally, location)
    content_hash = parse_hashed_json(manifest.encode(), "manifest.json")[1]
    call.store.put_part(call.name("manifest.json"), manifest.encode())
    call.lease.check()
    quarter = run["quarter"]
    if not run["shadow"]:
        publish(call.documents, call.token, call.run_id, quarter, content_hash, str(run.get("suppression_list", "")))
        _show(call, quarter)
    facts = FinalResultsFacts(
        rows=books.counts(),
        quality=books.quality(tally),
        table="" if run["shadow"] else f"{RESULTS_TABLE}_{quarter}",
        tally=tally,
        manifest=content_hash,
        location=location,
        scanned_bytes=call.athena.scanned,
    )
    return StepResult(books.people, facts)


def _tally(rows: list[dict[str, str | None]]) -> Tally:
    """Counters and histograms of the result, as the local pipeline takes them from the written files.

    Raises ValueError where anybody but a withheld person has NULL, and IntegrityError where a withheld one has a number.
    """
    total = Tally()
    for row in rows:
        source = row["prediction_source"]
        if source == WITHHELD_MINOR:
            if row["predicted_age"] is not None or row["pct_bin"] is not None or row["usable_rows"] != "0":
                raise IntegrityError("a withheld person has a number, nothing was published", found=str(row))
            total += Tally({f"rows:{source}": int(str(row["n"]))})
            continue
        n, age, pct_bin, high, usable = (int(str(row[c])) for c in ("n", "predicted_age", "pct_bin", "high", "usable_rows"))
        ages, pct = [0] * AGE_BINS, [0] * PCT_BINS
        ages[age], pct[pct_bin] = n, n
        counts = {f"rows:{source}": n, f"high:{source}": high, f"usable:{source}": usable}
        total += Tally(counts, {f"age:{source}": ages, f"pct:{source}": pct})
    return total


def _reconciled(call: Call, tally: Tally, table: str) -> RowAccounting:
    """Row accounting of the result, reconciled with the source; raises IntegrityError when a number differs."""
    source = call.facts(ReadSourceFacts)
    books = RowAccounting.of(source, tally)
    people = call.athena.rows(for_athena("check_people", {RESULTS_TABLE: table, PEOPLE_TABLE: call.staged(PEOPLE_TABLE)}))[0]
    counts = [int(people[k] or 0) for k in ("result_rows", "people", "matched")]
    if counts != [books.people] * 3:
        raise IntegrityError(
            "the result does not hold every person exactly once, nothing was published",
            expected=f"{books.people:,} rows, people, and people of the source",
            found=", ".join(f"{n:,}" for n in counts),
        )
    prediction = call.facts(ParallelPredictionFacts)
    expected = (prediction.predicted, source.known, (source.withheld or 0) + (prediction.withheld or 0))
    found = (books.predicted, books.existing, books.withheld or 0)
    if found != expected:
        raise IntegrityError(
            "results and predictions disagree, nothing was published",
            expected="{:,} predicted, {:,} known, {:,} withheld".format(*expected),
            found="{:,} predicted, {:,} known, {:,} withheld".format(*found),
        )
    return books


def manifest_text(call: Call, books: RowAccounting, tally: Tally, location: str) -> str:
    """Text of manifest.json: SHA-256 of each file that this program wrote, size and tag of each object that Athena wrote."""
    run = call.run()
    outputs = [call.step(step).outputs for step in RESULT_STEPS]
    files = result_files(outputs, lambda name: _record_hash(call, name), bool(run["config"]["running"]["keep_predictions"]))
    manifest = manifest_contents(run, call.facts(ReadSourceFacts), call.facts(TrainingFacts), books, tally, files)
    return hashed_json(as_json(replace(manifest, athena=object_tags(call, location))))


def _record_hash(call: Call, name: str) -> str:
    """SHA-256 with which a record of the run was stored. Raises IntegrityError when it is missing or has no such hash."""
    stored = call.store.head(call.name(name))
    if stored is None or not stored.sha256:
        raise IntegrityError(
            f"{call.store.url(call.name(name))} cannot be named in the manifest",
            expected="the record as a state of this run wrote it, with its SHA-256",
            found="no object" if stored is None else "an object without SHA-256",
            fix="start a new execution",
        )
    return stored.sha256


def _show(call: Call, quarter: str) -> None:
    """Point the readers' tables at this run's folders: each switch is one call, so a reader sees the old or the new result."""
    for name, table in reader_tables(quarter).items():
        point_table(call, name, call.staged(table))
    show_users_view(call)
