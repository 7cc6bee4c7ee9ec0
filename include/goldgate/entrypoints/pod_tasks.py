"""What the tasks of the DAG `agent_task_run` call where TaskRuns work as pods of a cluster.

Every step can be repeated at will, by as many as like to: all state is in the TaskRun.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from pydantic import JsonValue

from goldgate.adapters.cluster.connection import Access, Cluster, connect
from goldgate.adapters.cluster.launch_counts import ClusterLaunchCounts
from goldgate.adapters.cluster.pod_watch import ClusterPodWatch, untended_now
from goldgate.adapters.cluster.pods import SHORT, ClusterPods
from goldgate.adapters.cluster.resources import ClusterResources
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.run_outside import OutsideRecorder
from goldgate.contracts.cluster import TENDED_LABEL, as_written
from goldgate.contracts.documents import parse, read_yaml
from goldgate.contracts.pods import PodSettings, PodSettingsSpec
from goldgate.contracts.task_runs import Task, TaskSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.launching import AskPerson, Decision, Over, WaitForAgent, WaitForPod
from goldgate.domain.runs.pods import LaunchPolicy
from goldgate.entrypoints.cluster_agents import env_from_for
from goldgate.entrypoints.pod_launcher import PodLauncher, policy_of
from goldgate.entrypoints.pod_watch import PodFollower
from goldgate.entrypoints.run_tasks import Told, task_run_of, told
from goldgate.entrypoints.settings import Settings, SettingsError
from goldgate.entrypoints.task_desk import TaskDesk
from goldgate.ports.resources import Resources

TENDED_BY: Final = {TENDED_LABEL: "airflow"}
"""A run that the operator makes is no business of the watcher of applied ones."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A namespace, and what works with it."""

    store: ClusterTaskRunStore
    launcher: PodLauncher
    desk: TaskDesk


def tend_task(
    task_run: str,
    spec: dict[str, JsonValue] | None = None,
    access: Access | None = None,
    *,
    on_made: Callable[[], None] = lambda: None,
) -> Told:
    """See to it that a run has the pod that it needs now. Takes a few requests, and waits for nothing.

    Args:
        task_run: Name of the run.
        spec: What is asked, and with which limits. None: somebody applied the run, and it is there.
        access: The cluster. None: that of the settings.
        on_made: Called once the run is there, before anything is done for it. Not if `spec` is None.

    Returns:
        As `run_tasks.run_task`, with `pod`, and in `waits_for`: "" (over), "person", "agent" or "pod".

    Raises:
        PermanentError: There is no such run, another one has its name, or the settings of pods are wrong.
        TransientError: The API server cannot be reached. Nothing is lost: the next time goes on.
    """
    with _opened(access) as place:
        if spec is not None:
            place.store.create(task_run_of(task_run, spec, labels=TENDED_BY))
            on_made()
        tended = place.launcher.tend(task_run)
        said = told(tended.run, place.desk, waits_for=_waits_for(tended.decision))
        if isinstance(tended.decision, WaitForPod):
            said["reason"] = tended.decision.detail
        return {**said, "pod": tended.pod}


def cancel_task(task_run: str, reason: str, by: str, access: Access | None = None) -> Told:
    """End a run and its pod, whoever works on it. One that is over stays as it is.

    Args:
        task_run: Name of the run.
        reason: Why, as its record says it.
        by: Who.
        access: The cluster. None: that of the settings.
    """
    with _opened(access) as place:
        run = place.desk.find(task_run)
        if not run.status.phase.is_terminal:
            place.desk.cancel(task_run, reason=reason, by=by)
        seen = place.launcher.cancel(task_run)
        return {**told(seen.run, place.desk), "pod": seen.pod_name}


def applied_now(access: Access | None = None) -> list[dict[str, str]]:
    """Name the runs that somebody applied and that nobody tends, each with its `uid`."""
    cluster = _cluster(access, Settings.from_env(os.environ))
    with closing(cluster.client):
        return [asdict(each) for each in untended_now(cluster)]


