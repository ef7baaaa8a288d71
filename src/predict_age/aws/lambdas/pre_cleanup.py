"""State PreCleanup: check the event, take the execution lease, remove runs beyond retention."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Collection

from predict_age.aws import object_names
from predict_age.aws.execution_lease import acquire_execution_lease, current_execution_lease
from predict_age.aws.lambdas.event_members import checked_members
from predict_age.aws.lambdas.old_runs import delete_objects, execution_is_running, prune, run_facts
from predict_age.aws.lambdas.runtime import Call, Event, do_step_once, handler
from predict_age.errors import BusyError, ConfigError, InputError, QualityError
from predict_age.purposes import PurposeError, checked_purpose
from predict_age.records.step_facts import PreCleanupFacts
from predict_age.runs.quarter import latest_complete_quarter
from predict_age.source.glue_table import glue_table, in_glue
from predict_age.step import STEPS, StepResult
from predict_age.storage.documents import ConflictError
from predict_age.storage.durable_files import hashed_json
from predict_age.storage.publication import read_published
from predict_age.storage.result_files import is_temporary_file
from predict_age.storage.retention_rule import DEFAULT_KEEP_RUNS, RUN_ID, RunState, forget_and_delete, removable_runs
from predict_age.storage.service_errors import code_of, is_unanswered
from predict_age.toml_text import parse_toml

TEXTS = ("source", "training_source", "as_of", "time", "config", "features", "purpose", "model")
REQUEST_KEYS = {**dict.fromkeys(TEXTS, str), **dict.fromkeys(("accept", "shadow"), bool)}
EXPECTATION_KEYS = {"expect_published": bool, "time": str}  # of an event that begins no run
SOURCE = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\x00-\x1f\x7f]*)?|glue://[^/\s]+/[^/\s]+/?"
MOST_KEPT_RUNS = 2**63  # TOML has no larger integers


def _checked(event: Event) -> Event:
    """The request inside the event, complete. Raises ConfigError naming what is wrong."""
    request: Event = dict(checked_members(event["request"], "the event", REQUEST_KEYS))
    try:
        time = dt.datetime.fromisoformat(str(request["time"]))
        if time.tzinfo is None:
            raise ValueError("a time without zone")
        request["time"] = time.astimezone(dt.UTC).replace(microsecond=0).isoformat()
        request["as_of"] = dt.date.fromisoformat(str(request.get("as_of") or request["time"][:10])).isoformat()
    except (KeyError, ValueError, OverflowError) as error:
        raise ConfigError(
            "the event's times are wrong",
            expected='"time": "2026-01-01T06:00:00Z" and perhaps "as_of": "2026-01-01"',
            found=str(error),
        ) from None
    try:
        if purpose := checked_purpose(str(request.pop("purpose", ""))):
            request["purpose"] = purpose
    except PurposeError as error:
        raise ConfigError("the event's purpose cannot be used", found=str(error), fix="correct it") from None
    if request.get("training_source") in ("", None):
        request.pop("training_source", None)
    for name in ("source", "training_source") if "training_source" in request else ("source",):
        if not re.fullmatch(SOURCE, str(request.get(name, ""))):
            raise ConfigError(
                f"the event names no {name.replace('_', ' ')}",
                expected=f'"{name}": "s3://bucket/prefix/" or "glue://database/table"',
                found=repr(request.get(name)),
                fix="correct it",
            )
    return request


@handler
def handle(call: Call) -> Event:
    """Return run_id, token, accept, and the ``next`` state: the first one that is not finished.

    An event with ``expect_published`` begins no run: it fails when the quarter has no result. Neither does one with ``prune``.

    "Done" when this run is finished, or another execution works on it: the same event about the same files, twice, is one run.
    """
    if "prune" in call.event:
        return prune(call, call.event["prune"])
    execution = call.text("execution")
    asked = checked_members(call.event.get("request"), "the input of the execution", {}, others=True)
    if asked.get("expect_published"):
        return _expect_published(call)
    request = _checked(call.event)
    request["contents"] = _contents(call, request)
    run_id = object_names.run_id_of(request)
    call.event = {"run_id": run_id, "token": "0", "accept": "1" if request.get("accept") else ""}
    if _finished(call, "post_cleanup"):
        return {**call.event, "next": "Done", "why": f"run {run_id} is finished"}
    try:
        lease = acquire_execution_lease(call.documents, execution, run_id, execution_is_running)
    except BusyError:
        now = current_execution_lease(call.documents)
        if now is not None and now.run_id == run_id:
            return {**call.event, "next": "Done", "why": f"run {run_id} is being done by {now.execution}"}
        raise
    call.event["token"] = str(lease.token)
    request = _kept_request(call, request, run_id)
    do_step_once(call, "pre_cleanup", lambda: _remove_runs(call, request))
    return {**call.event, "next": _next(call), "why": ""}


def _kept_request(call: Call, request: Event, run_id: str) -> Event:
    """The request as it was first understood: "champion" and quarters name other runs after the next publication."""
    made = {**request, "run_id": run_id}
    if request.get("model") and call.store.head(call.name("request.json")) is None:
        made["model_run"] = _run_of_model(call, str(request["model"]))
    try:
        call.store.put(call.name("request.json"), hashed_json(made).encode(), None)
    except ConflictError:
        return call.document("request.json")
    return made


def _run_of_model(call: Call, name: str) -> str:
    """Id of the finished run whose model ``name`` means: "champion", a published quarter, or a run. Raises ConfigError."""
    published = read_published(call.documents)
    run_id = published.champion if name == "champion" else published.quarters.get(name, name)
    finished = object_names.step_record(run_id, "final_results")
    if not RUN_ID.fullmatch(run_id) or run_id in published.removing or call.store.head(finished) is None:
        raise ConfigError(
            f"there is no model {name!r}",
            expected='"champion", a published quarter such as "2025q3", or the id of a finished run',
            found=f"quarters {', '.join(sorted(published.quarters)) or 'none'}",
            fix="leave out model, which trains a new one",
        )
    return run_id


def _expect_published(call: Call) -> Event:
    """Raise QualityError unless the quarter that the event's time belongs to has a published result."""
    request = checked_members(call.event["request"], "the event", EXPECTATION_KEYS)
    try:
        as_of = dt.datetime.fromisoformat(str(request.get("time", ""))).date()
    except ValueError as error:
        raise ConfigError("the event's times are wrong", expected='"time": "2026-01-12T06:00:00Z"', found=str(error)) from None
    quarter, published = latest_complete_quarter(as_of), read_published(call.documents).quarters
    if quarter not in published:
        raise QualityError(
            f"no result was published for {quarter}",
            expected=f"a run of {quarter} by {as_of}",
            found=f"results of {', '.join(sorted(published)) or 'no quarter'}",
            fix="look for an execution that failed or never started, and start one",
        )
    return {"run_id": published[quarter], "token": "0", "accept": "", "next": "Done", "why": f"{quarter} is published"}


