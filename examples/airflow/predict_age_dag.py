"""Airflow 3: one run a quarter. Put it into the folder of DAGs; `predict-age` must be on the PATH of the workers.

Airflow 2.9 and newer need the package apache-airflow-providers-standard.
"""

from datetime import datetime

from airflow import DAG
from airflow.providers.standard.operators.bash import BashOperator

# The end of the data interval is the time of the event: delivered twice, it is one run. A run by hand may have no interval.
WHEN = "{% set when = data_interval_end | default(dag_run.run_after) %}"

with DAG(
    dag_id="predict_age",
    schedule="0 6 1 1,4,7,10 *",
    start_date=datetime(2025, 10, 1),
    catchup=False,
    max_active_runs=1,  # one workspace, one run
) as dag:
    run = BashOperator(
        task_id="run",
        bash_command=(
            f"{WHEN}predict-age run --source /data/people --workspace /data/work --config /data/predict-age.toml "
            "--features /data/features.toml --as-of {{ when | ds }} --timestamp {{ when.isoformat() }} "
            "--log-json --json"
        ),
        skip_on_exit_code=75,  # another run holds the workspace
        retries=1,  # the same command continues the run
    )
    verify = BashOperator(task_id="verify", bash_command="predict-age verify --workspace /data/work --json")
    run >> verify
