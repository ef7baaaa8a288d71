"""State PostCleanup: remove what was only needed on the way, and give the workspace free."""

from __future__ import annotations

from predict_age.aws.execution_lease import release_execution_lease
from predict_age.aws.lambdas.runtime import Call, Event, do_step_once, handler, next_state_input
from predict_age.aws.object_names import STAGING_FOLDERS
from predict_age.aws.s3_store import client, code_of
from predict_age.records.step_facts import FinalResultsFacts, HumanQaFacts, PostCleanupFacts
from predict_age.step import StepResult
from predict_age.storage.manifest import ON_THE_WAY

GONE = (*ON_THE_WAY, "tasks/", "map/")


@handler
def handle(call: Call) -> Event:
    """Deletes working copies and unloads of attempts that did not count; drops the run's staging tables."""
    do_step_once(call, "post_cleanup", lambda: _clean(call))
    release_execution_lease(call.documents, int(call.event["token"]))
    return next_state_input(call)


def _clean(call: Call) -> StepResult:
    gone = [(n, size) for prefix in GONE for n, size in call.store.names(call.name(prefix))]
    if not call.run()["config"]["running"]["keep_predictions"]:
        gone += call.store.names(call.name("predictions/"))
    unloaded = {"qa/": call.facts(HumanQaFacts).location, "results/": call.facts(FinalResultsFacts).location}
    for folder, location in unloaded.items():
        counts = (location or "").removeprefix(call.store.url(""))
        gone += [(n, size) for n, size in call.store.names(call.name(folder)) if not n.startswith(counts)]
    call.store.delete([n for n, _ in gone])
    glue = client("glue")
    for table in STAGING_FOLDERS:
        try:
            glue.delete_table(DatabaseName=call.database, Name=call.staged(table))
        except Exception as error:
            if code_of(error) != "EntityNotFoundException":
                raise
    return StepResult(0, PostCleanupFacts(freed_bytes=sum(size for _, size in gone), objects=len(gone)))
