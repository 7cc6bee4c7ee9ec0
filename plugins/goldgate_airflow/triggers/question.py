"""Watches a question that waits in the Airflow UI: whoever answers it elsewhere closes it there too."""

from typing import Any

from goldgate_airflow.playbook import RUN_TASKS
from goldgate_airflow.triggers.looking import LookingTrigger


class QuestionTrigger(LookingTrigger):
    """Wakes the task when nobody need answer any more. An answer in the UI wakes it by itself.

    Args:
        name: Name of the run that asks.
        key: Key of the call that asks.
        look_every_s: Seconds between looks.
        run_tasks: Module of the steps.
    """

    def __init__(self, *, name: str, key: str, look_every_s: float, run_tasks: str = RUN_TASKS) -> None:
        super().__init__(look_every_s=look_every_s, run_tasks=run_tasks)
        self.name = name
        self.key = key

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write what another triggerer needs to go on."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "name": self.name,
            "key": self.key,
            "look_every_s": self.look_every_s,
            "run_tasks": self.run_tasks,
        }

    def look(self) -> dict[str, Any]:
        """Ask whether the question still waits."""
        return self.step("look_at_question", task_run=self.name, key=self.key)
