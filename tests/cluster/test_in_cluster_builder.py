"""A builder in a pod builds images where Airflow itself can build none, and pushes them."""

import json
import os
from pathlib import Path

import pytest

from goldgate.adapters.container_images.buildkit import BuildkitImages
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from tests.cluster.buildkit_programs import buildkit_programs, push_buildkit_image
from tests.cluster.conftest import ClusterUnderTest

pytestmark = pytest.mark.timeout(1200)
"""The first time, BuildKit is built from its sources, beside other tests."""

DOCKERFILE = """\
ARG BASE
FROM ${BASE}
COPY said.txt /said.txt
RUN tr a-z A-Z < /said.txt > /loud.txt
USER 10001:10001
ENTRYPOINT ["cat", "/loud.txt"]
"""


@pytest.fixture(scope="module")
def builder(shared_cluster: ClusterUnderTest) -> dict[str, str]:
    """BuildKit in a pod; the environment of who builds with it, and the name of a base that it can pull."""
    registry = shared_cluster.one_node.registry
    image = push_buildkit_image(registry)
    # A builder mounts and unshares: it lives in a namespace of its own, and no TaskRun does.
    privileged = "pod-security.kubernetes.io/enforce=privileged"
    shared_cluster.kubectl("label", "--overwrite", "namespace", shared_cluster.namespace, privileged)
    settings = {"buildkitd.toml": f'[registry."{registry}"]\n  http = true\n'}
    container = {
        "name": "buildkitd",
        "image": image,
        "args": ["--config=/etc/buildkit/buildkitd.toml", "--root=/var/lib/buildkit"],
        "securityContext": {"privileged": True},
        "readinessProbe": {"exec": {"command": ["buildctl", "debug", "workers"]}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "settings", "mountPath": "/etc/buildkit"},
            {"name": "state", "mountPath": "/var/lib/buildkit"},
        ],
    }
    volumes = [{"name": "settings", "configMap": {"name": "buildkit"}}, {"name": "state", "emptyDir": {}}]
    manifests = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "buildkit"}, "data": settings},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "buildkitd"},
            "spec": {"containers": [container], "volumes": volumes, "automountServiceAccountToken": False},
        },
    ]
    shared_cluster.kubectl(
        "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    )
    shared_cluster.kubectl("wait", "pod/buildkitd", "--for=condition=Ready", "--timeout=180s")
    return {
        **os.environ,
        "PATH": f"{buildkit_programs()}:{os.environ['PATH']}",
        "KUBECONFIG": str(shared_cluster.kubeconfig),
        "BUILDKIT_HOST": f"kube-pod://buildkitd?namespace={shared_cluster.namespace}",
        "GOLDGATE_IMAGE_BASE": image,
        "GOLDGATE_IMAGE_REGISTRY": f"http://{registry}/goldgate",
    }


def build(folder: Path, env: dict[str, str], said: str) -> ImageBuilt | ImageUnavailable:
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "Dockerfile.dockerignore").write_text("*\n!said.txt\n")
    (folder / "said.txt").write_text(said)
    images = BuildkitImages(env=env)
    return images.build(context=folder, dockerfile=folder / "Dockerfile", name="loud", labels={"a": "b"})


class TestBuilderInAPod:
    def test_pushes_an_image_that_pods_run(
        self, shared_cluster: ClusterUnderTest, builder: dict[str, str], tmp_path: Path
    ):
        image = build(tmp_path / "one", builder, "built in a pod")

        assert isinstance(image, ImageBuilt), image
        assert image.pushed is not None
        shared_cluster.kubectl("run", "loud", f"--image={image.pushed}", "--restart=Never")
        shared_cluster.kubectl("wait", "pod/loud", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        assert shared_cluster.kubectl("logs", "loud") == "BUILT IN A POD"

    def test_says_why_it_could_not(self, builder: dict[str, str], tmp_path: Path):
        image = build(tmp_path / "two", {**builder, "GOLDGATE_IMAGE_BASE": "nowhere.invalid/base:1"}, "never")

        assert isinstance(image, ImageUnavailable)
        assert "nowhere.invalid" in image.reason
