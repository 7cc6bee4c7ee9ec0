"""What pods may run and read, whoever has the tokens of those who make them: what the namespace lists, and no more."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.bearers import Bearer, Deployed
from tests.cluster.conftest import SECRETS
from tests.cluster.ordered_pods import Document, arm, pod_for_a_run, pod_for_an_evaluation
from tests.waiting import until

MAKERS: dict[str, tuple[str, Callable[[Deployed], Document]]] = {
    "run": ("goldgate-operator", pod_for_a_run),
    "evaluation": ("goldgate-operator", pod_for_an_evaluation),
    "arm": ("goldgate-router", arm),
}
IMAGES = "goldgate.dev/images"
NOT_OURS = "runs one of its programs"
FOLDER = "/var/lib/goldgate/mine"


def unchanged(_: Document) -> None:
    """Leave a pod as it was ordered."""


class Maker:
    """Who makes one kind of pod, with a token of its account."""

    def __init__(self, cluster: Deployed, kind: str) -> None:
        self._cluster = cluster
        account, self._order = MAKERS[kind]
        self._bearer = Bearer.unbound(cluster, account)

    def told(self, change: Callable[[Document], object] = unchanged) -> str:
        """Ask for what it makes, with a change of the pod's spec; what the API server refused with."""
        made = self._order(self._cluster)
        change(made["spec"] if made["kind"] == "Pod" else made["spec"]["template"]["spec"])
        return self._bearer.told("create", "--dry-run=server", "--validate=false", "-f", "-", document=made)


@pytest.fixture(params=sorted(MAKERS))
def maker(deployed: Deployed, request: pytest.FixtureRequest) -> Maker:
    return Maker(deployed, request.param)


@pytest.fixture
def listing(deployed: Deployed) -> Iterator[Callable[[str], None]]:
    """Have the namespace list other images, until the end of the test."""

    def annotate(value: str) -> None:
        deployed.kubectl("annotate", "--overwrite", "namespace", deployed.namespace, f"{IMAGES}={value}")

    yield annotate
    annotate(deployed.image)
    # Whoever admits pods reads of a namespace a moment after it was written.
    until(lambda: Maker(deployed, "run").told() == "")


def container(**fields: Any) -> Callable[[Document], object]:
    return lambda spec: spec["containers"][0].update(fields)


def variable(name: str, **fields: Any) -> Callable[[Document], object]:
    return lambda spec: spec["containers"][0]["env"].append({"name": name, **fields})


