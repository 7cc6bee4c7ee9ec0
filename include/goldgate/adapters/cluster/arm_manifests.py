"""What an arm is in a cluster: a Deployment with restricted pods, and the Service in front of it. Pure."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from goldgate.contracts.pods import PodSettingsSpec
from goldgate.contracts.resource_parts import FromEnv
from goldgate.domain.digest import digest_bytes, digest_json
from goldgate.domain.errors import PermanentError

ARM_LABEL: Final = "goldgate.dev/arm"
"""On everything of an arm: the name of its Deployment."""
AGENT_ANNOTATION: Final = "goldgate.dev/agent"
VERSION_ANNOTATION: Final = "goldgate.dev/version"
ORDER_ANNOTATION: Final = "goldgate.dev/order"
"""On the Deployment: the digest of what was asked for, so that a change of settings is seen."""

ARM_PORT: Final = 8080

_KIND: Final = {"app.kubernetes.io/name": "goldgate-arm", "app.kubernetes.io/part-of": "goldgate"}
ARMS: Final = {**_KIND, "app.kubernetes.io/managed-by": "goldgate-router"}
"""Labels by which all arms of a namespace are found."""

_LONGEST_NAME: Final = 63
_STARTUP_EVERY_S: Final = 2
_DRAIN_S: Final = 3
"""Between an arm's leaving the Service and its SIGTERM: proxies and routers see the first within that time."""


@dataclass(frozen=True, kw_only=True)
class ArmOrder:
    """What every arm of an installation is made from."""

    settings: PodSettingsSpec
    env: Mapping[str, str] = field(default_factory=dict)
    """Plain variables beside those of the settings, which win."""
    program: Sequence[str] = ("python3", "-m", "goldgate.entrypoints.arm")
    is_headless: bool = False
    """Whether its Service has no address of its own, so that its pod is asked directly."""


def arm_name(agent: str, version: str) -> str:
    """Name the Deployment and the Service of an arm: a DNS label, another for every other arm."""
    digest = digest_bytes(f"{agent}@{version}".encode())[:10]
    readable = re.sub(r"[^a-z0-9]+", "-", f"arm-{agent}-{version}".lower())
    return f"{readable[: _LONGEST_NAME - len(digest) - 1].strip('-')}-{digest}"


def deployment(agent: str, version: str, *, order: ArmOrder) -> dict[str, Any]:
    """Write the Deployment of an arm. How many pods it has is left to whoever scales it; one, to begin with.

    Raises:
        PermanentError: A variable is to come from a Secret that is not named.
    """
    name, settings = arm_name(agent, version), order.settings
    labels = {**ARMS, "app.kubernetes.io/component": "arm", ARM_LABEL: name}
    named = {AGENT_ANNOTATION: agent, VERSION_ANNOTATION: version}
    spec = {
        "revisionHistoryLimit": 1,
        "selector": {"matchLabels": {ARM_LABEL: name}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {"labels": labels, "annotations": named},
            "spec": _pod(_container(agent, version, order=order), settings=settings),
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, "annotations": {**named, ORDER_ANNOTATION: digest_json(spec)}},
        "spec": spec,
    }


def service(agent: str, version: str, *, owner_uid: str, is_headless: bool) -> dict[str, Any]:
    """Write the Service of an arm, which goes when its Deployment does."""
    name = arm_name(agent, version)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": owner_uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "labels": {**ARMS, "app.kubernetes.io/component": "arm", ARM_LABEL: name},
            "ownerReferences": [owner],
        },
        "spec": {
            "selector": {ARM_LABEL: name},
            "ports": [{"name": "http", "port": ARM_PORT, "targetPort": "http"}],
            **({"clusterIP": "None"} if is_headless else {}),
        },
    }


def _pod(container: dict[str, Any], *, settings: PodSettingsSpec) -> dict[str, Any]:
    scratch = {"emptyDir": {"sizeLimit": str(settings.scratch_bytes)}}
    optional = {
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "nodeSelector": settings.node_selector,
        "tolerations": settings.tolerations,
        "priorityClassName": settings.priority_class,
        "runtimeClassName": settings.runtime_class,
    }
    return {
        "serviceAccountName": settings.service_account,
        # An arm asks nothing of the API server.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": settings.grace_seconds + _DRAIN_S,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "home", **scratch}, {"name": "tmp", **scratch}],
        **{name: value for name, value in optional.items() if value},
    }


def _container(agent: str, version: str, *, order: ArmOrder) -> dict[str, Any]:
    settings, alive = order.settings, {"httpGet": {"path": "/healthz", "port": "http"}, "timeoutSeconds": 3}
    where = ["--host", "*", "--port", str(ARM_PORT)]
    return {
        "name": "arm",
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": [*order.program, "--agent", agent, "--version", version, *where],
        "env": _env(order),
        "ports": [{"name": "http", "containerPort": ARM_PORT}],
        "resources": settings.resources.model_dump(mode="json"),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "home", "mountPath": "/var/lib/goldgate"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the pod's own
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_S}}},
        # It fetches its bundle and builds its indexes before it listens.
        "startupProbe": {
            **alive,
            "periodSeconds": _STARTUP_EVERY_S,
            "failureThreshold": max(1, math.ceil(settings.start_within_seconds / _STARTUP_EVERY_S)),
        },
        "readinessProbe": {**alive, "periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {**alive, "periodSeconds": 10, "failureThreshold": 6},
    }


def _env(order: ArmOrder) -> list[dict[str, Any]]:
    plain = {"GOLDGATE_HOME": "/var/lib/goldgate", **order.env, **order.settings.env}
    secret = {name: _secret(name, source) for name, source in order.settings.env_from.items()}
    return [
        *({"name": name, "value": value} for name, value in sorted(plain.items()) if name not in secret),
        *({"name": name, "valueFrom": value} for name, value in sorted(secret.items())),
    ]


def _secret(name: str, source: FromEnv) -> dict[str, Any]:
    if source.secret is None:
        raise PermanentError(
            f"Found no Secret for the variable `{name}` of arms; expected `secret: {{name, key}}` beside `env` in "
            "`spec.envFrom` of the PodSettings."
        )
    return {"secretKeyRef": {"name": source.secret.name, "key": source.secret.key}}
