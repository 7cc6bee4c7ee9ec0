"""What the API server is asked for when a pod is made."""

import json
from dataclasses import replace
from typing import Any

import pytest

from goldgate.adapters.cluster.pod_manifest import HOME, manifest_of
from goldgate.contracts.pods import PodResources, PodSettingsSpec
from goldgate.contracts.resource_parts import FromEnv, SecretKey
from goldgate.domain.errors import PermanentError
from goldgate.ports.pods import PodOrder

SETTINGS = PodSettingsSpec(
    image="registry/agent@sha256:" + "a" * 64,
    resources=PodResources(requests={"cpu": "100m", "memory": "64Mi"}, limits={"memory": "128Mi"}),
    env={"GOLDGATE_MODEL_URL": "http://model/v1", "GOLDGATE_CLUSTER": "elsewhere"},
    env_from={"TRACE_KEY": FromEnv(env="TRACE_KEY", secret=SecretKey(name="traces", key="k"))},
    image_pull_secrets=["pull"],
    node_selector={"pool": "agents"},
    priority_class="batch",
    grace_seconds=20,
)
ORDER = PodOrder(
    name="run-1",
    run="run",
    run_uid="u1",
    command=("python3", "-m", "program"),
    settings=SETTINGS,
    env_from={"API_KEY": FromEnv(env="API_KEY", secret=SecretKey(name="model-key", key="token"))},
    labels={"goldgate.dev/agent": "main"},
    deadline_s=99.5,
)


@pytest.fixture
def pod() -> dict[str, Any]:
    return manifest_of(ORDER, namespace="agents")


@pytest.fixture
def container(pod) -> dict[str, Any]:
    [only] = pod["spec"]["containers"]
    found: dict[str, Any] = only
    return found


class TestManifestOf:
    def test_gives_no_privilege(self, pod, container):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["runAsUser"] == 10001
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_goes_when_its_run_does(self, pod):
        """Without blocking its deletion: that would take the right to change the run's finalizers."""
        [owner] = pod["metadata"]["ownerReferences"]

        assert owner == {
            "apiVersion": "goldgate.dev/v1alpha1",
            "kind": "TaskRun",
            "name": "run",
            "uid": "u1",
            "controller": True,
        }

    def test_is_found_by_its_run_and_its_agent(self, pod):
        labels = pod["metadata"]["labels"]

        assert (labels["goldgate.dev/task-run"], labels["goldgate.dev/agent"]) == ("run", "main")

    def test_ends_and_is_not_started_again(self, pod):
        spec = pod["spec"]

        assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"], spec["activeDeadlineSeconds"]) == (
            "Never",
            20,
            100,
        )

    def test_holds_a_token_that_ends_and_no_other(self, pod):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}

        assert pod["spec"]["automountServiceAccountToken"] is False
        [token] = [
            source["serviceAccountToken"]
            for source in volumes["token"]["projected"]["sources"]
            if "serviceAccountToken" in source
        ]
        assert token["expirationSeconds"] == 3600
        # Neither root nor everybody: the group of the pod's user.
        assert volumes["token"]["projected"]["defaultMode"] == 0o440

    def test_can_write_to_bounded_folders_of_its_own_only(self, pod, container):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}

        assert writable == {HOME, "/tmp"}  # noqa: S108 - in the pod
        assert volumes["home"]["emptyDir"]["sizeLimit"] == str(SETTINGS.scratch_bytes)
        assert volumes["tmp"]["emptyDir"]["sizeLimit"] == str(SETTINGS.scratch_bytes)

    def test_knows_its_name_its_place_and_its_settings(self, container):
        values = {each["name"]: each.get("value") for each in container["env"]}

        assert values["GOLDGATE_CLUSTER"] == "in-cluster"
        assert values["GOLDGATE_NAMESPACE"] == "agents"
        assert values["GOLDGATE_HOME"] == HOME
        assert values["GOLDGATE_MODEL_URL"] == "http://model/v1"
        [name] = [each["valueFrom"] for each in container["env"] if each["name"] == "GOLDGATE_POD"]
        assert name == {"fieldRef": {"fieldPath": "metadata.name"}}

    def test_names_every_variable_once(self, container):
        names = [each["name"] for each in container["env"]]

        assert len(names) == len(set(names))

    def test_takes_a_variable_from_its_secret_where_it_has_a_plain_value_too(self):
        order = replace(ORDER, settings=SETTINGS.model_copy(update={"env": {"API_KEY": "plain"}}))

        [container] = manifest_of(order, namespace="agents")["spec"]["containers"]

        [found] = [each for each in container["env"] if each["name"] == "API_KEY"]
        assert found["valueFrom"] == {"secretKeyRef": {"name": "model-key", "key": "token"}}

    def test_is_told_of_no_other_service_of_its_namespace(self, pod):
        assert pod["spec"]["enableServiceLinks"] is False

    def test_has_secrets_by_reference_alone(self, container):
        sources = {each["name"]: each["valueFrom"] for each in container["env"] if "valueFrom" in each}

        assert sources["API_KEY"] == {"secretKeyRef": {"name": "model-key", "key": "token"}}
        assert sources["TRACE_KEY"] == {"secretKeyRef": {"name": "traces", "key": "k"}}

    def test_refuses_a_variable_whose_secret_nobody_names(self):
        order = PodOrder(
            name="run-1", run="run", run_uid="u", command=("x",), settings=SETTINGS, env_from={"K": FromEnv(env="K")}
        )

        with pytest.raises(PermanentError, match="`K` of a pod without its Secret"):
            manifest_of(order, namespace="agents")

    def test_is_placed_as_the_settings_say_and_nothing_else(self, pod):
        spec = pod["spec"]

        assert spec["imagePullSecrets"] == [{"name": "pull"}]
        assert spec["nodeSelector"] == {"pool": "agents"}
        assert spec["priorityClassName"] == "batch"
        assert "tolerations" not in spec
        assert "runtimeClassName" not in spec
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)

    def test_is_json(self, pod):
        assert json.loads(json.dumps(pod)) == pod
