"""Common parts of the six functions: their environment, the run, its lease, its records."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from predict_age.aws import object_names
from predict_age.aws.athena import MOST_QUERIES, Athena
from predict_age.aws.execution_lease import HeldLease
from predict_age.aws.lambdas.event_members import checked_members
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store, client, service_error
from predict_age.errors import ConfigError, PredictAgeError
from predict_age.records.step_facts import Facts, ReadSourceFacts
from predict_age.sql import for_athena, unload
from predict_age.step import StepRecord, StepResult, step_named
from predict_age.storage.durable_files import hashed_json
from predict_age.storage.service_errors import code_of

logger = logging.getLogger("predict_age")
Event = dict[str, Any]
F = TypeVar("F", bound=Facts)


@dataclass
class Call:
    """One invocation. ``event`` has run_id and token once PreCleanup is done."""

    event: Event
    store: Store
    database: str
    workgroup: str
    _athena: Athena | None = field(default=None, repr=False)

    def text(self, name: str) -> str:
        """The member ``name`` of the event. Raises ConfigError where it is missing, empty or no text."""
        if text := str(checked_members(self.event, "the event", {name: str}, [name], others=True)[name]):
            return text
        raise ConfigError(f"the event has an empty {name}", expected=f'"{name}": a text', found='""', fix="correct it")

    @property
    def run_id(self) -> str:
        return self.text("run_id")

    @property
    def token(self) -> int:
        token = self.text("token")
        if not token.isdecimal():
            raise ConfigError("the event has a wrong token", expected="the number that PreCleanup returned", found=repr(token))
        return int(token)

    @property
    def documents(self) -> S3Documents:
        return S3Documents(self.store)

    @property
    def lease(self) -> HeldLease:
        return HeldLease(self.documents, self.token)

    @property
    def athena(self) -> Athena:
        if self._athena is None:
            self._athena = Athena(self.workgroup, self.database)
        return self._athena

    def name(self, inside: str) -> str:
        return f"{object_names.run_folder(self.run_id)}/{inside}"

    def document(self, name: str) -> dict[str, Any]:
        """A document of the run with a content hash. Raises IntegrityError when it is missing or damaged."""
        return self.store.document(self.name(name))

    def step(self, name: str) -> StepRecord[Facts]:
        """The record of a finished step."""
        return StepRecord.from_json(self.document(f"steps/{name}.json"), name)

    def facts(self, kind: type[F]) -> F:
        """Facts of the finished step that leaves this ``kind``."""
        facts = self.step(kind.step).facts
        assert isinstance(facts, kind)
        return facts

    def run(self) -> dict[str, Any]:
        """run.json."""
        return self.document("run.json")

    def staged(self, table: str) -> str:
        return object_names.staging_table(table, self.run_id)


def call_of(event: Event, context: Any) -> Call:
    """The invocation that ``event`` and Lambda's ``context`` describe; the workspace is named by the environment."""
    env = os.environ
    store = Store(env["PREDICT_AGE_BUCKET"], env.get("PREDICT_AGE_PREFIX", "predict-age"))
    return Call(event, store, env["PREDICT_AGE_DATABASE"], env["PREDICT_AGE_WORKGROUP"])


def handler(function: Callable[[Call], Event]) -> Callable[[Event, Any], Event]:
    """Make a Lambda handler: one line of JSON in the log for each call, without pids, ages or payloads."""

    @wraps(function)
    def handle(event: Event, context: Any) -> Event:
        began = time.monotonic()
        entry: Event = {"function": function.__module__.rpartition(".")[2]}
        try:
            checked_members(event, "the event", {"run_id": str}, others=True)
            entry["run_id"] = event.get("run_id") or ""
            result = function(call_of(event, context))
            entry["outcome"] = "done"
            return result
        except Exception as error:
            known = error if isinstance(error, PredictAgeError) else service_error(error)
            entry["outcome"] = type(known or error).__name__
            if known is not None:
                entry |= {"exit_code": known.exit_code, "message": str(known)}
            if known is None or known is error:
                raise
            raise known from error
        finally:
            entry["seconds"] = round(time.monotonic() - began, 3)
            logger.warning(json.dumps(entry))

    return handle


def do_step_once(call: Call, step: str, work: Callable[[], StepResult[Facts]]) -> None:
    """Do a step unless its record exists, then write the record. Requires a lease that is in force."""
    call.lease.check()
    if call.store.head(call.name(f"steps/{step}.json")) is not None:
        call.step(step)  # raises IntegrityError when it is damaged
        return
    began = time.monotonic()
    result = work()
    call.lease.check()
    record = StepRecord.of(step_named(step), result, time.monotonic() - began)
    call.store.put_part(call.name(f"steps/{step}.json"), hashed_json(record.as_json()).encode())


def create_table(call: Call, table: str, location: str, name: str = "") -> None:
    """Create the run's ``table``, or one of its kind with another ``name``, over the files below ``location``."""
    statement = f"{table.removeprefix('predict_age_')}_table"
    call.athena.run(for_athena(statement, {table: name or call.staged(table)}, location, source_ids=has_source_ids(call)))


def has_source_ids(call: Call) -> bool:
    """Whether the ids of the run's source are text, so that its tables have the column ``source_id``."""
    return call.facts(ReadSourceFacts).pid_type == "text"


def unload_table(call: Call, table: str, query: str) -> str:
    """Unload the rows of ``query`` into a folder of this execution and create the run's ``table`` over it; returns the folder.

    A call that follows one whose time was over waits for the query that runs already. Where a query failed in an earlier call,
    the next folder is taken: Athena unloads into empty folders only.
    """
    folder = call.store.url(call.name(f"{object_names.STAGING_FOLDERS[table]}/{call.token}"))
    locations = [f"{folder}-{number}/" for number in range(MOST_QUERIES)]
    work = f"{call.run_id}/{call.token}/{table}"
    location = locations[call.athena.run_once(work, lambda number: unload(query, locations[number]))]
    call.athena.run(f"DROP TABLE IF EXISTS {call.staged(table)}")  # of a call that ended in between
    create_table(call, table, location)
    return location


def object_tags(call: Call, location: str) -> dict[str, str]:
    """Size and tag of every object below ``location``, by its name inside the run's folder."""
    found = {}
    for name, size in call.store.names(location.removeprefix(call.store.url(""))):
        now = call.store.head(name)
        found[name.removeprefix(call.name(""))] = f"{size}:{now.tag if now else ''}"
    return found


def point_table(call: Call, name: str, like: str, location: str = "") -> None:
    """Make the table ``name`` read what the table ``like`` reads, or the files below ``location``.

    One call to the catalogue: a reader sees the old location or the new one.
    """
    glue = client("glue")
    found = glue.get_table(DatabaseName=call.database, Name=like)["Table"]
    storage = found["StorageDescriptor"]
    wanted = {
        "Name": name,
        "TableType": found["TableType"],
        "Parameters": found.get("Parameters", {}),
        "PartitionKeys": [],
        "StorageDescriptor": {**storage, "Location": location or storage["Location"]},
    }
    try:
        glue.update_table(DatabaseName=call.database, TableInput=wanted)
    except Exception as error:
        if code_of(error) != "EntityNotFoundException":
            raise
        glue.create_table(DatabaseName=call.database, TableInput=wanted)


def next_state_input(call: Call) -> Event:
    """Input of the next state: small, whatever the run's size."""
    return {k: call.event[k] for k in ("run_id", "token")}
