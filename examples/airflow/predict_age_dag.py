"""Airflow: one run a quarter. Put it into the folder of DAGs; `predict-age` must be on the PATH of the workers."""

from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG(
    dag_id="predict_age",
    schedule="0 6 1 1,4,7,10 *",
    start_date=datetime(2025, 10, 1),
    catchup=False,
    max_active_runs=1,  # one workspace, one run
) as dag:
    # The end of the data interval is the time of the event: delivered twice, it is one run. 75: another run holds the workspace.
    run = BashOperator(
        task_id="run",
        bash_command=(
            "predict-age run --source /data/people --workspace /data/work --config /data/predict-age.toml "
            "--features /data/features.toml --as-of {{ data_interval_end | ds }} --timestamp {{ data_interval_end.isoformat() }} "
            "--log-json --json"
        ),
        skip_on_exit_code=75,
        retries=1,  # the same command continues the run
    )
    verify = BashOperator(task_id="verify", bash_command="predict-age verify --workspace /data/work --json")
    run >> verify