def _contents(call: Call, request: Event) -> str:
    """Hash of what the event names: each object of its sources, configuration and feature file, by name, size and tag.

    An event is another run when one of them has changed: a source that was corrected is read, and not taken for done.
    """
    found = _source_contents(call, str(request["source"]), "source")
    if training := request.get("training_source"):
        found += [("training_source", 0, ""), *_source_contents(call, str(training), "training source")]
    for name in ("config", "features"):
        stored = call.store.head(str(request[name])) if request.get(name) else None
        if request.get(name) and stored is None:
            raise _missing(call, request[name])
        found.append((name, stored.size, stored.tag) if stored else (name, 0, ""))
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _source_contents(call: Call, source: str, what: str) -> list[tuple[str, int, str]]:
    """Name, size and tag of each object of a source, after name and version of its table. InputError when there is none."""
    found, locations = [], [source]
    if in_glue(source):
        table = glue_table(source)
        found.append((table.name, 0, table.version))
        if table.metadata:  # which every change of an Iceberg table writes again
            return found
        locations = [part.location for part in table.parts]
    objects = [entry for location in locations for entry in _objects(call, location)]
    if not objects:
        raise InputError(f"the {what} is empty", expected=f"objects below {source}", found="none", fix="put them there")
    return found + objects


def _objects(call: Call, location: str) -> list[tuple[str, int, str]]:
    """Name, size and tag of each object below ``location``."""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    try:
        pages = call.store.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [(o["Key"], o["Size"], o["ETag"]) for page in pages for o in page.get("Contents", [])]
    except Exception as error:
        if is_unanswered(error):
            raise
        raise InputError(
            f"{location} cannot be listed",
            expected="a bucket that the role of pre-cleanup may list",
            found=code_of(error) or type(error).__name__,
            fix="correct the source, or source_bucket of the Terraform module",
        ) from error


