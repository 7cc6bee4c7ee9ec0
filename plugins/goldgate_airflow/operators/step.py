"""One step of the playbook as one Airflow task."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from goldgate_airflow.hooks.cluster import conn_id_of_environment
from goldgate_airflow.links import EvaluationRunLink, ReportLink
from goldgate_airflow.places import run_step_in
from goldgate_airflow.playbook import PLAYBOOK, release_id_of
from goldgate_airflow.storable import storable
from goldgate_airflow.task_states import unwanted_state

_SHOWN: Final = 800
"""Characters of a result in an error message. All of it is in the XCom."""


class StepOperator(BaseOperator, SkipMixin):
    """Runs one function of the playbook, and hands its result on as XCom.

    The function's `release_id` is made of the DAG run's id, and of the map index: the same at every retry.

    Args:
        step: Name of the function.
        arguments: Its arguments; templates.
        optional: Arguments for which an empty text means "not given".
        goes_on_if: Field of the result and the value it must have for the next task to run; otherwise that task is
            skipped, and this one succeeds: a negative verdict is a value.
        fails_unless: Field of the result (dots lead inwards) and the value it must have; otherwise this task fails,
            and is not retried.
        in_cluster: The step may use pods: it is handed the cluster that the environment names, if it names one. A task
            that is marked failed or succeeded meanwhile ends its pod; a worker that ends does not.
        playbook: Module of the steps.
    """

    template_fields: Sequence[str] = ("arguments",)
    operator_extra_links = (EvaluationRunLink(), ReportLink())

    def __init__(
        self,
        *,
        step: str,
        arguments: Mapping[str, Any] | None = None,
        optional: Sequence[str] = (),
        goes_on_if: tuple[str, str] | None = None,
        fails_unless: tuple[str, str] | None = None,
        in_cluster: bool = False,
        playbook: str = PLAYBOOK,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.arguments = arguments or {}
        self.optional = tuple(optional)
        self.goes_on_if = goes_on_if
        self.fails_unless = fails_unless
        self.in_cluster = in_cluster
        self.playbook = playbook
        self._waits_for_pod = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step, and act on its result."""
        ti = context["ti"]
        named = ti.run_id if ti.map_index < 0 else f"{ti.run_id}-{ti.map_index}"
        given = {name: None if name in self.optional and not value else value for name, value in self.arguments.items()}
        where = conn_id_of_environment() if self.in_cluster else ""
        given["release_id"] = release_id_of(named)
        told = self._run_in_pod(ti, where, given) if where else run_step_in("", self.playbook, self.step, **given)
        result: dict[str, Any] = storable(told)
        if not _holds(result, self.fails_unless):
            ti.xcom_push(key="return_value", value=result)
            raise AirflowFailException(_refusal(self.step, result, self.fails_unless))
        if not _holds(result, self.goes_on_if):
            # `skip` leaves by an exception, and would take the result with it.
            ti.xcom_push(key="return_value", value=result)
            self.skip(ti, self.get_direct_relatives(upstream=False))
        return result

    def on_kill(self) -> None:
        """Let go of the pod that is waited for; it is ended if nobody wants its results any more."""
        if self._waits_for_pod:
            self._waits_for_pod = False
            raise _KilledError

    def _run_in_pod(self, ti: Any, where: str, given: Mapping[str, Any]) -> dict[str, Any]:
        self._waits_for_pod = True
        try:
            result: dict[str, Any] = run_step_in(where, self.playbook, self.step, **given)
        except _KilledError as error:
            state = unwanted_state(ti)
            if not state:
                # Whoever takes the task over finds the same pod, and its results.
                raise AirflowException(f"The worker was told to end. `{self.step}` goes on at the next try.") from error
            whose = {key: value for key, value in given.items() if key in {"release_id", "agent"}}
            run_step_in(where, self.playbook, "forget_evaluation", **whose)
            raise AirflowFailException(f"The evaluation was ended: its task is {state}.") from error
        finally:
            self._waits_for_pod = False
        return result


class _KilledError(BaseException):
    """The process was told to end, while it waited. No step takes it for a failure of its own."""


def _holds(result: Mapping[str, Any], rule: tuple[str, str] | None) -> bool:
    return rule is None or _field(result, rule[0]) == rule[1]


def _field(result: Mapping[str, Any], path: str) -> object:
    found: object = result
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _refusal(step: str, result: Mapping[str, Any], rule: tuple[str, str] | None) -> str:
    field, wanted = rule or ("", "")
    shown = str(result["reason"]) if result.get("reason") else json.dumps(result, default=str)
    return f"`{step}`: {field} is `{_field(result, field)}`, expected `{wanted}`. {shown[:_SHOWN]}"
