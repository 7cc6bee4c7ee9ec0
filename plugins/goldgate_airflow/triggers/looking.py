"""What every trigger that looks at a TaskRun does: look again and again, and wake the task when there is something."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from goldgate.domain.errors import PermanentError, TransientError
from goldgate_airflow.hooks.cluster import access_of
from goldgate_airflow.playbook import step_of
from goldgate_airflow.storable import storable

PATIENCE_S: Final = 300.0
"""How long looks may fail in a row before the task is told."""


class LookingTrigger(BaseTrigger):
    """Looks until a step says something other than `hold`. All state is in the record of the run."""

    def __init__(
        self, *, look_every_s: float, run_tasks: str, kubernetes_conn_id: str = "", patience_s: float = PATIENCE_S
    ) -> None:
        super().__init__()
        self.look_every_s = look_every_s
        self.run_tasks = run_tasks
        self.kubernetes_conn_id = kubernetes_conn_id
        self.patience_s = patience_s

    def look(self) -> dict[str, Any]:
        """Look once. In a thread of its own."""
        raise NotImplementedError

    def step(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Run one step, in the cluster of the connection if there is one."""
        if (access := access_of(self.kubernetes_conn_id)) is not None:
            arguments["access"] = access
        told: dict[str, Any] = step_of(self.run_tasks, name)(**arguments)
        return told

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: a decision other than `hold`, or why no more looks are possible."""
        loop = asyncio.get_running_loop()
        began = seen = loop.time()
        while True:
            # First a pause: Airflow 3.3.2 takes a task that is woken within a moment of its deferral for a failed one.
            await asyncio.sleep(self.look_every_s)
            try:
                told = await asyncio.to_thread(self.look)
            except PermanentError as error:
                yield TriggerEvent({"decision": "failed", "reason": str(error)})
                return
            except TransientError as error:
                if loop.time() - seen >= self.patience_s:
                    yield TriggerEvent({"decision": "failed", "reason": f"No look succeeded; the last said: {error}"})
                    return
            else:
                seen = loop.time()
                if told["decision"] != "hold":
                    yield TriggerEvent(storable(told))
                    return
            if self.is_over(loop.time() - began):
                yield TriggerEvent({"decision": "go_on", "reason": "It is time to try again."})
                return

    def is_over(self, waited_s: float) -> bool:  # noqa: ARG002 - for those that wait so long only
        """Whether it waited long enough, whatever is seen."""
        return False
