"""Watches a question that waits in the Airflow UI: whoever answers it elsewhere closes it there too."""

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from goldgate_airflow.playbook import RUN_TASKS
from goldgate_airflow.triggers.looking import LookingTrigger

ELSEWHERE: Final = "Answered elsewhere"
"""What the request in the UI says was chosen, when nobody chose anything there."""


class QuestionTrigger(LookingTrigger):
    """Wakes the task when nobody need answer any more. An answer in the UI wakes it by itself.

    Args:
        name: Name of the run that asks.
        key: Key of the call that asks.
        ti_id: The task instance that asks in the UI.
        look_every_s: Seconds between looks.
        run_tasks: Module of the steps.
        kubernetes_conn_id: Connection of the cluster that the run is in; empty: this machine.
    """

    def __init__(
        self,
        *,
        name: str,
        key: str,
        ti_id: str,
        look_every_s: float,
        run_tasks: str = RUN_TASKS,
        kubernetes_conn_id: str = "",
    ) -> None:
        super().__init__(look_every_s=look_every_s, run_tasks=run_tasks, kubernetes_conn_id=kubernetes_conn_id)
        self.name = name
        self.key = key
        self.ti_id = ti_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write what another triggerer needs to go on."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "name": self.name,
            "key": self.key,
            "ti_id": self.ti_id,
            "look_every_s": self.look_every_s,
            "run_tasks": self.run_tasks,
            "kubernetes_conn_id": self.kubernetes_conn_id,
        }

    def look(self) -> dict[str, Any]:
        """Ask whether the question still waits."""
        return self.step("look_at_question", task_run=self.name, key=self.key)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield what was answered before the task was deferred, else wait until nobody need answer."""
        if (answered := await sync_to_async(self.answered_early)()) is not None:
            yield TriggerEvent(answered)
            return
        async for event in super().run():
            if event.payload["decision"] == "over":
                await sync_to_async(self.close)()
            yield event

    def answered_early(self) -> dict[str, Any] | None:
        """Give an answer that came while the task was still at work: it wakes nobody (Airflow 3.3.2)."""
        from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail

        found = get_hitl_detail_content_detail(ti_id=UUID(self.ti_id))
        if not found.response_received or not found.chosen_options:
            return None
        by = found.responded_by_user
        return {
            "chosen_options": list(found.chosen_options),
            "params_input": found.params_input or {},
            "responded_by_user": None if by is None else {"id": by.id, "name": by.name},
        }

    def close(self) -> None:
        """Mark the request in the UI as answered. Only a triggerer may: a worker's request is refused (3.3.2)."""
        from airflow.sdk.execution_time.hitl import update_hitl_detail_response

        try:
            update_hitl_detail_response(ti_id=UUID(self.ti_id), chosen_options=[ELSEWHERE], params_input={})
        except Exception as error:  # noqa: BLE001 - somebody answers it at this moment; the run has its answer already
            self.log.warning("question.not_closed %s", error)
