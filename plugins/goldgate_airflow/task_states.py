"""What became of a task while its run was at work: whether anybody still wants the run."""

from typing import Any, Final

UNWANTED: Final = frozenset({"failed", "success", "skipped", "removed", "upstream_failed"})
"""States in which somebody has decided on a task that was still at work: its run is not wanted any more."""


def unwanted_state(ti: Any) -> str:
    """Ask Airflow how a task stands; empty if its run is still wanted.

    A worker or a triggerer that ends leaves its task running or deferred, and a task that was cleared goes on with the
    same run: all these want it. A task that is gone with its DAG run is taken for `removed`.

    Args:
        ti: The task instance, as a worker or as a triggerer has it.
    """
    ask = getattr(ti, "get_task_states", None)
    if ask is None:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        ask = RuntimeTaskInstance.get_task_states
    states = ask(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id], map_index=ti.map_index)
    key = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
    state = states.get(ti.run_id, {}).get(key, "removed")
    return state if state in UNWANTED else ""