def _missing(call: Call, name: str) -> ConfigError:
    return ConfigError(f"{call.store.url(name)} is missing", expected="the file that the event names", fix="upload it")


def _next(call: Call) -> str:
    state = next(s.state for s in STEPS if not _finished(call, s.name))
    return "Report" if state == "PostCleanup" and call.store.head(call.name("report.html")) is None else state


def _finished(call: Call, step: str) -> bool:
    return call.store.head(call.name(f"steps/{step}.json")) is not None


def _remove_runs(call: Call, request: Event) -> StepResult[PreCleanupFacts]:
    """Remove the runs that the retention rule gives up.

    The reader tables of each published quarter show the files of its run: all these runs are in use.
    """
    published = read_published(call.documents)
    in_use = {call.run_id, *published.run_ids, str(request.get("model_run", ""))} - {""}
    removable = removable_runs(run_facts(call.store), published, _keep_runs(call, request), in_use)
    removed = forget_and_delete(call.documents, [r.run_id for r in removable], lambda run_id: delete_objects(call.store, run_id))
    _remove_working_copies(call, {*removed, *published.run_ids})
    return StepResult(len(removed), PreCleanupFacts(removed_runs=removed))


def _remove_working_copies(call: Call, others: Collection[str]) -> None:
    """Delete copies of the source that other executions left: runs that are neither finished nor among the ``others``.

    The execution of such a run makes them again when it is started again.
    """
    for facts in run_facts(call.store):
        if facts.state is RunState.UNFINISHED and facts.run_id not in {call.run_id, *others}:
            run = f"{object_names.run_folder(facts.run_id)}/"
            names = [name for name, _ in call.store.names(run) if is_temporary_file(name.removeprefix(run), keep_predictions=True)]
            call.store.delete(names)


def _keep_runs(call: Call, request: Event) -> int:
    """``running.keep_runs`` of the configuration that the event names. Raises ConfigError when it cannot be read."""
    name = str(request.get("config") or "")
    if not name:
        return DEFAULT_KEEP_RUNS
    stored = call.store.get(name)
    if stored is None:
        raise _missing(call, name)
    where = call.store.url(name)
    try:
        running = parse_toml(stored[0].decode(), where).get("running", {})
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where} is no UTF-8 text", found=str(error), fix="correct it") from None
    if not isinstance(running, dict):
        raise ConfigError(f"{where}: running is no table", expected="[running]", found=type(running).__name__, fix="correct it")
    keep_runs = running.get("keep_runs", DEFAULT_KEEP_RUNS)
    if type(keep_runs) is not int or not 1 <= keep_runs <= MOST_KEPT_RUNS:
        raise ConfigError(
            f"{where}: running.keep_runs is wrong",
            expected="a whole number from 1",
            found=type(keep_runs).__name__ if type(keep_runs) is not int else "a number outside that range",
            fix="correct it",
        )
    return keep_runs
