"""The cluster that the tests of this folder run on. `make test-cluster` finds or starts one, and names it by variables.

GOLDGATE_TEST_KUBECONFIG   somebody who may do everything there
GOLDGATE_TEST_IMAGES       JSON: the names under which its nodes find the images `agent` and `router`
GOLDGATE_TEST_HOST         this machine's address, as pods see it
GOLDGATE_TEST_NODE         folder of the one-node cluster, if that is what it is: its parts can be killed and started
"""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.one_node.cluster import OneNode, take_up

if TYPE_CHECKING:
    from goldgate.adapters.cluster.connection import Cluster
    from tests.cluster.bearers import Deployed
    from tests.cluster.evaluating import Evaluations
    from tests.cluster.world import Place

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SECRETS = "keys"
"""Whoever writes a Secret's name in a test calls it so."""
SHOWN = "openai"
"""The Secret that the documentation and the examples name."""


@dataclass(frozen=True, kw_only=True)
class ClusterUnderTest:
    """A cluster, and a namespace of it that belongs to one test."""

    kubeconfig: Path
    namespace: str
    images: dict[str, str]
    reachable_host: str
    node: OneNode | None

    @property
    def image(self) -> str:
        """The agent image, by the name under which the nodes find it."""
        return self.image_of("agent")

    @property
    def host(self) -> str:
        """The address under which pods reach servers of this machine."""
        if not self.reachable_host:
            pytest.skip("GOLDGATE_TEST_HOST does not say under which address pods reach this machine")
        return self.reachable_host

    @property
    def one_node(self) -> OneNode:
        """The parts of the cluster, where they are ours to kill."""
        if self.node is None:
            pytest.skip("the parts of this cluster are not ours to kill; the one-node cluster's are")
        return self.node

    def image_of(self, what: str) -> str:
        """Name the image `agent` or `router`."""
        if what not in self.images:
            pytest.skip(f"GOLDGATE_TEST_IMAGES does not say under which name the nodes find the image `{what}`")
        return self.images[what]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace of the test; what it says if it succeeds.

        Raises:
            AssertionError: It failed; with what it said.
        """
        ran = self.try_kubectl(*arguments, stdin=stdin)
        assert ran.returncode == 0, f"kubectl {' '.join(arguments)}: {ran.stderr}{ran.stdout}"
        return ran.stdout

    def try_kubectl(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run kubectl in the namespace of the test, whatever comes of it."""
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace, *arguments]
        return subprocess.run(command, input=stdin, check=False, capture_output=True, text=True)


def cluster_of(env: Mapping[str, str]) -> ClusterUnderTest | None:
    """Read which cluster there is, without a namespace of one's own. None: there is none."""
    kubeconfig = env.get("GOLDGATE_TEST_KUBECONFIG")
    if not kubeconfig:
        return None
    folder = env.get("GOLDGATE_TEST_NODE")
    return ClusterUnderTest(
        kubeconfig=Path(kubeconfig),
        namespace="default",
        images=json.loads(env.get("GOLDGATE_TEST_IMAGES", "{}")),
        reachable_host=env.get("GOLDGATE_TEST_HOST", ""),
        node=take_up(Path(folder)) if folder else None,
    )


def namespace_of(name: str) -> dict[str, object]:
    """Describe a namespace that takes restricted pods only."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}


@contextmanager
def namespaced(whole: ClusterUnderTest) -> Iterator[ClusterUnderTest]:
    """Have a fresh namespace, which takes restricted pods only, and in which pods of ours may run the images."""
    own = replace(whole, namespace=f"test-{secrets.token_hex(4)}")
    own.kubectl("create", "-f", "-", stdin=json.dumps(namespace_of(own.namespace)))
    may_run, may_read = " ".join(own.images.values()), f"{SECRETS} {SHOWN}"
    allowed = [f"goldgate.dev/images={may_run}", f"goldgate.dev/secrets={may_read}"]
    own.kubectl("annotate", "namespace", own.namespace, *allowed)
    # A pod without its service account is refused, and the account comes a moment after the namespace.
    own.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    try:
        yield own
    finally:
        own.kubectl("delete", "namespace", own.namespace, "--wait=false")


@pytest.fixture(scope="session")
def whole_cluster() -> ClusterUnderTest:
    """The cluster without a namespace of one's own."""
    found = cluster_of(os.environ)
    if found is None:
        pytest.skip("no cluster: `make test-cluster` finds or starts one")
    return found


@pytest.fixture
def cluster(whole_cluster: ClusterUnderTest) -> Iterator[ClusterUnderTest]:
    """The cluster with a fresh namespace for one test."""
    with namespaced(whole_cluster) as own:
        yield own


@pytest.fixture(scope="module")
def shared_cluster(whole_cluster: ClusterUnderTest) -> Iterator[ClusterUnderTest]:
    """The cluster with a fresh namespace for all tests of a module."""
    with namespaced(whole_cluster) as own:
        yield own


@pytest.fixture
def place(cluster: ClusterUnderTest, tmp_path: Path) -> Iterator["Place"]:
    """An agent with a tool in a fresh namespace, with a model that the test holds; steps find how pods are made."""
    # Imported late: they are made of what stands here.
    from tests.cluster.tending import settings_of
    from tests.cluster.world import World, settle

    world = World(cluster.host)
    place = settle(cluster, world, tmp_path)
    with settings_of(place):
        yield place
    world.close()


@pytest.fixture
def evaluations(place: "Place") -> Iterator["Evaluations"]:
    """What asks gold sets in pods of that place."""
    from tests.cluster.evaluating import Evaluations  # late, as above

    with ThreadPoolExecutor(2) as threads:
        yield Evaluations(place, threads)


@pytest.fixture(scope="module")
def reached(shared_cluster: ClusterUnderTest) -> Iterator["Cluster"]:
    """The namespace of a module, on an API server that knows our resources."""
    from tests.cluster.stores import prepared  # late, as above

    with prepared(shared_cluster) as reached:
        yield reached


@pytest.fixture(scope="module")
def deployed(shared_cluster: ClusterUnderTest, tmp_path_factory: pytest.TempPathFactory) -> "Deployed":
    """The namespace of a module, with accounts, their roles, and the policies."""
    from tests.cluster.bearers import deployed_in  # late, as above

    return deployed_in(shared_cluster, tmp_path_factory.mktemp("admission"))


@pytest.fixture
def empty(reached: "Cluster") -> "Cluster":
    """That namespace, without a run or a part."""
    from tests.cluster.stores import emptied  # late, as above

    emptied(reached)
    return reached


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where a test was skipped on the one-node cluster, which has everything that any of them needs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    ours = sorted({each.nodeid for each in skipped if each.nodeid.startswith("tests/cluster/")})
    if ours and os.environ.get("GOLDGATE_TEST_NODE"):
        reporter.ensure_newline()
        reporter.write_line(f"Skipped on the one-node cluster, where no test may be: {', '.join(ours)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
