"""The stores of a cluster as tests open them: with a clock of their own, and over a wire that can be cut."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
from lightkube import Client
from lightkube.config.client_adapter import verify_cluster
from lightkube.generic_resource import create_namespaced_resource

from goldgate.adapters.cluster.connection import Cluster, connect
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.contracts.cluster import GROUP, VERSION
from goldgate.entrypoints.settings import CHECKOUT
from goldgate.ports.delivery import Clock
from tests.cluster.conftest import ClusterUnderTest

CRDS = CHECKOUT / "include/deploy/crds"

TASK_RUN = create_namespaced_resource(GROUP, VERSION, "TaskRun", "taskruns")
PART = create_namespaced_resource(GROUP, VERSION, "Part", "parts")

_INSTALLED: set[Path] = set()
"""The clusters that know them, by their kubeconfig."""

BRIEF = Patience(within_s=20, refused_within_s=0.5, first_pause_s=0.01, longest_pause_s=0.1)


def install_kinds(cluster: ClusterUnderTest) -> None:
    """Have the API server know our resources; once for each process of the tests."""
    if cluster.kubeconfig in _INSTALLED:
        return
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CRDS))
    kinds = (f"crd/{plural}.{GROUP}" for plural in ("taskruns", "parts"))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *kinds)
    _INSTALLED.add(cluster.kubeconfig)


@contextmanager
def connected(cluster: ClusterUnderTest) -> Iterator[Cluster]:
    """Reach the namespace of a test."""
    reached = connect(str(cluster.kubeconfig), namespace=cluster.namespace)
    try:
        yield reached
    finally:
        reached.client.close()


@contextmanager
def prepared(cluster: ClusterUnderTest) -> Iterator[Cluster]:
    """Reach the namespace of a test on an API server that knows our resources."""
    install_kinds(cluster)
    with connected(cluster) as reached:
        yield reached


def emptied(cluster: Cluster) -> None:
    """Forget all runs and parts of a namespace."""
    for kind in (TASK_RUN, PART):
        cluster.client.deletecollection(kind)


def parts_in(cluster: Cluster) -> list[Any]:
    return list(cluster.client.list(PART))


def object_of(cluster: Cluster, name: str = "r1") -> Any:
    return cluster.client.get(TASK_RUN, name)


@contextmanager
def opened(
    cluster: Cluster,
    *,
    clock: Clock,
    is_dead: Callable[[str], bool] = lambda _: False,
    patience: Patience = BRIEF,
) -> Iterator[ClusterTaskRunStore]:
    store = ClusterTaskRunStore(cluster, clock=clock, is_dead=is_dead, patience=patience)
    try:
        yield store
    finally:
        store.close()


@dataclass
class CutWire(httpx2.BaseTransport):
    """A connection to a real API server that is cut when told to: on the way there, or on the way back."""

    beneath: httpx2.BaseTransport
    lost_requests: int = 0
    """So many of the next writes do not arrive."""
    lost_answers: int = 0
    """So many of the next writes arrive, and nobody hears of it."""
    is_down: bool = False
    """Nothing arrives."""
    seen: list[httpx2.Request] = field(default_factory=list)
    """All that arrived."""
    before: Callable[[httpx2.Request], None] = lambda _: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        with self._lock:
            is_write = request.method != "GET"
            if self.is_down:
                raise httpx2.ConnectError("refused")
            if is_write and self.lost_requests:
                self.lost_requests -= 1
                raise httpx2.ConnectError("cut on the way there")
            loses = is_write and self.lost_answers > 0
            self.lost_answers -= loses
            self.seen.append(request)
        self.before(request)
        answer = self.beneath.handle_request(request)
        if loses:
            answer.read()
            raise httpx2.ReadError("cut on the way back")
        return answer

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.seen]

    def close(self) -> None:
        self.beneath.close()


@contextmanager
def over_a_wire(plain: Cluster) -> Iterator[tuple[Cluster, CutWire]]:
    """Reach the namespace of a test by a connection that can be cut."""
    config = plain.client.config
    assert config.user is not None
    context = verify_cluster(config.cluster, config.user, config.abs_file)
    wire = CutWire(httpx2.HTTPTransport(verify=context))
    with Client(config, namespace=plain.namespace, field_manager="goldgate", transport=wire) as client:
        yield replace(plain, client=client), wire
