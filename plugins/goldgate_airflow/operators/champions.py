"""Which agents serve: what a nightly DAG maps over."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from goldgate_airflow.playbook import PLAYBOOK, run_step


class ChampionsOperator(BaseOperator):
    """Returns `[{"agent": <name>}, ...]`, one for each agent that has a champion: arguments of mapped steps."""

    def __init__(self, *, playbook: str = PLAYBOOK, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.playbook = playbook

    def execute(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """Ask the registry."""
        return [{"agent": name} for name in run_step(self.playbook, "champions")]
