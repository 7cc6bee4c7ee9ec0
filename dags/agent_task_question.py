"""Ask a person what an agent asks.

Started by `agent_task_run`, once for each question. The question stands under *Required Actions* until somebody answers
it there, or with `goldgate task answer` on the command line. Then the agent goes on.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from goldgate_airflow.defaults import DEFAULT_ARGS
from goldgate_airflow.operators.question import QuestionOperator

with DAG(
    dag_id="agent_task_question",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=64,
    default_args=DEFAULT_ARGS | {"retries": 5},
    tags=["goldgate", "task-run"],
    params={
        "task_run": Param(type="string", title="TaskRun", description="Name of the run that asks."),
        "call_key": Param(type="string", title="Call", description="Key of the call that asks."),
        "subject": Param(type="string", title="Subject", description="One line."),
        "body": Param("", type="string", title="Body", format="multiline", description="What is asked."),
        "options": Param(
            ["Approve", "Deny"], type="array", title="Options", description="What a person may choose from."
        ),
        "kubernetes_conn_id": Param(
            "", type="string", title="Connection", description="Of the cluster that the run is in. Empty: this machine."
        ),
    },
) as dag:
    QuestionOperator(
        task_id="ask",
        task_run="{{ params.task_run }}",
        call_key="{{ params.call_key }}",
        subject="{{ params.subject }}",
        body="{{ params.body }}",
        options="{{ params.options | tojson }}",
        kubernetes_conn_id="{{ params.kubernetes_conn_id }}",
        execution_timeout=timedelta(minutes=5),
    )
