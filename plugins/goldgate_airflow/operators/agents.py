"""Which agents serve: what a nightly DAG maps over."""

from typing import Any

from airflow.sdk import BaseOperator, Context


class AgentsOperator(BaseOperator):
    """Returns `[{"agent": <name>}, ...]`, one for each agent of the registry that has a champion, by name."""

    def execute(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """Ask the registry."""
        import os

        from goldgate.entrypoints.settings import Settings
        from goldgate.entrypoints.wiring import Wiring

        registry = Wiring(Settings.from_env(os.environ)).registry
        return [{"agent": name} for name in sorted(registry.agents()) if registry.traffic(name).champion]
