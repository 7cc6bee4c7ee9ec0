"""The cluster under test is a real one: it runs pods of our image, and holds them to restrictions."""

import json

import pytest

from tests.cluster.conftest import ClusterUnderTest


def pod(cluster: ClusterUnderTest, name: str, *command: str, **security: object) -> str:
    restricted = {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "main",
        "image": cluster.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "securityContext": {**restricted, **security},
    }
    spec = {"restartPolicy": "Never", "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


class TestACluster:
    def test_runs_the_agent_image_and_keeps_what_it_said(self, cluster: ClusterUnderTest):
        manifest = pod(cluster, "one", "python3", "-c", "import goldgate; print('said', 6 * 7)")

        cluster.kubectl("apply", "-f", "-", stdin=manifest)

        cluster.kubectl("wait", "pod/one", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        assert cluster.kubectl("logs", "one").strip() == "said 42"

    def test_refuses_a_pod_with_privileges(self, cluster: ClusterUnderTest):
        manifest = pod(cluster, "root", "true", allowPrivilegeEscalation=True)

        refused = cluster.try_kubectl("apply", "-f", "-", stdin=manifest)

        assert refused.returncode != 0
        assert "violates PodSecurity" in refused.stderr

    @pytest.mark.disruptive
    @pytest.mark.parametrize("part", ["apiserver", "kubelet"])
    def test_goes_on_after_a_part_of_it_was_killed(self, cluster: ClusterUnderTest, part: str):
        node = cluster.one_node
        cluster.kubectl("create", "configmap", "kept", "--from-literal=a=b")

        node.kill(part)
        node.start(part)

        node.await_ready()
        assert "kept" in cluster.kubectl("get", "configmaps", "-o", "name")
