"""Run an agent once.

One TaskRun: an agent and a message, or a Task that holds both, or a TaskRun that was applied to the cluster. Give one
of the three: none or several, and the task fails at once and says so. With `GOLDGATE_KUBERNETES_CONN_ID` the run works
as a pod of that cluster and its log comes here; without it, as a process of the worker. Its phases and its answer lie
in the record that the task returns. What it asks of a person stands under *Required Actions*, or is answered with
`goldgate task answer`; meanwhile no worker is held. A task that is marked failed ends its run.
"""

from airflow.sdk import DAG, Param

from goldgate_airflow.defaults import DEFAULT_ARGS
from goldgate_airflow.operators.task_run import AgentTaskRunOperator

with DAG(
    dag_id="agent_task_run",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=16,
    # A retry repeats nothing: it goes on with the same run.
    default_args=DEFAULT_ARGS | {"retries": 5},
    tags=["goldgate", "task-run"],
    params={
        "agent": Param(None, type=["null", "string"], title="Agent", description="Name of the agent to ask."),
        "user_message": Param(
            None, type=["null", "string"], title="Message", format="multiline", description="What to ask it."
        ),
        "task": Param(
            None,
            type=["null", "string"],
            title="Task",
            description="Name of a Task that holds both. Leave agent and message empty then.",
        ),
        "task_run": Param(
            None,
            type=["null", "string"],
            title="TaskRun",
            description="Name of a TaskRun that was applied to the cluster. Leave all else empty then.",
        ),
        "deadline_s": Param(
            None,
            type=["null", "number"],
            exclusiveMinimum=0,
            title="Deadline",
            description="Seconds after its start by which it must be over, waiting for people included.",
        ),
        "max_cost_usd": Param(
            None,
            type=["null", "number"],
            exclusiveMinimum=0,
            title="Cost limit",
            description="US dollars that it may cost. Its agent's own limit holds too.",
        ),
    },
) as dag:
    AgentTaskRunOperator(
        task_id="run",
        task_run="{{ params.task_run or '' }}",
        spec={
            "agent": "{{ params.agent or '' }}",
            "user_message": "{{ params.user_message or '' }}",
            "task": "{{ params.task or '' }}",
            "deadline_s": "{{ params.deadline_s or '' }}",
            "max_cost_usd": "{{ '' if params.max_cost_usd is none else params.max_cost_usd }}",
        },
    )
