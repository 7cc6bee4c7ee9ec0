"""Roll an agent back.

Moves the alias `champion` back to an earlier version. The router follows within a second; nothing is built or started
anew. Without a version, the one that was champion before the present one.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from goldgate_airflow.defaults import DEFAULT_ARGS, TRIGGERED_BY
from goldgate_airflow.operators.step import StepOperator
from goldgate_airflow.params import agent_param, reason_param

with DAG(
    dag_id="agent_rollback",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=8,
    default_args=DEFAULT_ARGS,
    tags=["goldgate", "rollback"],
    params={
        "agent": agent_param(),
        "version": Param(
            None,
            type=["null", "string"],
            pattern=r"^[0-9]+$",
            title="Version",
            description="The version to go back to, a number. Empty: the champion before the present one.",
        ),
        "reason": reason_param(),
    },
) as dag:
    StepOperator(
        task_id="rollback",
        step="rollback",
        arguments={
            "agent": "{{ params.agent }}",
            "to": "{{ params.version or '' }}",
            "reason": "{{ params.reason }}",
            "by": TRIGGERED_BY,
        },
        optional=["to"],
        fails_unless=("outcome", "rolled_back"),
        execution_timeout=timedelta(minutes=5),
    )