class TestPodsOfGoldgate:
    def test_run_as_they_are_ordered(self, maker):
        """With every image, Secret and variable that a setting may ask for."""
        assert maker.told() == ""

    def test_run_no_image_that_the_namespace_does_not_list(self, maker):
        told = maker.told(container(image="registry.example/mine:1"))

        assert "image registry.example/mine:1 may not run in namespace" in told
        assert f"its annotation {IMAGES} names" in told

    def test_read_no_secret_that_the_namespace_does_not_list(self, maker):
        told = maker.told(variable("MINE", valueFrom={"secretKeyRef": {"name": "database", "key": "password"}}))

        assert "Secret database may not be read by pods in namespace" in told
        assert "its annotation goldgate.dev/secrets names" in told

    def test_that_read_more_secrets_than_one_message_holds_are_told_where_these_are_listed(self, maker):
        read = [{"secretKeyRef": {"name": f"{'x' * 58}{each:03}", "key": "a"}} for each in range(100)]

        told = maker.told(
            lambda spec: spec["containers"][0]["env"].extend({"name": "MINE", "valueFrom": one} for one in read)
        )

        assert "its annotation goldgate.dev/secrets names" in told

    def test_are_pulled_with_a_secret_that_the_namespace_does_not_list(self, maker):
        """What it lists agents may read, and send away."""
        assert maker.told(lambda spec: spec.update(imagePullSecrets=[{"name": "pull"}])) == ""

    @pytest.mark.parametrize(
        "fields",
        [
            {"command": ["sh", "-c", "env", "x"]},
            {"command": ["python3", "-c", "print()", "x"]},
            {"command": ["python3", "-m", "http.server", "x"]},
            {"command": ["python3", "-m", "goldgate.entrypoints.cli", "task"]},
            {"command": []},
            {"args": ["--lease-s", "1"]},
            {"workingDir": FOLDER},
        ],
        ids=str,
    )
    def test_run_nothing_but_its_programs(self, maker, fields):
        assert NOT_OURS in maker.told(container(**fields))

    @pytest.mark.parametrize("kind", ["containers", "initContainers"])
    def test_have_one_container(self, maker, kind):
        def join(spec: Document) -> None:
            first = spec["containers"][0]
            beside = {"name": "beside", "image": first["image"], "securityContext": first["securityContext"]}
            spec.setdefault(kind, []).append(beside)

        assert "has one container" in maker.told(join)

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("LD_PRELOAD", {"value": f"{FOLDER}/mine.so"}),
            ("PYTHONPATH", {"value": FOLDER}),
            ("PATH", {"value": FOLDER}),
            ("KUBERNETES_SERVICE_HOST", {"value": "192.0.2.1"}),
            ("GOLDGATE_CLUSTER", {"value": f"{FOLDER}/kubeconfig"}),
            ("GOLDGATE_NAMESPACE", {"value": "others"}),
            ("GOLDGATE_HOME", {"value": "/home"}),
            ("GOLDGATE_POD", {"value": "another-1"}),
            ("GOLDGATE_HOME", {"valueFrom": {"secretKeyRef": {"name": SECRETS, "key": "home"}}}),
        ],
    )
    def test_are_told_by_no_variable_how_they_work(self, maker, name, fields):
        assert "no variable of a pod of Goldgate says how" in maker.told(variable(name, **fields))

    def test_read_no_config_map(self, maker):
        told = maker.told(variable("MINE", valueFrom={"configMapKeyRef": {"name": "settings", "key": "a"}}))

        assert "such from keys of Secrets and from its own fields" in told

    @pytest.mark.parametrize(
        "fields",
        [
            {"lifecycle": {"preStop": {"exec": {"command": ["sh"]}}}},
            {"lifecycle": {"postStart": {"httpGet": {"path": "/", "port": 80}}}},
            {"livenessProbe": {"exec": {"command": ["sh"]}}},
            {"readinessProbe": {"httpGet": {"path": "/", "port": 80, "httpHeaders": [{"name": "a", "value": "b"}]}}},
            {"startupProbe": {"tcpSocket": {"port": 80}}},
        ],
        ids=str,
    )
    def test_have_the_node_do_nothing_for_them(self, maker, fields):
        assert "the node runs nothing in it" in maker.told(container(**fields))

    @pytest.mark.parametrize(
        "fields",
        [
            {"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["model.example"]}]},
            {"dnsConfig": {"nameservers": ["192.0.2.1"]}},
            {"nodeName": "control-plane"},
            {"shareProcessNamespace": True},
        ],
        ids=str,
    )
    def test_find_names_and_nodes_as_the_cluster_does(self, maker, fields):
        assert "shares nothing with its node" in maker.told(lambda spec: spec.update(fields))

    def test_drive_nothing_of_the_cluster_from_its_nodes(self, maker):
        told = maker.told(lambda spec: spec.update(priorityClassName="system-node-critical"))

        assert "expected a priorityClass of yours" in told


class TestImagesOfANamespace:
    @pytest.mark.parametrize(
        ("listed", "image"),
        [
            ("registry.example/team/agent", "registry.example/team/agent@sha256:" + "a" * 64),
            ("registry.example/team/agent", "registry.example/team/agent:7"),
            ("other\nregistry.example/team/", "registry.example/team/agents/one:7"),
            ("registry.example/a:7 registry.example/b:8", "registry.example/b:8"),
            ("registry.example:5000/agent", "registry.example:5000/agent:7@sha256:" + "a" * 64),
            ("registry.example:5000/agent@sha256:" + "a" * 64, "registry.example:5000/agent@sha256:" + "a" * 64),
        ],
    )
    def test_run(self, deployed, listing, listed, image):
        listing(listed)

        until(lambda: Maker(deployed, "run").told(container(image=image)) == "")

    @pytest.mark.parametrize(
        ("listed", "image"),
        [
            ("registry.example/team/agent", "registry.example/team/agent-of-mine"),
            ("registry.example/team/agent", "registry.example/team/agent/mine"),
            ("registry.example", "registry.example:5000/mine"),
            ("registry.example/agent:7", "registry.example/agent:8"),
            ("registry.example/agent:7", "registry.example/agent:7@sha256:" + "a" * 64),
            ("registry.example:5000/agent:7", "registry.example:5000/agent@sha256:" + "a" * 64),
            ("", "registry.example/agent:8"),
        ],
    )
    def test_are_no_others_whose_names_begin_alike(self, deployed, listing, listed, image):
        mark = "registry.example/mark:1"
        listing(f"{listed} {mark}")
        until(lambda: Maker(deployed, "run").told(container(image=mark)) == "")

        assert f"image {image} may not run" in Maker(deployed, "run").told(container(image=image))
