"""Network policies where they are enforced: what pods of ours reach, who reaches them, and that a run gets on with it.

The one-node cluster of this module has Cilium in it, which the others have not: they start sooner without.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.clusters import prepare
from tests.cluster.conftest import ClusterUnderTest, namespaced
from tests.cluster.deployed import DEPLOY, overlay
from tests.cluster.images import AGENT as AGENT_IMAGE
from tests.cluster.images import PAUSE, image_archives
from tests.cluster.one_node.cluster import take_up, up
from tests.cluster.probing import Probe, start_all
from tests.cluster.tending import Tended, settings_of
from tests.cluster.world import ANSWER, Place, World, settle
from tests.waiting import until

pytestmark = pytest.mark.timeout(900)

PART = {"app.kubernetes.io/part-of": "goldgate"}
OURS = ("task-run", "evaluation", "arm", "router")
WITHIN_S = 240
UNLISTED = "203.0.113.9"
"""An address that no policy names, at the far end of the cluster's cable."""


@pytest.fixture(scope="module")
def enforcing(whole_cluster: ClusterUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterUnderTest]:
    """A cluster that enforces policies, with a namespace of ours. GOLDGATE_TEST_ENFORCING: folder of one that is up."""
    assert whole_cluster.one_node  # else it is not ours to start another
    given = os.environ.get("GOLDGATE_TEST_ENFORCING")
    if given:
        node = take_up(Path(given))
    else:
        archives = image_archives()
        node = up(
            tmp_path_factory.mktemp("enforcing") / "cluster",
            images=[archives[PAUSE], archives[AGENT_IMAGE]],
            enforcing=True,
        )
    try:
        prepare({**os.environ, "GOLDGATE_TEST_KUBECONFIG": str(node.kubeconfig)})
        whole = replace(whole_cluster, kubeconfig=node.kubeconfig, reachable_host=node.host, node=node)
        with namespaced(whole) as own:
            yield own
    finally:
        if not given:
            node.down()


@pytest.fixture(scope="module")
def world(enforcing: ClusterUnderTest) -> Iterator[World]:
    """A model and a tool at one port of this machine."""
    with closing(World(enforcing.host)) as world:
        yield world


class Matrix:
    """Pods in a cluster, the doors that they may knock at, and what each reached before there were policies."""

    def __init__(
        self, cluster: ClusterUnderTest, *, doors: dict[str, tuple[str, int, str]], probes: list[Probe]
    ) -> None:
        self.cluster, self.probes = cluster, {one.name: one for one in probes}
        start_all(cluster, probes)
        at = {one.name: one.address(cluster) for one in probes}
        pods = {f"{name}:{port}": (at[name], port, "tcp") for name, one in self.probes.items() for port in one.ports}
        self.doors = {**doors, **pods, "dns:53/udp": (at["dns"], 53, "udp")}
        for name in self.probes:
            self.await_reached(name, self.doors.keys() - self.own(name))

    def reached(self, name: str) -> set[str]:
        """What a pod reaches, itself left out."""
        return self.probes[name].reaches(self.cluster, self.doors) - self.own(name)

    def own(self, name: str) -> set[str]:
        return {door for door in self.doors if door.startswith(f"{name}:")}

    def await_reached(self, name: str, expected: AbstractSet[str]) -> None:
        """Wait until a pod reaches exactly that. Policies are in force a moment after they are written."""
        seen: list[set[str]] = []
        with suppress(AssertionError):
            until(lambda: seen.append(self.reached(name)) or seen[-1] == expected, within_s=WITHIN_S)
        assert seen[-1] == expected


