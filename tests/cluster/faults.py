"""What happens to runs in pods on bad days, and what is to come of it. The drill and the tests read the same list."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.cluster.one_node.cluster import NODE
from tests.cluster.tending import Tended
from tests.cluster.world import ANSWER, Gate, Place, World

Act = Callable[[Place, Tended], None]
_WITHIN_S: Final = 240.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run."""

    phase: str
    pods: int
    """How many were launched."""
    booked: int
    """How often the tool acted: calls with distinct keys."""
    is_answered: bool


ONE: Final = Outcome(phase="FinalAnswer", pods=1, booked=1, is_answered=True)
TWO: Final = Outcome(phase="FinalAnswer", pods=2, booked=1, is_answered=True)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One bad day."""

    name: str
    """For people: what is done."""
    act: Act
    expected: Outcome
    needs_node: bool = False
    """It kills parts of the cluster, or its node."""


def pod_of(place: Place, run: str) -> str:
    """Name the pod that is there for a run now; wait for it."""
    give_up_at = time.monotonic() + _WITHIN_S
    while True:
        listed = place.cluster.kubectl("get", "pods", "-l", f"goldgate.dev/task-run={run}", "-o", "name").split()
        if listed:
            return listed[-1]
        assert time.monotonic() < give_up_at, f"there is no pod of {run}"
        time.sleep(0.1)


def kill(place: Place, run: str) -> None:
    """Have a pod vanish, with no time to say anything."""
    place.cluster.kubectl("delete", pod_of(place, run), "--grace-period=0", "--force", "--wait=true")


def begin(_place: Place, tended: Tended) -> None:
    """Have the run begin."""
    tended.begin()


@contextmanager
def held_at(gate: Gate, tended: Tended) -> Iterator[None]:
    """Have the run begin, and hold it where its pod came by."""
    with gate.held():
        tended.begin()
        gate.await_one()
        yield


def _killed_before_it_began(place: Place, tended: Tended) -> None:
    tended.begin()
    kill(place, tended.name)


def _killed_at(gate_of: Callable[[World], Gate]) -> Act:
    """Kill the pod while it is held somewhere, and let the next one through."""

    def act(place: Place, tended: Tended) -> None:
        gate = gate_of(place.world)
        with held_at(gate, tended):
            kill(place, tended.name)
            gate.await_one()  # of the next pod

    return act


def _ended_politely(place: Place, tended: Tended) -> None:
    with held_at(place.world.answering, tended):
        place.cluster.kubectl("delete", pod_of(place, tended.name), "--wait=false")
        place.world.answering.await_one()  # of the next pod


def _evicted(place: Place, tended: Tended) -> None:
    with held_at(place.world.answering, tended):
        pod = pod_of(place, tended.name).removeprefix("pod/")
        metadata = {"name": pod, "namespace": place.cluster.namespace}
        eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})
        where = f"/api/v1/namespaces/{place.cluster.namespace}/pods/{pod}/eviction"
        place.cluster.kubectl("create", "--raw", where, "-f", "-", stdin=eviction)
        place.world.answering.await_one()  # of the next pod


def _quota_is_full(place: Place, tended: Tended) -> None:
    place.cluster.kubectl("create", "quota", "none", "--hard=pods=0")
    tended.begin()
    tended.await_reason("quota")
    place.cluster.kubectl("delete", "quota", "none")


def _api_server_is_restarted(place: Place, tended: Tended) -> None:
    node = place.cluster.one_node
    with held_at(place.world.booking, tended):
        node.kill("apiserver")
    time.sleep(2)  # the pod has the tool's result, and nowhere to record it
    node.start("apiserver")
    node.await_ready()


def _kubelet_is_restarted(place: Place, tended: Tended) -> None:
    node = place.cluster.one_node
    with held_at(place.world.booking, tended):
        node.kill("kubelet")
        node.start("kubelet")
        node.await_ready()


def _etcd_is_restarted(place: Place, tended: Tended) -> None:
    node = place.cluster.one_node
    with held_at(place.world.booking, tended):
        node.kill("etcd")
        node.start("etcd")
    node.await_ready()


def _node_is_drained(place: Place, tended: Tended) -> None:
    with held_at(place.world.answering, tended):
        try:
            place.cluster.kubectl(
                *("drain", NODE, "--force", "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=60s"),
                *("--pod-selector", f"goldgate.dev/task-run={tended.name}"),
            )
            tended.await_reason("Unschedulable")
        finally:
            place.cluster.kubectl("uncordon", NODE)


def _token_expires(place: Place, tended: Tended) -> None:
    node = place.cluster.one_node
    with held_at(place.world.booking, tended):
        # Tokens that were signed before are worth nothing from now on, as if all had expired at once.
        node.renew_token_keys()
        node.await_ready()


FAULTS: Final = (
    Fault(name="nothing: the run as it is", act=begin, expected=ONE),
    Fault(name="the pod is killed before its program begins", act=_killed_before_it_began, expected=TWO),
    Fault(name="the pod is killed while the model is asked", act=_killed_at(lambda world: world.asking), expected=TWO),
    Fault(name="the pod is killed while its tool acts", act=_killed_at(lambda world: world.booking), expected=TWO),
    Fault(
        name="the pod is killed before the answer is recorded",
        act=_killed_at(lambda world: world.answering),
        expected=TWO,
    ),
    Fault(name="the pod is deleted with its grace (SIGTERM)", act=_ended_politely, expected=TWO),
    Fault(name="the pod is evicted by the API", act=_evicted, expected=TWO),
    Fault(name="the quota of pods is full, then raised", act=_quota_is_full, expected=ONE),
    Fault(name="the API server is killed for seconds", act=_api_server_is_restarted, expected=ONE, needs_node=True),
    Fault(name="etcd is killed and started", act=_etcd_is_restarted, expected=ONE, needs_node=True),
    Fault(name="the kubelet is killed and started", act=_kubelet_is_restarted, expected=ONE, needs_node=True),
    Fault(name="the node is drained, then uncordoned", act=_node_is_drained, expected=TWO, needs_node=True),
    Fault(name="the token of the pod expires", act=_token_expires, expected=TWO, needs_node=True),
)


def outcome_of(place: Place, tended: Tended) -> Outcome:
    """Tell what came of a run."""
    told = tended.over()
    return Outcome(
        phase=told["phase"],
        pods=tended.launched(),
        booked=len(set(place.world.booked)),
        is_answered=told["output"] == ANSWER,
    )
