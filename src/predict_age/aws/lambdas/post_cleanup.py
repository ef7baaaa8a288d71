"""State PostCleanup: remove temporary files of the run and release the execution lease."""

from __future__ import annotations

from predict_age.aws.execution_lease import release_execution_lease
from predict_age.aws.lambdas.runtime import Call, Event, do_step_once, handler, next_state_input
from predict_age.aws.object_names import STAGING_FOLDERS
from predict_age.aws.s3_store import client
from predict_age.records.step_facts import FinalResultsFacts, HumanQaFacts, PostCleanupFacts
from predict_age.step import StepResult
from predict_age.storage.result_files import is_temporary_file
from predict_age.storage.service_errors import code_of


@handler
def handle(call: Call) -> Event:
    """Delete temporary files and the unloads of superseded attempts; drop the run's staging tables."""
    do_step_once(call, "post_cleanup", lambda: _clean(call))
    release_execution_lease(call.documents, call.token)
    return next_state_input(call)


def _clean(call: Call) -> StepResult[PostCleanupFacts]:
    keep_predictions = bool(call.run()["config"]["running"]["keep_predictions"])
    run = call.name("")
    removable = [(n, size) for n, size in call.store.names(run) if is_temporary_file(n.removeprefix(run), keep_predictions)]
    unloaded = {"qa/": call.facts(HumanQaFacts).location, "results/": call.facts(FinalResultsFacts).location}
    for folder, location in unloaded.items():  # each execution and each failed query has a folder of its own
        valid = (location or "").removeprefix(call.store.url(""))
        removable += [(n, size) for n, size in call.store.names(call.name(folder)) if not n.startswith(valid)]
    call.store.delete([n for n, _ in removable])
    glue = client("glue")
    for table in STAGING_FOLDERS:
        try:
            glue.delete_table(DatabaseName=call.database, Name=call.staged(table))
        except Exception as error:
            if code_of(error) != "EntityNotFoundException":
                raise
    return StepResult(0, PostCleanupFacts(freed_bytes=sum(size for _, size in removable), objects=len(removable)))
