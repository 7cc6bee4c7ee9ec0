"""Start what was applied with `kubectl`.

`kubectl apply -f taskrun.yaml` is all that it takes: the triggerer watches the cluster of
`GOLDGATE_KUBERNETES_CONN_ID`, and this DAG starts one run of `agent_task_run` for each TaskRun that nobody tends yet.
Several may be started by one run, and a TaskRun is started once, however often this runs. Without that variable there
is nothing to watch.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetWatcher

from goldgate_airflow.defaults import DEFAULT_ARGS
from goldgate_airflow.hooks.cluster import conn_id_of_environment
from goldgate_airflow.operators.applied import StartAppliedTaskRunsOperator
from goldgate_airflow.triggers.applied import AppliedTaskRunsTrigger

CLUSTER = conn_id_of_environment()
APPLIED = [
    Asset(
        name="goldgate_applied_task_runs",
        watchers=[
            AssetWatcher(name="applied_task_runs", trigger=AppliedTaskRunsTrigger(kubernetes_conn_id=CLUSTER)),
        ],
    )
]

with DAG(
    dag_id="agent_task_run_applied",
    doc_md=__doc__,
    schedule=APPLIED if CLUSTER else None,
    # What is applied while this runs is an event of its own, and the next run finds it.
    max_active_runs=1,
    default_args=DEFAULT_ARGS | {"retries": 5, "execution_timeout": timedelta(minutes=5)},
    tags=["goldgate", "task-run"],
) as dag:
    StartAppliedTaskRunsOperator(task_id="start")
