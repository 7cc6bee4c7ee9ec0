"""include/deploy on an API server: applied, applied again, and the router that it starts."""

import json
from pathlib import Path

import pytest

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.deployed import DEPLOY, overlay
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("applied")

ROUTER = "deployment/goldgate-router"


def small_router(cluster: ClusterUnderTest) -> str:
    """Changes for a cluster without shared storage and with little room: each router has a home of its own."""
    image, tag = cluster.image_of("router").rsplit(":", 1)
    home = {"op": "replace", "path": "/spec/template/spec/volumes/0", "value": {"name": "home", "emptyDir": {}}}
    small = {"op": "replace", "path": "/spec/template/spec/containers/0/resources/requests/cpu", "value": "10m"}
    images = [{"name": "goldgate-router", "newName": image, "newTag": tag}]
    patches = [{"target": {"kind": "Deployment"}, "patch": json.dumps([home, small])}]
    return f"images: {json.dumps(images)}\npatches: {json.dumps(patches)}\n"


@pytest.fixture(scope="module")
def applied(shared_cluster: ClusterUnderTest, tmp_path_factory) -> Path:
    """Everything, in a namespace of its own."""
    folder, more = tmp_path_factory.mktemp("deploy"), small_router(shared_cluster)
    overlay(folder, namespace=shared_cluster.namespace, more=more)
    shared_cluster.kubectl("apply", "-k", str(folder))
    return folder


def versions(cluster: ClusterUnderTest, folder: Path) -> dict[str, tuple[str, str]]:
    """How often each object was changed: its spec, and anything of it."""
    found = json.loads(cluster.kubectl("get", "-k", str(folder), "-o", "json"))["items"]
    return {
        f"{one['kind']}/{one['metadata']['name']}": (one["metadata"]["uid"], str(one["metadata"].get("generation", "")))
        for one in found
    }


class TestDeploy:
    def test_changes_nothing_when_it_is_applied_again(self, shared_cluster, applied):
        before = versions(shared_cluster, applied)

        told = shared_cluster.kubectl("apply", "-k", str(applied)).splitlines()

        assert versions(shared_cluster, applied) == before
        # kubectl says so of every disruption budget, whose selector it always sends whole.
        assert [line for line in told if not line.endswith(("unchanged", "goldgate-router configured"))] == []

    def test_differs_from_what_is_there_in_nothing(self, shared_cluster, applied):
        assert shared_cluster.kubectl("diff", "-k", str(applied)) == ""

    def test_is_the_same_from_its_root(self, shared_cluster, applied):
        def names(folder: Path) -> set[str]:
            built = shared_cluster.kubectl("kustomize", str(folder))
            return {line for line in built.splitlines() if line.startswith(("kind: ", "  name: goldgate"))}

        assert names(DEPLOY) == names(applied) | {"  name: goldgate"}

    def test_takes_pods_only_that_are_restricted(self, shared_cluster):
        told = shared_cluster.kubectl("get", "namespace", shared_cluster.namespace, "-o", "jsonpath={.metadata.labels}")

        assert json.loads(told)["pod-security.kubernetes.io/enforce"] == "restricted"

    def test_shows_an_installation_that_the_api_server_takes(self, shared_cluster, tmp_path):
        example = overlay(tmp_path, namespace=shared_cluster.namespace, bases=["overlays/example"])
        # A claim cannot be changed once it is made.
        built = shared_cluster.kubectl("kustomize", str(example)).split("\n---\n")
        rest = "\n---\n".join(one for one in built if "kind: PersistentVolumeClaim" not in one)

        told = shared_cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=rest)

        assert "networkpolicy.networking.k8s.io/goldgate-to-model created (server dry run)" in told


class TestRouterInACluster:
    @pytest.fixture(autouse=True)
    def ready(self, shared_cluster):
        """As many routers as the autoscaler wants at least."""
        until(lambda: "2" in shared_cluster.kubectl("get", ROUTER, "-o", "jsonpath={.spec.replicas}"), within_s=120)
        shared_cluster.kubectl("rollout", "status", ROUTER, "--timeout=240s")

    def test_becomes_ready_though_its_registry_is_not_there_yet(self, shared_cluster):
        told = shared_cluster.kubectl("get", ROUTER, "-o", "jsonpath={.status.readyReplicas}")

        assert told == "2"

    def test_may_ask_for_its_arms(self, shared_cluster):
        """With the role and the token that it has."""
        pod = router_pods(shared_cluster)[0]

        def status() -> dict:
            return json.loads(shared_cluster.kubectl("get", "--raw", proxied(shared_cluster, pod, "status")))

        until(lambda: status()["registry"]["problem"])
        assert "MLflow" in status()["registry"]["problem"]
        assert status()["arms"]["problem"] is None

    def test_is_not_drained_as_a_whole(self, shared_cluster):
        until(lambda: allowed_disruptions(shared_cluster) == 1)
        one, other = router_pods(shared_cluster)

        evict(shared_cluster, one)
        refused = shared_cluster.try_kubectl(*eviction_of(shared_cluster, other), stdin=eviction(other))

        assert "disruption budget" in refused.stderr

    def test_is_scaled_by_the_autoscaler(self, shared_cluster):
        told = shared_cluster.kubectl("get", "hpa", "goldgate-router", "-o", "json")

        conditions = {one["type"]: one["status"] for one in json.loads(told)["status"]["conditions"]}
        assert conditions["AbleToScale"] == "True"


def router_pods(cluster: ClusterUnderTest) -> list[str]:
    """Name the routers that are not ending."""
    told = json.loads(cluster.kubectl("get", "pods", "-l", "app.kubernetes.io/name=goldgate-router", "-o", "json"))
    return [one["metadata"]["name"] for one in told["items"] if "deletionTimestamp" not in one["metadata"]]


def proxied(cluster: ClusterUnderTest, pod: str, path: str) -> str:
    return f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}:8800/proxy/{path}"


def allowed_disruptions(cluster: ClusterUnderTest) -> int:
    return int(cluster.kubectl("get", "pdb", "goldgate-router", "-o", "jsonpath={.status.disruptionsAllowed}") or 0)


def eviction_of(cluster: ClusterUnderTest, pod: str) -> list[str]:
    return ["create", "--raw", f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/eviction", "-f", "-"]


def eviction(pod: str) -> str:
    return json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}})


def evict(cluster: ClusterUnderTest, pod: str) -> None:
    cluster.kubectl(*eviction_of(cluster, pod), stdin=eviction(pod))
