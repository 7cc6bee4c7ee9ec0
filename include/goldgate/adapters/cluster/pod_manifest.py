"""What the API server is asked for when a pod is made: as little right as its work needs. Pure.

It fits Pod Security's `restricted`: no root, no privilege, nothing of the image can be written. The token of its
service account is there because a run records itself in the API server; it lives an hour, is renewed by the node, and
is good for nothing else.
"""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any, Final

from goldgate.adapters.cluster.pod_facts import CONTAINER
from goldgate.contracts.cluster import GROUP, RUN_LABEL, VERSION
from goldgate.contracts.pods import PodSettingsSpec
from goldgate.contracts.resource_parts import FromEnv
from goldgate.domain.errors import PermanentError
from goldgate.ports.pods import PodOrder

HOME: Final = "/var/lib/goldgate"
"""`GOLDGATE_HOME` of a pod: an empty folder that ends with it."""

USER_ID: Final = 10001
"""Of the agent image. Any other than root does: the image lets everybody read."""

_TOKEN_FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
_TOKEN_SECONDS: Final = 3600

Json = dict[str, Any]


def manifest_of(order: PodOrder, *, namespace: str) -> Json:
    """Write a pod down.

    Raises:
        PermanentError: A variable is to come from a Secret, and it is not said from which.
    """
    settings = order.settings
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(order, namespace=namespace),
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": settings.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": settings.grace_seconds,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER_ID,
                "runAsGroup": USER_ID,
                "fsGroup": USER_ID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(order, namespace=namespace)],
            "volumes": _volumes(settings),
            **_placement(settings),
            **({} if order.deadline_s is None else {"activeDeadlineSeconds": max(ceil(order.deadline_s), 1)}),
        },
    }


def _metadata(order: PodOrder, *, namespace: str) -> Json:
    return {
        "name": order.name,
        "namespace": namespace,
        "labels": {
            "app.kubernetes.io/name": "goldgate-task-run",
            "app.kubernetes.io/part-of": "goldgate",
            **order.labels,
            **({} if order.run is None else {RUN_LABEL: order.run}),
        },
        **({} if order.run is None else {"ownerReferences": [_owner(order)]}),
    }


def _owner(order: PodOrder) -> Json:
    # It does not block the run's deletion: where owners are checked (OwnerReferencesPermissionEnforcement, as OpenShift
    # has it), only who may change the run's finalizers may ask for that.
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TaskRun",
        "name": order.run,
        "uid": order.run_uid,
        "controller": True,
    }


def _container(order: PodOrder, *, namespace: str) -> Json:
    settings = order.settings
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": list(order.command),
        "env": list(_env(order, namespace=namespace)),
        "resources": {"requests": dict(settings.resources.requests), "limits": dict(settings.resources.limits)},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "home", "mountPath": HOME},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the pod alone
            {"name": "token", "mountPath": _TOKEN_FOLDER, "readOnly": True},
        ],
    }


def _env(order: PodOrder, *, namespace: str) -> Iterable[Json]:
    plain = {
        "HOME": "/tmp",  # noqa: S108 - as above
        **order.settings.env,
        **order.env,
        "GOLDGATE_CLUSTER": "in-cluster",
        "GOLDGATE_NAMESPACE": namespace,
        "GOLDGATE_HOME": HOME,
    }
    secret = {**order.settings.env_from, **order.env_from}
    yield {"name": "GOLDGATE_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    yield from ({"name": name, "value": value} for name, value in sorted(plain.items()) if name not in secret)
    yield from _secret_env(secret)


def _secret_env(variables: Mapping[str, FromEnv]) -> Iterable[Json]:
    for name, source in sorted(variables.items()):
        if source.secret is None:
            raise PermanentError(
                f"Found variable `{name}` of a pod without its Secret; expected `secret: {{name, key}}`. Give it in "
                "`envFrom` of the PodSettings, or put a value that is no secret in `env`."
            )
        chosen = {"name": source.secret.name, "key": source.secret.key}
        yield {"name": name, "valueFrom": {"secretKeyRef": chosen}}


def _volumes(settings: PodSettingsSpec) -> list[Json]:
    size = str(settings.scratch_bytes)
    token: list[Json] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    return [
        {"name": "home", "emptyDir": {"sizeLimit": size}},
        {"name": "tmp", "emptyDir": {"sizeLimit": size}},
        # Readable by the user of the pod, which is not root, through its group.
        {"name": "token", "projected": {"defaultMode": 0o440, "sources": token}},
    ]


def _placement(settings: PodSettingsSpec) -> Json:
    found: Json = {
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "nodeSelector": dict(settings.node_selector),
        "tolerations": list(settings.tolerations),
        "priorityClassName": settings.priority_class,
        "runtimeClassName": settings.runtime_class,
    }
    return {key: value for key, value in found.items() if value}
