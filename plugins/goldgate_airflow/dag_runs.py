"""Starts a run of another DAG from a task, once."""

from collections.abc import Mapping
from typing import Any


def start_dag_run(dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> bool:
    """Start a run, unless one of that id was started before. Whether it was started now.

    Raises:
        RuntimeError: Airflow refuses: the DAG is missing or broken.
    """
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    said = SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=dag_id, run_id=run_id, conf=dict(conf)))
    if not isinstance(said, ErrorResponse):
        return True
    if said.error == ErrorType.DAGRUN_ALREADY_EXISTS:
        return False
    msg = f"Airflow did not start `{run_id}` of `{dag_id}`: {said.error} {said.detail}"
    raise RuntimeError(msg)
