"""Starts what was applied to the cluster with `kubectl`: one DAG run for each TaskRun."""

from collections.abc import Sequence
from typing import Any, Final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from goldgate_airflow.dag_runs import start_dag_run
from goldgate_airflow.hooks.cluster import CONN_ID_VARIABLE, conn_id_of_environment
from goldgate_airflow.places import POD_TASKS, run_step_in

TASK_RUN_DAG: Final = "agent_task_run"


class StartAppliedTaskRunsOperator(BaseOperator):
    """Starts a run of `agent_task_run` for every TaskRun that is there and that nobody tends.

    The DAG run bears a name made of the TaskRun's name and uid. So it is started once, however often this runs, and a
    TaskRun that was deleted and applied again is started again.

    Args:
        kubernetes_conn_id: The connection of the cluster. None: what `GOLDGATE_KUBERNETES_CONN_ID` says.
        dag_id: The DAG that works on one TaskRun, named by its param `task_run`.
        pod_tasks: Module of the steps.
    """

    template_fields: Sequence[str] = ("kubernetes_conn_id",)

    def __init__(
        self,
        *,
        kubernetes_conn_id: str | None = None,
        dag_id: str = TASK_RUN_DAG,
        pod_tasks: str = POD_TASKS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kubernetes_conn_id = kubernetes_conn_id
        self.task_run_dag_id = dag_id
        self.pod_tasks = pod_tasks

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - what is there is asked of the cluster
        """Start them, and return the names of those that were not started before."""
        conn_id = conn_id_of_environment() if self.kubernetes_conn_id is None else self.kubernetes_conn_id
        if not conn_id:
            raise AirflowFailException(
                f"Found no {CONN_ID_VARIABLE}; expected the connection of a cluster that TaskRuns are applied to. "
                "Set it for scheduler, triggerer and workers."
            )
        started = []
        for found in run_step_in(conn_id, self.pod_tasks, "applied_now"):
            run_id = f"applied__{found['name']}__{found['uid']}"
            if start_dag_run(self.task_run_dag_id, run_id=run_id, conf={"task_run": found["name"]}):
                self.log.info("task_run.applied name=%s run_id=%s", found["name"], run_id)
                started.append(found["name"])
        return started
