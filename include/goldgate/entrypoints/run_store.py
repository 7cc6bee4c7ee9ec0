"""Opens where TaskRuns are recorded: files of this machine, or resources of a cluster."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from goldgate.adapters.file_task_runs import FileTaskRunStore
from goldgate.adapters.system_clock import SystemClock
from goldgate.entrypoints.settings import Settings
from goldgate.ports.task_runs import TaskRunStore

if TYPE_CHECKING:
    from goldgate.adapters.cluster.connection import Access


def open_store(
    settings: Settings,
    *,
    access: "Access | None" = None,
    is_dead: Callable[[str], bool] | None = None,
    within_s: float | None = None,
) -> TaskRunStore:
    """Open the store of runs. Whoever opens it closes it.

    Args:
        settings: Where the files are, or which cluster.
        access: How to reach the cluster, instead of what the settings say.
        is_dead: Whether an owner is known to have ended. None: processes of this machine are looked up.
        within_s: How long an API server that does not answer is asked again. None: long enough for it to restart.

    Raises:
        PermanentError: There is no way to the cluster that is named.
    """
    if access is None and not settings.cluster:
        from goldgate.adapters.process_owners import is_known_dead  # noqa: PLC0415 - 0.05 s that a pod does without

        return FileTaskRunStore(settings.home / "taskruns", clock=SystemClock(), is_dead=is_dead or is_known_dead)
    # Imported late: a client of the API server takes some 0.15 s, which a run on this machine need not wait for.
    from goldgate.adapters.cluster.connection import connect  # noqa: PLC0415 - as above
    from goldgate.adapters.cluster.failures import Patience  # noqa: PLC0415 - as above
    from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore  # noqa: PLC0415 - as above

    cluster = connect(access or settings.cluster, namespace=settings.namespace, pod=settings.pod)
    return ClusterTaskRunStore(
        cluster,
        clock=SystemClock(),
        is_dead=is_dead or _is_known_dead_here,
        patience=Patience() if within_s is None else Patience(within_s=within_s),
        on_close=cluster.client.close,
    )


def _is_known_dead_here(owner: str) -> bool:
    from goldgate.adapters.process_owners import is_known_dead_here  # noqa: PLC0415 - as above

    return is_known_dead_here(owner)
