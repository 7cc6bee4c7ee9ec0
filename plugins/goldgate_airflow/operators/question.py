"""One question of an agent to a person, under *Required Actions* of the Airflow UI."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow.sdk import BaseOperator, Context, Param
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from goldgate_airflow.places import run_step_in
from goldgate_airflow.playbook import RUN_TASKS
from goldgate_airflow.triggers.question import QuestionTrigger

LOOK_EVERY_S: Final = 2.0
TEXT: Final = Param(
    None,
    # Nullable: the page keeps every button disabled while a param that must be given is empty.
    type=["null", "string"],
    format="multiline",
    title="Text",
    description="For Answer: the answer itself. For Deny: why; the agent reads it.",
)


class QuestionOperator(BaseOperator):
    """Asks a person in the Airflow UI, and leaves the answer for the run that asks.

    The task is deferred while it waits: no worker is held, and when the question is answered on the command line, the
    request in the UI is closed.

    Args:
        task_run: Name of the run that asks. Template, as the others.
        call_key: Key of the call that asks.
        subject: One line.
        body: Markdown.
        options: What a person may choose: a list, or a template that makes it as JSON.
        kubernetes_conn_id: Connection of the cluster that the run is in; empty: this machine.
        run_tasks: Module of the steps.
    """

    template_fields: Sequence[str] = ("task_run", "call_key", "subject", "body", "options", "kubernetes_conn_id")

    def __init__(
        self,
        *,
        task_run: str,
        call_key: str,
        subject: str,
        body: str,
        options: Sequence[str] | str,
        kubernetes_conn_id: str = "",
        run_tasks: str = RUN_TASKS,
        look_every_s: float = LOOK_EVERY_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.task_run = task_run
        self.call_key = call_key
        self.subject = subject
        self.body = body
        self.options = options
        self.kubernetes_conn_id = kubernetes_conn_id
        self.run_tasks = run_tasks
        self.look_every_s = look_every_s

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, and wait."""
        raise self._ask(context)

    def heard(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Leave the answer for the run."""
        if event.get("decision") == "over":
            raise AirflowSkipException(event["reason"])
        if event.get("decision") == "failed":
            raise RuntimeError(event["reason"])
        by = (event.get("responded_by_user") or {}).get("name") or "airflow"
        option = event["chosen_options"][0]
        text = str((event.get("params_input") or {}).get("text") or "")
        said: dict[str, Any] = run_step_in(
            self.kubernetes_conn_id,
            self.run_tasks,
            "answer_task",
            task_run=self.task_run,
            key=self.call_key,
            option=option,
            text=text,
            by=by,
        )
        match said["outcome"]:
            case "answered":
                return {"task_run": self.task_run, "option": option, "text": text, "by": by}
            case "again":
                self.log.warning("question.again %s", said["reason"])
                raise self._ask(context)
            case _:
                raise AirflowSkipException(said["reason"])

    def _ask(self, context: Context) -> TaskDeferred:
        self._tell(context)
        trigger = QuestionTrigger(
            name=self.task_run,
            key=self.call_key,
            ti_id=str(context["ti"].id),
            look_every_s=self.look_every_s,
            run_tasks=self.run_tasks,
            kubernetes_conn_id=self.kubernetes_conn_id,
        )
        return TaskDeferred(trigger=trigger, method_name="heard")

    def _tell(self, context: Context) -> None:
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail

        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=json.loads(self.options) if isinstance(self.options, str) else list(self.options),
            subject=self.subject,
            body=self.body,
            params={"text": TEXT.serialize()},
        )
