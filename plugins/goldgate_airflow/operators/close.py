"""The last task of a release: whatever happened before, let the agent go and say the outcome."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from goldgate_airflow.links import EvaluationRunLink, ReportLink
from goldgate_airflow.playbook import PLAYBOOK, release_id_of, run_step


class CloseOperator(BaseOperator):
    """Closes the release of this DAG run; fails unless the candidate was promoted, so that the run shows red.

    Needs `trigger_rule="all_done"`.
    """

    operator_extra_links = (EvaluationRunLink(), ReportLink())

    def __init__(self, *, playbook: str = PLAYBOOK, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.playbook = playbook

    def execute(self, context: Context) -> dict[str, Any]:
        """Close, and tell."""
        ti = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])[ti.run_id]
        order = [task.task_id for task in context["dag"].topological_sort()]
        closing: dict[str, Any] = run_step(
            self.playbook, "close", release_id=release_id_of(ti.run_id), failed_step=ended_at(states, order=order)
        )
        if closing["outcome"] == "promoted":
            return closing
        ti.xcom_push(key="return_value", value=closing)
        raise AirflowFailException(f"{closing['outcome']} at `{closing['step']}`: {closing['reason']}")


def ended_at(states: Mapping[str, str | None], *, order: Sequence[str]) -> str | None:
    """Name the step where the release ended early.

    Args:
        states: State of each task.
        order: The steps, as they follow each other.

    Returns:
        The first step that failed by itself, else the one before the first that was skipped; None if all succeeded.
    """
    failed = next((step for step in order if states.get(step) == "failed"), None)
    if failed:
        return failed
    return next((step for step, then in pairwise(order) if states.get(then) == "skipped"), None)
