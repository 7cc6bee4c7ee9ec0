"""Where a TaskRun works: a process of this worker, or a pod of a cluster. All that differs between the two is here."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from airflow.sdk.exceptions import AirflowFailException

from goldgate.domain.errors import PermanentError
from goldgate_airflow.hooks.cluster import access_of
from goldgate_airflow.playbook import run_step

Told = dict[str, Any]

POD_TASKS: Final = "goldgate.entrypoints.pod_tasks"
"""The module whose functions are what is done with TaskRuns that work as pods."""


class Place(Protocol):
    """Where one run works."""

    @property
    def name(self) -> str:
        """The run."""

    @property
    def kubernetes_conn_id(self) -> str:
        """The connection of the cluster; empty for this machine."""

    @property
    def where(self) -> str:
        """What it is, for people."""

    def go_on(self, stop: threading.Event) -> Told:
        """Do what can be done for the run now, until `stop` is set at most, and tell how it stands."""

    def cancel(self, reason: str) -> Told:
        """End the run, whoever works on it."""


@dataclass(frozen=True, kw_only=True)
class OnThisMachine:
    """The run works as a process of the worker."""

    name: str
    spec: Mapping[str, Any]
    steps: str
    kubernetes_conn_id: str = ""
    on_made: Callable[[], None] = lambda: None
    """Called once the run is there, if it was not known to be."""
    where: ClassVar[str] = "on this machine"

    def go_on(self, stop: threading.Event) -> Told:
        """Work on the run as far as it goes."""
        told: Told = run_step(self.steps, "run_task", task_run=self.name, spec=dict(self.spec), stop=stop)
        self.on_made()
        return told

    def cancel(self, reason: str) -> Told:
        """End the run."""
        return _cancel(self.steps, name=self.name, kubernetes_conn_id="", reason=reason)


@dataclass(frozen=True, kw_only=True)
class InCluster:
    """The run works as a pod, which is only tended from here: as often as one likes, by as many as like to."""

    name: str
    spec: Mapping[str, Any] | None
    """None: the run is there already."""
    steps: str
    kubernetes_conn_id: str
    on_made: Callable[[], None] = lambda: None
    """Called once the run is there, if it was not known to be: before a pod is made for it."""
    where: ClassVar[str] = "in a cluster"

    def go_on(self, stop: threading.Event) -> Told:  # noqa: ARG002 - it takes a few requests and then waits elsewhere
        """See to it that the run has the pod that it needs."""
        told: Told = run_step_in(
            self.kubernetes_conn_id,
            self.steps,
            "tend_task",
            task_run=self.name,
            spec=None if self.spec is None else dict(self.spec),
            on_made=self.on_made,
        )
        return told

    def cancel(self, reason: str) -> Told:
        """End the run and its pod."""
        return _cancel(self.steps, name=self.name, kubernetes_conn_id=self.kubernetes_conn_id, reason=reason)


def _cancel(steps: str, *, name: str, kubernetes_conn_id: str, reason: str) -> Told:
    told: Told = run_step_in(kubernetes_conn_id, steps, "cancel_task", task_run=name, reason=reason, by="airflow")
    return told


def run_step_in(kubernetes_conn_id: str, steps: str, name: str, **arguments: Any) -> Any:
    """Run one step where the connection leads; without one, on this machine.

    Raises:
        AirflowFailException: Trying again cannot help.
    """
    try:
        access = access_of(kubernetes_conn_id)
    except PermanentError as error:
        raise AirflowFailException(str(error)) from error
    return run_step(steps, name, **arguments, **({} if access is None else {"access": access}))
