"""Pods as the operator, and Deployments as the router orders them: for a cluster that takes or refuses them."""

from typing import Any

from goldgate.adapters.cluster.arm_manifests import ArmOrder, deployment
from goldgate.adapters.cluster.pod_manifest import manifest_of
from goldgate.contracts.pods import PodSettingsSpec
from goldgate.contracts.resource_parts import FromEnv, SecretKey
from goldgate.entrypoints.evaluation_leftovers import POD_LABELS
from goldgate.entrypoints.pod_orders import PROGRAM
from goldgate.ports.pods import PodOrder
from tests.cluster.conftest import SECRETS, ClusterUnderTest

Document = dict[str, Any]

KEY = FromEnv(env="MODEL_KEY", secret=SecretKey(name=SECRETS, key="model"))


def settings_for(cluster: ClusterUnderTest, *, account: str) -> PodSettingsSpec:
    """With everything that a pod may have; no node takes it."""
    return PodSettingsSpec(
        image=cluster.image,
        image_pull_secrets=["registry"],
        service_account=account,
        resources={"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        env={"GOLDGATE_MODEL_URL": "http://model.example/v1", "GOLDGATE_OTLP_URL": "off"},
        env_from={"MODEL_KEY": KEY},
        node_selector={"goldgate.dev/nowhere": "true"},
        tolerations=[{"key": "agents", "operator": "Exists"}],
    )


def pod_for_a_run(cluster: ClusterUnderTest) -> Document:
    """What the operator makes for the run `ask`."""
    order = PodOrder(
        name="made-1",
        run="ask",
        run_uid="of-ask",
        command=(*PROGRAM, "ask"),
        settings=settings_for(cluster, account="goldgate-task-run"),
        env_from={"OTHER_KEY": KEY},
        deadline_s=60,
    )
    return manifest_of(order, namespace=cluster.namespace)


def pod_for_an_evaluation(cluster: ClusterUnderTest) -> Document:
    """What the operator makes for an evaluation."""
    order = PodOrder(
        name="evaluation-made",
        run=None,
        command=("python3", "-m", "goldgate.entrypoints.evaluation_pod", '{"digest": "0"}'),
        settings=settings_for(cluster, account="goldgate-evaluation"),
        labels=POD_LABELS,
    )
    return manifest_of(order, namespace=cluster.namespace)


def arm(cluster: ClusterUnderTest) -> Document:
    """What the router makes."""
    return deployment("helper", "7", order=ArmOrder(settings=settings_for(cluster, account="goldgate-arm")))
