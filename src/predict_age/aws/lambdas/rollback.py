"""Results of earlier runs on AWS: verify their objects, and switch readers to one of them."""

from __future__ import annotations

from dataclasses import replace

from predict_age.aws.lambdas.runtime import Call, Event, object_tags, point_table
from predict_age.aws.lambdas.users_view import show_users_view
from predict_age.aws.object_names import HUMAN_QA_TABLE, PREDICTIONS_TABLE, RESULTS_TABLE, STAGING_FOLDERS, reader_tables
from predict_age.errors import ConfigError, IntegrityError
from predict_age.records.json_fields import from_json
from predict_age.records.step_facts import FinalResultsFacts, HumanQaFacts
from predict_age.storage.manifest import Manifest
from predict_age.storage.publication import Published, read_published, update_pointer
from predict_age.storage.retention_rule import RUN_ID


def roll_back_tables(call: Call, to: str) -> Event:
    """Make ``to``, a published quarter or a finished run, current: first the pointer, then the tables. Repeating changes nothing.

    Takes no lease: an execution that goes on publishes its own result when it is done. Raises ConfigError for a run that is
    not there, IntegrityError for one that is not valid; then nothing has changed.
    """
    before = read_published(call.documents)
    then = finished_run(call, before, to)
    if str(then.run().get("suppression_list", "")) != before.suppression_list:
        raise ConfigError(
            f"run {then.run_id} was made with another suppression list: its tables may show people who are suppressed now",
            expected="a run made with the current list",
            found="an older one",
            fix="start a new execution",
        )
    result = then.facts(FinalResultsFacts)
    location = result.location or ""
    manifest = verified_manifest(then, result.manifest, location)
    quarter = manifest.quarter
    update_pointer(call.documents, lambda pointer: pointer.rolled_back(then.run_id, quarter, result.manifest))
    locations = {
        PREDICTIONS_TABLE: call.store.url(then.name(STAGING_FOLDERS[PREDICTIONS_TABLE])) + "/",
        HUMAN_QA_TABLE: then.facts(HumanQaFacts).location or "",
        RESULTS_TABLE: location,
    }
    for name, table in reader_tables(quarter).items():
        point_table(call, name, table, locations[table])
    show_users_view(then)
    return {"run_id": then.run_id, "quarter": quarter, "before": before.current}


def verify_objects(call: Call, which: str) -> Event:
    """Compare every object of the result of ``which``, a quarter, a finished run or "current", with its manifest.

    Returns how many there are. Raises ConfigError for a run that is not there, IntegrityError for one that is not valid.
    """
    published = read_published(call.documents)
    then = finished_run(call, published, which)
    result = then.facts(FinalResultsFacts)
    manifest = verified_manifest(then, result.manifest, result.location or "")
    for name, digest in manifest.files.items():
        stored = call.store.head(then.name(name))
        if stored is None or stored.sha256 != digest:
            raise IntegrityError(
                f"run {then.run_id} is not valid",
                expected="every object as it was written",
                found=f"{name} {'is missing' if stored is None else 'was changed'}",
                fix="roll back to another run, or bring the object's earlier version back",
            )
    counts = {"files": len(manifest.files), "athena": len(manifest.athena or {}), "people": manifest.books.people}
    return {"run_id": then.run_id, "quarter": manifest.quarter, "published": then.run_id in published.run_ids, **counts}


def finished_run(call: Call, published: Published, which: str) -> Call:
    """The call for "current", "previous", a published quarter or a finished run. Raises ConfigError when it is not there."""
    named = {"current": published.current, "previous": published.previous} | published.quarters
    then = replace(call, event={"run_id": named.get(which, which)})
    if not RUN_ID.fullmatch(then.run_id) or call.store.head(then.name("steps/final_results.json")) is None:
        known = ", ".join([*published.quarters, *sorted(published.run_ids)])
        raise ConfigError(f"there is no finished run {which}", expected=f"a quarter or a finished run: {known}", found=which)
    return then


def verified_manifest(then: Call, content_hash: str, location: str) -> Manifest:
    """The manifest of a run, after its content hash and the tag of every object of its result were compared."""
    document, stored_hash = then.store.read_document(then.name("manifest.json"))
    try:
        manifest = from_json(Manifest, document)
    except ValueError as error:
        raise IntegrityError(f"the manifest of run {then.run_id} cannot be understood", found=str(error)) from None
    recorded, stored = manifest.athena or {}, object_tags(then, location)
    problems = [] if stored_hash == content_hash else ["manifest.json is not the recorded one"]
    problems += [f"{name} is missing" for name in recorded.keys() - stored.keys()]
    problems += [f"{name} is foreign" for name in stored.keys() - recorded.keys()]
    problems += [f"{name} was changed" for name in recorded.keys() & stored.keys() if stored[name] != recorded[name]]
    if problems:
        raise IntegrityError(
            f"run {then.run_id} is not valid",
            expected="every object as it was written",
            found="; ".join(sorted(problems)[:5]),
            fix="choose another run, or bring the objects' earlier versions back",
        )
    return manifest
