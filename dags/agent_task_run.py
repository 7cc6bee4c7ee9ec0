"""Run an agent once.

One TaskRun: an agent and a message, or a Task that holds both. Its phases and its answer lie in the record that the
task returns. Give one of the two ways: neither or both, and the task fails at once and says so.
"""

from airflow.sdk import DAG, Param

from goldgate_airflow.defaults import DEFAULT_ARGS
from goldgate_airflow.operators.step import StepOperator

with DAG(
    dag_id="agent_task_run",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=16,
    default_args=DEFAULT_ARGS,
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
    },
) as dag:
    StepOperator(
        task_id="run",
        step="run_task",
        arguments={
            "agent": "{{ params.agent or '' }}",
            "user_message": "{{ params.user_message or '' }}",
            "task": "{{ params.task or '' }}",
        },
        optional=["agent", "user_message", "task"],
        fails_unless=("phase", "FinalAnswer"),
    )
