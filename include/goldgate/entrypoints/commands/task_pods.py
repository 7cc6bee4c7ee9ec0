"""`goldgate task ...` where TaskRuns work as pods: the command line tends them, as Airflow's operator does."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Final

from goldgate.adapters.system_clock import SystemClock
from goldgate.contracts.cluster import PODS_ANNOTATION, TENDED_LABEL
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.runs.pods import pod_name
from goldgate.entrypoints.commands.namespaces import task_program
from goldgate.entrypoints.display import Screen, printable
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.run_tasks import Told
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.task_desk import TaskDesk

TENDED_BY: Final = {TENDED_LABEL: "command-line"}
"""Whoever watches for applied runs leaves those of the command line alone."""

_LOOK_AT_AGENT_EVERY_S: Final = 2.0
_NEW_WITHIN_S: Final = 5.0
"""Nothing is begun yet: whoever sits before the screen rather hears that the API server does not answer."""


def works_in_pods(settings: Settings) -> bool:
    """Whether runs are given pods of their own, and not worked on in this process."""
    return bool(settings.cluster) and settings.pods is not None


def tended(
    tend: Callable[[], Told],
    follow: Callable[[str, str | None], Mapping[str, object]],
    *,
    say: Callable[[str], None],
    wait_for_agent_s: float = 0.0,
    pause: Callable[[float], object] = time.sleep,
) -> Told:
    """Tend a run until it is over, waits for a person, or waits for its agent longer than is allowed.

    Args:
        tend: Gives the run the pod that it needs now, and tells how it stands.
        follow: Follows a pod, from where an earlier look ended, until there is something to tend.
        say: Told which pod works on the run, and why it waits, each once.
        wait_for_agent_s: How long to wait for an agent that is not ready.
        pause: Waits so many seconds.
    """
    waited_s, since, said = 0.0, None, ("", "")
    while True:
        stands = tend()
        said = _say_new(stands, said=said, say=say)
        match stands["waits_for"]:
            case "pod":
                with _told_if_left(say):
                    until = follow(str(stands["pod"]), since)["log_until"]
                since = None if until is None else str(until)
            case "agent" if waited_s < wait_for_agent_s:
                pause(_LOOK_AT_AGENT_EVERY_S)
                waited_s += _LOOK_AT_AGENT_EVERY_S
            case _:
                return stands


def _say_new(stands: Told, *, said: tuple[str, str], say: Callable[[str], None]) -> tuple[str, str]:
    """Say which pod works on a run, and why it waits, unless that was said last; give what is said by now."""
    pod, reason = said
    if stands["waits_for"] == "pod" and stands["pod"] != pod:
        pod = str(stands["pod"])
        say(f"pod {pod}")
    if stands["waits_for"] in {"pod", "agent"} and stands["reason"] != reason:
        reason = str(stands["reason"])
        say(reason)
    return pod, reason


@contextmanager
def _told_if_left(say: Callable[[str], None]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say(
            f"is left to its pod, and nobody tends it now: `{task_program()} resume` tends it again, and "
            f"`{task_program()} cancel` ends it."
        )
        raise


def run_in_pods(run: TaskRun, *, settings: Settings, screen: Screen, wait_for_agent_s: float = 0.0) -> TaskRun:
    """Have pods work on a run until it is over or waits; a new one is recorded first."""
    from goldgate.entrypoints import pod_tasks  # noqa: PLC0415 - 0.3 s, and only with a cluster

    name = _created(run, settings=settings).metadata.name
    tended(
        lambda: pod_tasks.tend_task(name),
        lambda pod, since: asyncio.run(pod_tasks.watch_task(name, pod, say=lambda _: None, since=since)),
        say=lambda reason: screen.progress(f"{name}  {printable(reason)}"),
        wait_for_agent_s=wait_for_agent_s,
    )
    return _read(name, settings=settings)


def begin_in_pod(run: TaskRun, *, settings: Settings, screen: Screen) -> TaskRun:
    """Give a run its pod, and leave it to that."""
    from goldgate.entrypoints import pod_tasks  # noqa: PLC0415 - as above

    name = _created(run, settings=settings).metadata.name
    stands = pod_tasks.tend_task(name)
    where = f"in pod {stands['pod']}" if stands["pod"] else f"as soon as it can: {stands['reason']}"
    screen.progress(f"Works {where}. If that pod is lost: {task_program()} resume {name}")
    return _read(name, settings=settings)


def cancel_in_pods(name: str, *, reason: str, by: str, settings: Settings) -> TaskRun:
    """End a run and its pod."""
    from goldgate.entrypoints import pod_tasks  # noqa: PLC0415 - as above

    pod_tasks.cancel_task(name, reason, by)
    return _read(name, settings=settings)


def tell_pod_logs(run: TaskRun, *, follow: bool, screen: Screen, settings: Settings) -> bool:
    """Show what the pods of a run say; False if none of them is there any more."""
    name, names = run.metadata.name, pods_of(run)
    is_told = False
    for line in _lines_of(names[:-1] if follow else names, settings=settings):
        screen.result(None, printable(line))
        is_told = True
    if follow and names:
        from goldgate.entrypoints import pod_tasks  # noqa: PLC0415 - as above

        def say(line: str) -> None:
            screen.result(None, printable(line))

        asyncio.run(pod_tasks.watch_task(name, names[-1], say=say))
    return is_told or (follow and bool(names))


def pods_of(run: TaskRun) -> list[str]:
    """Name the pods that a run was given so far, the latest last."""
    from goldgate.adapters.cluster.launch_counts import launches_in  # noqa: PLC0415 - as above

    mark, name = run.metadata.annotations.get(PODS_ANNOTATION), run.metadata.name
    if mark is None:
        return []
    return [pod_name(name, number) for number in range(1, launches_in(mark, run=name).launched + 1)]


def _lines_of(pods: Sequence[str], *, settings: Settings) -> Iterator[str]:
    from goldgate.adapters.cluster.connection import connect  # noqa: PLC0415 - as above
    from goldgate.adapters.cluster.pods import ClusterPods  # noqa: PLC0415 - as above

    cluster = connect(settings.cluster, namespace=settings.namespace)
    with closing(cluster.client):
        for pod in pods:
            yield from ClusterPods(cluster, clock=SystemClock()).log(pod)


def tended_here(run: TaskRun, *, settings: Settings) -> TaskRun:
    """Mark a run of a cluster as one that whoever sits before this command line sees to."""
    if not settings.cluster:
        return run
    labels = {**TENDED_BY, **run.metadata.labels}
    return run.model_copy(update={"metadata": run.metadata.model_copy(update={"labels": labels})})


def _created(run: TaskRun, *, settings: Settings) -> TaskRun:
    """Record a run that is new. First of all what its pods are made from must be right: else nobody would tend it."""
    from goldgate.entrypoints import pod_tasks  # noqa: PLC0415 - as above

    pod_tasks.pod_settings(settings)
    with closing(open_store(settings, within_s=_NEW_WITHIN_S)) as store:
        return store.create(tended_here(run, settings=settings))


def _read(name: str, *, settings: Settings) -> TaskRun:
    with closing(open_store(settings)) as store:
        return TaskDesk(store=store, clock=SystemClock()).find(name)
