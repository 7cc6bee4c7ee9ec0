"""Watches a waiting TaskRun from the triggerer, so that no worker is held while a person thinks."""

from typing import Any

from goldgate_airflow.places import POD_TASKS, InCluster, OnThisMachine
from goldgate_airflow.playbook import RUN_TASKS
from goldgate_airflow.triggers.looking import LookingTrigger
from goldgate_airflow.triggers.unwanted import cancel_if_unwanted


class TaskRunTrigger(LookingTrigger):
    """Wakes the task when its run can go on, or when it has waited long enough for what nobody announces.

    Args:
        name: Name of the run.
        asked: Keys of the calls with which it waits for a person; empty if it waits for something else.
        look_every_s: Seconds between looks.
        at_most_s: After so many seconds the task tries anyway. None: never.
        run_tasks: Module of the steps.
        kubernetes_conn_id: Connection of the cluster that the run is in; empty: this machine.
        pod_tasks: Module of the steps of runs in a cluster.
    """

    def __init__(
        self,
        *,
        name: str,
        asked: list[str],
        look_every_s: float,
        at_most_s: float | None = None,
        run_tasks: str = RUN_TASKS,
        kubernetes_conn_id: str = "",
        pod_tasks: str = POD_TASKS,
    ) -> None:
        super().__init__(look_every_s=look_every_s, run_tasks=run_tasks, kubernetes_conn_id=kubernetes_conn_id)
        self.name = name
        self.asked = asked
        self.at_most_s = at_most_s
        self.pod_tasks = pod_tasks

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write what another triggerer needs to go on."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "name": self.name,
            "asked": self.asked,
            "look_every_s": self.look_every_s,
            "at_most_s": self.at_most_s,
            "run_tasks": self.run_tasks,
            "kubernetes_conn_id": self.kubernetes_conn_id,
            "pod_tasks": self.pod_tasks,
        }

    def look(self) -> dict[str, Any]:
        """Ask whether the run can go on. A run that waits for no person is only tried again when it is time."""
        told = self.step("look_at_task", task_run=self.name, asked=self.asked)
        if self.at_most_s is not None and not told.get("is_over"):
            return {"decision": "hold", "reason": told["reason"]}
        return told

    def is_over(self, waited_s: float) -> bool:
        """Whether it is time to try again."""
        return self.at_most_s is not None and waited_s >= self.at_most_s

    async def on_kill(self) -> None:
        """End the run, if a person has decided on its task while it waited."""
        conn_id = self.kubernetes_conn_id
        place = (
            InCluster(name=self.name, spec=None, steps=self.pod_tasks, kubernetes_conn_id=conn_id)
            if conn_id
            else OnThisMachine(name=self.name, spec={}, steps=self.run_tasks)
        )
        await cancel_if_unwanted(self, place)
