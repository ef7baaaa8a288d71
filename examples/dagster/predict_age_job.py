"""Dagster: one run a quarter, as an asset. `dagster dev -f predict_age_job.py`; `predict-age` must be on the PATH."""

import json
import subprocess
from datetime import date

from dagster import (
    AssetExecutionContext,
    Config,
    DefaultScheduleStatus,
    Definitions,
    Failure,
    MaterializeResult,
    RetryPolicy,
    RunConfig,
    RunRequest,
    ScheduleEvaluationContext,
    asset,
    define_asset_job,
    schedule,
)

BUSY = 75  # another run holds the workspace
AGAIN = (6, 137, 143)  # out of resources, killed, or stopped by SIGTERM: the same command continues the run


class Event(Config):
    """When the ages are for. By hand, both may stay empty: today, and a run of its own."""

    as_of: str = ""  # YYYY-MM-DD
    timestamp: str = ""  # ISO 8601 with a zone; the same time twice is one run


def command(event: Event) -> list[str]:
    """Command of one run."""
    files = ["--source", "/data/people", "--workspace", "/data/work", "--config", "/data/predict-age.toml"]
    when = ["--as-of", event.as_of or date.today().isoformat(), *(["--timestamp", event.timestamp] if event.timestamp else [])]
    return ["predict-age", "run", *files, "--features", "/data/features.toml", *when, "--json"]


@asset(retry_policy=RetryPolicy(max_retries=1, delay=60))  # of failures that allow it, see below
def ages(context: AssetExecutionContext, config: Event) -> MaterializeResult:
    """Ages of all people, published in the workspace."""
    done = subprocess.run(command(config), capture_output=True, text=True, check=False)
    context.log.info(done.stderr)
    if done.returncode == BUSY:
        return MaterializeResult(metadata={"skipped": "another run holds the workspace"})
    if done.returncode:
        error = json.loads(done.stdout)["error"] if done.stdout else {"message": done.stderr or "it was killed", "fix": ""}
        raise Failure(
            description=error["message"],
            metadata={"exit_code": done.returncode, "fix": error["fix"]},
            allow_retries=done.returncode in AGAIN or done.returncode < 0,
        )
    answer = json.loads(done.stdout)
    return MaterializeResult(metadata={"run": answer["run_id"], "people": answer["rows"]["distinct"], "report": answer["report"]})


job = define_asset_job("predict_age", selection=[ages])


@schedule(job=job, cron_schedule="0 6 1 1,4,7,10 *", execution_timezone="UTC", default_status=DefaultScheduleStatus.RUNNING)
def every_quarter(context: ScheduleEvaluationContext) -> RunRequest:
    """Ask for the run of the tick. Its time is the time of the event: evaluated twice, it is one run."""
    tick = context.scheduled_execution_time
    event = Event(as_of=tick.date().isoformat(), timestamp=tick.isoformat())
    return RunRequest(run_key=event.timestamp, run_config=RunConfig(ops={"ages": event}))


definitions = Definitions(assets=[ages], jobs=[job], schedules=[every_quarter])
