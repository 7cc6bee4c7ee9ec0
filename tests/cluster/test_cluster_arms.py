"""Arms as Deployments hold to what everything that starts arms holds to; and what only they can do."""

from collections.abc import Callable, Iterator

import pytest

from goldgate.adapters.cluster.arm_manifests import ARM_LABEL, ArmOrder, arm_name
from goldgate.adapters.cluster.arms import ClusterArms, answers_by_name
from goldgate.adapters.cluster.connection import connect
from goldgate.contracts.pods import PodSettingsSpec
from tests.cluster.conftest import ClusterUnderTest
from tests.contracts.test_arms_port import TestArms as Suite
from tests.waiting import until

TINY_ARM = """
import argparse, http.server, json
parser = argparse.ArgumentParser()
for flag in ("--agent", "--version", "--host", "--port"):
    parser.add_argument(flag)
known = parser.parse_args()
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"agent": known.agent, "version": known.version}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", int(known.port)), Answers).serve_forever()
"""


def order_for(cluster: ClusterUnderTest, *, is_headless: bool = True, **changes) -> ArmOrder:
    settings = PodSettingsSpec(
        image=cluster.image,
        service_account="default",
        resources={"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        grace_seconds=2,
        **changes,
    )
    return ArmOrder(settings=settings, program=("python3", "-c", TINY_ARM), is_headless=is_headless)


def believed(url: str, *, agent: str, version: str) -> bool:
    """Take whoever is at an address for who they should be."""
    return bool(url and agent and version)


MakeArms = Callable[..., ClusterArms]


@pytest.fixture(scope="module")
def arms_of(shared_cluster: ClusterUnderTest) -> Iterator[MakeArms]:
    """Makes what starts arms, as each router does."""
    reached = connect(str(shared_cluster.kubeconfig), namespace=shared_cluster.namespace)
    # Pods of another cluster than our own cannot be reached from here: the kubelet asks them all the same.
    asked = answers_by_name if shared_cluster.node else believed

    def make(*, answers: Callable[..., bool] = asked, **changes) -> ClusterArms:
        return ClusterArms(reached, order=order_for(shared_cluster, **changes), answers=answers)

    yield make
    reached.client.close()


@pytest.fixture
def arms(arms_of: MakeArms) -> Iterator[ClusterArms]:
    arms = arms_of()
    yield arms
    for name in arms.running():
        arms.stop(*name)
    until(lambda: not arms.running())


class TestClusterArms(Suite):
    def test_are_told_apart_when_their_names_read_alike(self, arms):
        arms.ensure("helper-1", "2")
        arms.ensure("helper", "1-2")

        assert sorted(arms.running()) == [("helper", "1-2"), ("helper-1", "2")]

    def test_are_seen_by_every_router(self, arms, arms_of):
        arms.ensure("helper", "7")
        other = arms_of()

        assert until(lambda: other.address("helper", "7")) == until(lambda: arms.address("helper", "7"))

        other.stop("helper", "7")
        assert until(lambda: arms.address("helper", "7") is None)

    def test_are_made_anew_by_a_router_with_other_settings(self, arms, arms_of, shared_cluster):
        """Pod by pod: somebody answers all the time."""
        arms.ensure("helper", "7")
        until(lambda: arms.address("helper", "7"))
        other = arms_of(env={"GREETING": "hello"})

        other.running()

        told = shared_cluster.kubectl("get", "deployment", arm_name("helper", "7"), "-o", "yaml")
        assert "GREETING" in told
        assert other.address("helper", "7")
        shared_cluster.kubectl("rollout", "status", f"deployment/{arm_name('helper', '7')}", "--timeout=120s")

    def test_are_left_as_they_are_by_a_router_with_the_same_settings(self, arms, arms_of, shared_cluster):
        arms.ensure("helper", "7")
        name = f"deployment/{arm_name('helper', '7')}"
        before = shared_cluster.kubectl("get", name, "-o", "jsonpath={.metadata.generation}")

        arms_of().running()

        assert shared_cluster.kubectl("get", name, "-o", "jsonpath={.metadata.generation}") == before

    def test_get_a_service_again_that_somebody_removed(self, arms, shared_cluster):
        arms.ensure("helper", "7")
        until(lambda: arms.address("helper", "7"))
        shared_cluster.kubectl("delete", "service", "-l", ARM_LABEL)

        def ensured() -> str | None:
            arms.ensure("helper", "7")
            return arms.address("helper", "7")

        assert until(lambda: arms.address("helper", "7") is None)
        assert until(ensured)

    def test_leave_nothing_behind(self, arms, shared_cluster):
        arms.ensure("helper", "7")
        until(lambda: arms.address("helper", "7"))

        arms.stop("helper", "7")

        assert until(lambda: "arm-" not in shared_cluster.kubectl("get", "deployments,services,pods", "-o", "name"))

    def test_have_an_address_of_their_service_by_default(self, arms_of, shared_cluster):
        # This machine is behind no proxy of Services.
        arms = arms_of(is_headless=False, answers=believed)
        arms.ensure("spoken", "1")
        until(lambda: arms.address("spoken", "1"))
        ip = shared_cluster.kubectl("get", "service", arm_name("spoken", "1"), "-o", "jsonpath={.spec.clusterIP}")

        assert arms.address("spoken", "1") == f"http://{ip}:8080"

        arms.stop("spoken", "1")