@pytest.fixture(scope="module")
def settled(enforcing: ClusterUnderTest, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An agent with a tool, in that namespace."""
    place = settle(enforcing, world, tmp_path_factory.mktemp("place"))
    with settings_of(place):
        yield place


@pytest.fixture(scope="module")
def before(enforcing: ClusterUnderTest, world: World) -> Iterator[Matrix]:
    """Pods of every kind, each of which was seen to reach everything, while there was no policy."""
    with socket.create_server((enforcing.host, 0)) as other, _unlisted(enforcing) as unlisted:
        doors = {
            "api": (enforcing.one_node.network.node, 6443, "tcp"),
            "api by its Service": ("10.96.0.1", 443, "tcp"),
            "kubelet": (enforcing.one_node.network.node, 10250, "tcp"),
            "world": (enforcing.host, int(world.url.rpartition(":")[2]), "tcp"),
            "other port of the world": (enforcing.host, other.getsockname()[1], "tcp"),
            "unlisted": (UNLISTED, unlisted, "tcp"),
        }
        yield Matrix(enforcing, doors=doors, probes=_probes(enforcing))


@pytest.fixture(scope="module")
def matrix(before: Matrix, world: World, tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """The same pods under the policies of include/deploy, with its places filled in."""
    cluster = before.cluster
    port = int(world.url.rpartition(":")[2])
    here = {"to": [{"ipBlock": {"cidr": f"{cluster.host}/32"}}], "ports": [{"protocol": "TCP", "port": port}]}
    api = {"op": "replace", "path": "/spec/egress/0/to/0/ipBlock/cidr", "value": f"{cluster.one_node.network.node}/32"}
    added = {"op": "add", "path": "/spec/egress/-", "value": here}
    changes = {"goldgate-to-api-server": api, "goldgate-to-model": added}
    patches = [
        {"target": {"kind": "NetworkPolicy", "name": name}, "patch": json.dumps([patch])}
        for name, patch in changes.items()
    ]
    folder = tmp_path_factory.mktemp("network")
    component = os.path.relpath(DEPLOY / "components" / "network", folder.resolve())
    more = f"components: {json.dumps([component])}\npatches: {json.dumps(patches)}\n"
    cluster.kubectl("apply", "-k", str(overlay(folder, namespace=cluster.namespace, bases=["network"], more=more)))
    return before


@contextmanager
def _unlisted(cluster: ClusterUnderTest) -> Iterator[int]:
    """Listen at an address that goes with the cable of the cluster."""
    cable = f"goldgate{cluster.one_node.network.number}h"
    subprocess.run(["ip", "address", "replace", f"{UNLISTED}/32", "dev", cable], check=True)
    with socket.create_server((UNLISTED, 0)) as server:
        yield server.getsockname()[1]
    subprocess.run(["ip", "address", "delete", f"{UNLISTED}/32", "dev", cable], check=True)


def _probes(cluster: ClusterUnderTest) -> list[Probe]:
    """Pods with the labels of ours, a stranger beside them, and those that `places.yaml` names."""
    foreign = {"models": {"app.kubernetes.io/name": "vllm"}, "tools": {}, "observability": {}, "mlflow": {}, "else": {}}
    ours = [
        Probe(name=one, namespace=cluster.namespace, labels={**PART, "app.kubernetes.io/name": f"goldgate-{one}"})
        for one in OURS
    ]
    strangers = [Probe(name=each, namespace=each, labels=labels) for each, labels in foreign.items()]
    dns = Probe(name="dns", namespace="kube-system", labels={"k8s-app": "kube-dns"}, ports=(53, 9000), user=0)
    return [*ours, Probe(name="neighbour", namespace=cluster.namespace), *strangers, dns]


NAMES = {"dns:53", "dns:53/udp"}
"""The cluster has no name server: a pod with the labels of one stands in for it."""
API = {"api", "api by its Service"}
MODEL, TOOLS, TRACES = {"models:8000", "world"}, {"tools:8000"}, {"observability:4318", "mlflow:5000"}


class TestNetworkPolicies:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("task-run", NAMES | API | MODEL | TOOLS | TRACES),
            ("evaluation", NAMES | API | MODEL | TOOLS | TRACES),
            ("arm", NAMES | MODEL | TOOLS | TRACES),
            ("router", NAMES | API | TRACES | {"arm:8080"}),
        ],
    )
    def test_let_a_pod_reach_what_its_work_needs_and_nothing_else(self, matrix: Matrix, name: str, expected: set[str]):
        matrix.await_reached(name, expected)

    @pytest.mark.parametrize("name", ["neighbour", "else", "tools"])
    def test_let_others_reach_the_router_alone_on_its_port(self, matrix: Matrix, name: str):
        closed = {door for door in matrix.doors if door.split(":")[0] in OURS} - {"router:8800"}

        matrix.await_reached(name, matrix.doors.keys() - closed - matrix.own(name))

    def test_let_a_whole_run_come_to_its_answer(self, matrix: Matrix, settled: Place):
        matrix.await_reached("task-run", NAMES | API | MODEL | TOOLS | TRACES)

        told = Tended(settled, "r1").begin().over()

        assert (told["phase"], told["output"]) == ("FinalAnswer", ANSWER)
        assert len(settled.world.booked) == 1
        assert settled.world.model_calls == 2
