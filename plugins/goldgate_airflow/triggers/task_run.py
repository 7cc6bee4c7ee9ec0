"""Watches a waiting TaskRun from the triggerer, so that no worker is held while a person thinks."""

import asyncio
from typing import Any

from goldgate_airflow.playbook import RUN_TASKS
from goldgate_airflow.triggers.looking import LookingTrigger


class TaskRunTrigger(LookingTrigger):
    """Wakes the task when its run can go on, or when it has waited long enough for what nobody announces.

    Args:
        name: Name of the run.
        asked: Keys of the calls with which it waits for a person; empty if it waits for something else.
        look_every_s: Seconds between looks.
        at_most_s: After so many seconds the task tries anyway. None: never.
        run_tasks: Module of the steps.
    """

    def __init__(
        self,
        *,
        name: str,
        asked: list[str],
        look_every_s: float,
        at_most_s: float | None = None,
        run_tasks: str = RUN_TASKS,
    ) -> None:
        super().__init__(look_every_s=look_every_s, run_tasks=run_tasks)
        self.name = name
        self.asked = asked
        self.at_most_s = at_most_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write what another triggerer needs to go on."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "name": self.name,
            "asked": self.asked,
            "look_every_s": self.look_every_s,
            "at_most_s": self.at_most_s,
            "run_tasks": self.run_tasks,
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
        """End the run: a person has decided on its task while it waited."""
        await asyncio.to_thread(
            self.step, "cancel_task", task_run=self.name, reason="its task was ended in Airflow", by="airflow"
        )
