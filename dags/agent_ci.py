"""Check an agent, as on a pull request.

Contract checks, the gold set, the absolute gates and the build, for a candidate that nobody released yet. Writes
nothing into the model registry, so it may run for every commit. The run is red unless the gates pass.

From CI: `airflow dags trigger agent_ci --conf '{"agent": "...", "source": "git:<ref>"}'`
"""

from datetime import timedelta

from airflow.sdk import DAG

from goldgate_airflow.defaults import DEFAULT_ARGS, EVALUATION_POOL
from goldgate_airflow.operators.step import StepOperator
from goldgate_airflow.params import agent_param, source_param

with DAG(
    dag_id="agent_ci",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=8,
    default_args=DEFAULT_ARGS,
    tags=["goldgate", "ci"],
    params={"agent": agent_param(), "source": source_param()},
) as dag:
    StepOperator(
        task_id="ci",
        step="ci",
        in_cluster=True,
        arguments={"agent": "{{ params.agent }}", "source": "{{ params.source or '' }}"},
        fails_unless=("verdict", "pass"),
        pool=EVALUATION_POOL,
        execution_timeout=timedelta(hours=2),
    )
