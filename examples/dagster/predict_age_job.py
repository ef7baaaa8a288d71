"""Dagster: one run a quarter, as an asset. `dagster dev -f predict_age_job.py`; `predict-age` must be on the PATH."""

import json
import subprocess

from dagster import AssetExecutionContext, Definitions, Failure, MaterializeResult, ScheduleDefinition, asset, define_asset_job

BUSY = 75  # another run holds the workspace


def command(as_of: str, timestamp: str) -> list[str]:
    """Command of one run. The same time twice is one run."""
    files = ["--source", "/data/people", "--workspace", "/data/work", "--config", "/data/predict-age.toml"]
    return ["predict-age", "run", *files, "--features", "/data/features.toml", "--as-of", as_of, "--timestamp", timestamp, "--json"]


@asset
def ages(context: AssetExecutionContext) -> MaterializeResult:
    """Ages of all people, published in the workspace."""
    scheduled = context.run.tags["dagster/scheduled_execution_time"]  # ISO 8601 with a zone
    done = subprocess.run(command(scheduled[:10], scheduled), capture_output=True, text=True, check=False)
    context.log.info(done.stderr)
    if done.returncode == BUSY:
        return MaterializeResult(metadata={"skipped": "another run holds the workspace"})
    answer = json.loads(done.stdout)
    if done.returncode:
        raise Failure(
            description=answer["error"]["message"], metadata={"exit_code": done.returncode, "fix": answer["error"]["fix"]}
        )
    return MaterializeResult(metadata={"run": answer["run_id"], "people": answer["rows"]["distinct"], "report": answer["report"]})


job = define_asset_job("predict_age", selection=[ages])
definitions = Definitions(
    assets=[ages],
    jobs=[job],
    schedules=[ScheduleDefinition(job=job, cron_schedule="0 6 1 1,4,7,10 *", execution_timezone="UTC")],
)