async def watch_task(
    task_run: str,
    pod: str,
    access: Access | None = None,
    *,
    say: Callable[[str], None],
    since: str | None = None,
) -> dict[str, JsonValue]:
    """Follow the pod of a run until `tend_task` has something to do. For an event loop: no thread waits.

    Args:
        task_run: Name of the run.
        pod: Name of its pod.
        access: The cluster. None: that of the settings.
        say: Called with each line of the pod's log, and with what keeps it from starting.
        since: `log_until` of an earlier watch: what was said up to then is not said again.

    Returns:
        `decision` "go_on", `reason`, and `log_until`.
    """
    settings = Settings.from_env(os.environ)
    async with _watching(access, settings) as watch:
        follower = PodFollower(
            watch=watch,
            run=task_run,
            pod=pod,
            policy=LaunchPolicy() if settings.pods is None else policy_of(pod_settings(settings)),
            clock=SystemClock(),
            say=say,
            log_until=since,
        )
        watched = await follower.follow()
    return {"decision": "go_on", "reason": watched.reason, "log_until": watched.log_until}


async def applied_runs(access: Access | None = None) -> AsyncGenerator[dict[str, str], None]:
    """Yield runs that somebody applied and that nobody tends, each once: `name` and `uid`.

    Whoever begins anew is told again of those that are still untended.
    """
    async with _watching(access, Settings.from_env(os.environ)) as watch, aclosing(watch.untended()) as found:
        async for each in found:
            yield asdict(each)


@contextmanager
def _opened(access: Access | None) -> Iterator[_Place]:
    settings = Settings.from_env(os.environ)
    spec = pod_settings(settings)
    cluster, clock, dead = _cluster(access, settings), SystemClock(), set[str]()
    resources = ClusterResources(cluster, patience=SHORT)
    store = ClusterTaskRunStore(
        cluster, clock=clock, is_dead=dead.__contains__, patience=SHORT, on_close=cluster.client.close
    )
    with closing(store):
        recorder = OutsideRecorder(
            store=store,
            clock=clock,
            find_task=lambda name: _find_task(name, resources),
            owner=f"launcher/{socket.gethostname()}/{secrets.token_hex(4)}",
        )
        launcher = PodLauncher(
            recorder=recorder,
            pods=ClusterPods(cluster, clock=clock),
            counts=ClusterLaunchCounts(cluster),
            needs=lambda agent, run: env_from_for(
                agent, resources=resources, run=run.metadata.name, bundle=run.status.progress.bundle
            ),
            settings=spec,
            dead=dead,
        )
        yield _Place(store=store, launcher=launcher, desk=TaskDesk(store=store, clock=clock))


@asynccontextmanager
async def _watching(access: Access | None, settings: Settings) -> AsyncGenerator[ClusterPodWatch, None]:
    # Files of keys are read here, and the loop is everybody's.
    cluster = await asyncio.to_thread(_cluster, access, settings)
    cluster.client.close()
    watch = ClusterPodWatch(cluster, clock=SystemClock())
    try:
        yield watch
    finally:
        await watch.close()


def _cluster(access: Access | None, settings: Settings) -> Cluster:
    if access is None and not settings.cluster:
        raise SettingsError(
            "Found no cluster: GOLDGATE_CLUSTER is not set, and no connection was handed over. Expected `in-cluster`, "
            "or the path of a kubeconfig."
        )
    return connect(access or settings.cluster, namespace=settings.namespace)


def pod_settings(settings: Settings) -> PodSettingsSpec:
    """Read how pods are made.

    Raises:
        PermanentError: The settings name no file, or what stands in it is wrong.
    """
    if settings.pods is None:
        raise SettingsError(
            "Found no GOLDGATE_PODS; expected the path of a file of kind PodSettings, which says how pods are made. "
            "include/deploy/pod-settings.yaml is an example."
        )
    return read_yaml(settings.pods, PodSettings).spec


def _find_task(name: str, resources: Resources) -> TaskSpec:
    found = resources.get("Task", name)
    if found is None:
        raise PermanentError(f"Found no Task `{name}` in the cluster; expected one. Apply it, and start the run anew.")
    return parse(as_written(found), Task, where=f"Task `{name}`").spec


def _waits_for(decision: Decision) -> str:
    match decision:
        case Over():
            return ""
        case AskPerson():
            return "person"
        case WaitForAgent():
            return "agent"
        case _:
            return "pod"
