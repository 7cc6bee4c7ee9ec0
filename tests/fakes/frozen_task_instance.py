"""A task instance that keeps what it was told, and knows the states it was given."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any


class FrozenTaskInstance:
    """What an operator sees of its run."""

    def __init__(
        self,
        *,
        run_id: str,
        dag_id: str = "agent_release",
        map_index: int = -1,
        states: Mapping[str, str | None] | None = None,
    ) -> None:
        self.run_id = run_id
        self.dag_id = dag_id
        self.id = "01a1febe-b45f-79d8-9e12-1724314af2a1"
        self.task_id = "step"
        self.map_index = map_index
        self.pushed: dict[str, Any] = {}
        self._states = dict(states or {})

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep a value."""
        self.pushed[key] = value

    def get_task_states(
        self,
        dag_id: str,
        run_ids: list[str],
        task_ids: list[str] | None = None,
        map_index: int | None = None,  # noqa: ARG002 - as Airflow's
    ) -> dict[str, dict[str, str | None]]:
        """Return the given states for the run that was asked for."""
        assert dag_id == self.dag_id
        assert task_ids in (None, [self.task_id])
        return dict.fromkeys(run_ids, self._states)


class KeptByTask:
    """What a task keeps from try to try."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Return what was kept."""
        return self._kept.get(key, default)

    def set(self, key: str, value: Any, *, retention: timedelta) -> None:
        """Keep a value, which must not expire before its DAG run does."""
        assert retention == timedelta.max
        self._kept[key] = value
