"""Release an agent.

Carries one candidate through the playbook. Nothing serves until every step before it said yes.

| Step | What it does | What stops it |
|---|---|---|
| `open` | claims the agent for this release | another release of the same agent is open |
| `check` | holds the agent to its contracts and freezes it | any contract problem, all told at once |
| `evaluate` | asks candidate and champion the gold set, in a pod if there is a cluster | the model cannot be reached |
| `build` | logs the pyfunc model, builds the image | no image where the policy requires one |
| `judge` | holds the figures to the gates | FAIL or UNDECIDED: the rest is skipped |
| `register` | makes a version of the registered model | |
| `canary` | sends it a rising share of live traffic; holds no worker while it waits | a broken guardrail |
| `promote` | moves the alias `champion`, compare-and-set | somebody else moved it meanwhile |
| `close` | always: lets the agent go, and tells the outcome | not promoted: the run is red, with the reason |

A task that failed or was killed may be cleared: it goes on with the same release.
"""

from datetime import timedelta

from airflow.sdk import DAG

from goldgate_airflow.defaults import DEFAULT_ARGS, EVALUATION_POOL, TRIGGERED_BY
from goldgate_airflow.operators.canary import CanaryOperator
from goldgate_airflow.operators.close import CloseOperator
from goldgate_airflow.operators.step import StepOperator
from goldgate_airflow.params import agent_param, reason_param, source_param

with DAG(
    dag_id="agent_release",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=8,
    default_args=DEFAULT_ARGS,
    tags=["goldgate", "release"],
    params={"agent": agent_param(), "source": source_param(), "reason": reason_param()},
) as dag:
    open_release = StepOperator(
        task_id="open",
        step="open_release",
        arguments={
            "agent": "{{ params.agent }}",
            "source": "{{ params.source or '' }}",
            "reason": "{{ params.reason }}",
            "by": TRIGGERED_BY,
        },
    )
    check = StepOperator(task_id="check", step="check")
    evaluate = StepOperator(
        task_id="evaluate",
        step="evaluate",
        in_cluster=True,
        pool=EVALUATION_POOL,
        execution_timeout=timedelta(hours=2),
    )
    build = StepOperator(task_id="build", step="build", execution_timeout=timedelta(hours=1))
    judge = StepOperator(task_id="judge", step="judge", goes_on_if=("verdict", "pass"))
    register = StepOperator(task_id="register", step="register")
    canary = CanaryOperator(task_id="canary")
    promote = StepOperator(task_id="promote", step="promote")
    close = CloseOperator(task_id="close", trigger_rule="all_done", retries=5)

    open_release >> check >> evaluate >> build >> judge >> register >> canary >> promote >> close
