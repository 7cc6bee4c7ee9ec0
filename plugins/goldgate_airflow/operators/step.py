"""One step of the playbook as one Airflow task."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowFailException

from goldgate_airflow.links import EvaluationRunLink, ReportLink
from goldgate_airflow.playbook import PLAYBOOK, release_id_of, run_step


class StepOperator(BaseOperator, SkipMixin):
    """Runs one function of the playbook, and hands its result on as XCom.

    Args:
        step: Name of the function.
        arguments: Its arguments; templates. A release's id is added by `for_release`.
        optional: Arguments for which an empty text means "not given".
        for_release: Whether the step belongs to the release of this DAG run.
        goes_on_if: Field of the result and the value it must have for the next task to run; otherwise that task is
            skipped, and this one succeeds: a negative verdict is a value.
        fails_unless: Field of the result and the values it may have; otherwise this task fails, without a retry.
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
        for_release: bool = True,
        goes_on_if: tuple[str, str] | None = None,
        fails_unless: tuple[str, Sequence[str]] | None = None,
        playbook: str = PLAYBOOK,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.arguments = dict(arguments or {})
        self.optional = tuple(optional)
        self.for_release = for_release
        self.goes_on_if = goes_on_if
        self.fails_unless = fails_unless
        self.playbook = playbook

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step, and act on its result."""
        release = {"release_id": release_id_of(context["ti"].run_id)} if self.for_release else {}
        given = {name: None if name in self.optional and not value else value for name, value in self.arguments.items()}
        result = run_step(self.playbook, self.step, **release, **given)
        self._refuse(result, context)
        self._stop(result, context)
        return result

    def _refuse(self, result: dict[str, Any], context: Context) -> None:
        if self.fails_unless is None or result.get(self.fails_unless[0]) in self.fails_unless[1]:
            return
        context["ti"].xcom_push(key="return_value", value=result)
        field, wanted = self.fails_unless
        reason = result.get("reason") or "no reason was given"
        raise AirflowFailException(
            f"`{self.step}`: {field} is `{result.get(field)}`, expected {' or '.join(wanted)}. {reason}"
        )

    def _stop(self, result: dict[str, Any], context: Context) -> None:
        if self.goes_on_if is None or result.get(self.goes_on_if[0]) == self.goes_on_if[1]:
            return
        # `skip` leaves by an exception, and the result with it.
        context["ti"].xcom_push(key="return_value", value=result)
        self.skip(context["ti"], self.get_direct_relatives(upstream=False))
