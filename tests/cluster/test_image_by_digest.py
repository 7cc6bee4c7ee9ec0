"""The image that is pushed is the one that pods run: by its digest, restricted, and with nothing to write to."""

import json
import os
from pathlib import Path

import pytest

from goldgate.adapters.container_images.images import ContainerImages
from goldgate.contracts.release import ImageBuilt
from goldgate.entrypoints.images import runtime_image
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.images import base_image
from tests.cluster.one_node.binary import cache_folder


@pytest.fixture(scope="module")
def pushed(shared_cluster: ClusterUnderTest) -> str:
    """Build the agent image, push it to the registry of the cluster, and return what it is deployed by."""
    pip_conf = {"GOLDGATE_IMAGE_PIP_CONF": "/etc/pip.conf"} if Path("/etc/pip.conf").exists() else {}
    env = {
        **pip_conf,
        **os.environ,
        "GOLDGATE_IMAGE_BASE": base_image(os.environ),
        "GOLDGATE_IMAGE_REGISTRY": f"http://{shared_cluster.one_node.registry}/goldgate",
    }
    source = runtime_image("agent", env={"GOLDGATE_REVISION": "test"})
    images = ContainerImages(cache_folder() / "images" / "records", env=env, reuses_layers=True)
    built = images.build(
        context=source.context, dockerfile=source.dockerfile, name=source.name, labels=dict(source.labels)
    )
    assert isinstance(built, ImageBuilt), built
    assert built.pushed is not None
    return built.pushed


def pod(image: str, *command: str) -> str:
    container = {
        "name": "run",
        "image": image,
        "command": list(command),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "home", "mountPath": "/var/lib/goldgate"}],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "home", "emptyDir": {}}],
    }
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "by-digest"}, "spec": spec})


class TestImageByDigest:
    def test_is_pulled_and_starts_with_a_read_only_root(self, shared_cluster: ClusterUnderTest, pushed: str):
        command = ("python3", "-m", "goldgate.entrypoints.task_run", "--help")
        shared_cluster.kubectl("apply", "-f", "-", stdin=pod(pushed, *command))

        shared_cluster.kubectl("wait", "pod/by-digest", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")

        assert "usage:" in shared_cluster.kubectl("logs", "by-digest")
        digest = pushed.partition("@")[2]
        ran = shared_cluster.kubectl("get", "pod", "by-digest", "-o", "jsonpath={.status.containerStatuses[0].imageID}")
        assert ran.endswith(digest)
