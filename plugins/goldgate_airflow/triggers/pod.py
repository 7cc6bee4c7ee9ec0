"""Watches a TaskRun that works as a pod from the triggerer, and brings the pod's log into the task's log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from airflow.sdk.log import redact
from airflow.triggers.base import BaseTrigger, TriggerEvent

from goldgate.domain.errors import PermanentError, TransientError
from goldgate_airflow.hooks.cluster import access_of
from goldgate_airflow.places import POD_TASKS, InCluster
from goldgate_airflow.playbook import step_of
from goldgate_airflow.said_lines import SaidLines
from goldgate_airflow.storable import storable
from goldgate_airflow.triggers.looking import PATIENCE_S
from goldgate_airflow.triggers.unwanted import cancel_if_unwanted

PAUSE_S: Final = 2.0


class TaskRunPodTrigger(BaseTrigger):
    """Follows the pod of a run, and wakes the task as soon as there is something to do.

    Another triggerer that takes it over begins with the log where this one began: a line may stand in the task's log
    twice, and none is lost. The event carries what was said: Airflow 3.3.2 begins the log of a trigger anew each time
    that a task is deferred in the same try, so whoever defers it again says that once more.

    Args:
        name: Name of the run.
        pod: Name of its pod; empty: none is made yet.
        kubernetes_conn_id: Connection of the cluster. What it holds is read when the trigger runs, and never kept.
        since: The pod's log is known up to this time. None: all of it is new.
        pod_tasks: Module of the steps.
        pause_s: Between two attempts on an API server that does not answer, before the task is woken at all, and after
            the last line of the log.
        patience_s: How long it may not answer before the task is told.
    """

    def __init__(
        self,
        *,
        name: str,
        pod: str,
        kubernetes_conn_id: str,
        since: str | None = None,
        pod_tasks: str = POD_TASKS,
        pause_s: float = PAUSE_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__()
        self.name = name
        self.pod = pod
        self.kubernetes_conn_id = kubernetes_conn_id
        self.since = since
        self.pod_tasks = pod_tasks
        self.pause_s = pause_s
        self.patience_s = patience_s
        self._said = SaidLines()
        self._said_at_s = 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write what another triggerer needs to go on: no key and no address."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "name": self.name,
            "pod": self.pod,
            "kubernetes_conn_id": self.kubernetes_conn_id,
            "since": self.since,
            "pod_tasks": self.pod_tasks,
            "pause_s": self.pause_s,
            "patience_s": self.patience_s,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: what there is to do, or why nobody can tell any more."""
        loop = asyncio.get_running_loop()
        self._said_at_s = loop.time()
        told = await self._watched()
        # Airflow 3.3.2 takes a task that is woken within a moment of its deferral for a failed one, and loses what a
        # trigger said in the moment before its event.
        await asyncio.sleep(max(0.0, self._said_at_s + self.pause_s - loop.time()))
        yield TriggerEvent(storable({**told, "pod": self.pod, "said": self._said.lines(self.pod)}))

    async def on_kill(self) -> None:
        """End the run and its pod, if a person has decided on the task meanwhile."""
        place = InCluster(name=self.name, spec=None, steps=self.pod_tasks, kubernetes_conn_id=self.kubernetes_conn_id)
        await cancel_if_unwanted(self, place)

    async def _watched(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        failing_s = 0.0
        while True:
            tried = loop.time()
            try:
                return await self._watch()
            except PermanentError as error:
                return {"decision": "failed", "reason": str(error)}
            except TransientError as error:
                lasted_s = loop.time() - tried
                # One that lasted had its answers: what failed before it is mended.
                failing_s = 0.0 if lasted_s > self.patience_s else failing_s + lasted_s + self.pause_s
                if failing_s >= self.patience_s:
                    return {"decision": "failed", "reason": f"The cluster cannot be reached; it last said: {error}"}
                self.log.warning("task_run.watch_failed %s", error)
                await asyncio.sleep(self.pause_s)

    async def _watch(self) -> dict[str, Any]:
        # The connection is read at every attempt: its token may have been replaced.
        access = await asyncio.to_thread(access_of, self.kubernetes_conn_id)
        watch = await asyncio.to_thread(step_of, self.pod_tasks, "watch_task")
        told: dict[str, Any] = await watch(
            task_run=self.name, pod=self.pod, access=access, say=self._say, since=self.since
        )
        return told

    def _say(self, line: str) -> None:
        self.log.info("%s", line)
        # The event is kept in the database, where nothing masks what Airflow knows to be secret.
        self._said.keep(str(redact(line)))
        self._said_at_s = asyncio.get_running_loop().time()
