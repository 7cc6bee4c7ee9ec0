"""Sees TaskRuns that somebody applied to the cluster, and wakes the DAG that starts them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from goldgate.domain.errors import PermanentError, TransientError
from goldgate_airflow.hooks.cluster import access_of
from goldgate_airflow.places import POD_TASKS
from goldgate_airflow.playbook import step_of

PAUSE_S: Final = 10.0


class AppliedTaskRunsTrigger(BaseEventTrigger):
    """Yields an event for each TaskRun that is there and that nobody tends, as soon as it is seen.

    An event only wakes: Airflow 3.3.2 starts one DAG run for several events that come close together, and on
    PostgreSQL that DAG run may know the first of them only. So who is woken must look for itself.

    Args:
        kubernetes_conn_id: Connection of the cluster. What it holds is read when the trigger runs, and never kept.
        pod_tasks: Module of the steps.
        pause_s: Before it tries again when the cluster cannot be reached.
    """

    def __init__(self, *, kubernetes_conn_id: str, pod_tasks: str = POD_TASKS, pause_s: float = PAUSE_S) -> None:
        super().__init__()
        self.kubernetes_conn_id = kubernetes_conn_id
        self.pod_tasks = pod_tasks
        self.pause_s = pause_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write what another triggerer needs to go on: no key and no address."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "kubernetes_conn_id": self.kubernetes_conn_id,
            "pod_tasks": self.pod_tasks,
            "pause_s": self.pause_s,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield events for as long as there is a triggerer."""
        while True:
            try:
                async for found in self._applied():
                    yield TriggerEvent(found)
            except (PermanentError, TransientError) as error:
                # A connection that is missing may come: a watcher that gave up would be missed by nobody.
                self.log.warning("task_runs.watch_failed %s", error)
            await asyncio.sleep(self.pause_s)

    async def _applied(self) -> AsyncIterator[dict[str, Any]]:
        access = await asyncio.to_thread(access_of, self.kubernetes_conn_id)
        applied_runs = await asyncio.to_thread(step_of, self.pod_tasks, "applied_runs")
        async for found in applied_runs(access=access):
            yield found
