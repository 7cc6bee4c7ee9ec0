"""How pods are made that work on TaskRuns and evaluations: one file for an installation, named by `GOLDGATE_PODS`."""

from typing import Literal

from pydantic import Field, JsonValue

from goldgate.contracts.base import ResourceContract
from goldgate.contracts.bounds import LONGEST_DEADLINE_SECONDS, LONGEST_WORK_SECONDS, MOST_SCRATCH_BYTES
from goldgate.contracts.resource_parts import EnvName, FromEnv, Name, Resource

Quantity = str
"""As Kubernetes writes amounts: `500m`, `256Mi`."""


class PodResources(ResourceContract):
    """What a pod is promised, and what it may take at most."""

    requests: dict[Literal["cpu", "memory", "ephemeral-storage"], Quantity] = Field(min_length=1)
    limits: dict[Literal["cpu", "memory", "ephemeral-storage"], Quantity] = Field(min_length=1)


class PodSettingsSpec(ResourceContract):
    """Everything about a pod that is not about its run."""

    image: str = Field(min_length=1)
    """The agent image, pinned: `registry/name@sha256:...`."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[Name] = Field(default_factory=list)
    service_account: Name = "goldgate-task-run"
    evaluation_service_account: Name = "goldgate-evaluation"
    """Of a pod that asks a gold set: it needs parts only."""
    resources: PodResources
    scratch_bytes: int = Field(default=256 * 1024 * 1024, ge=1_000_000, le=MOST_SCRATCH_BYTES)
    """What a pod may write to its own folder, which ends with it: bundles, indexes, logs."""
    env: dict[EnvName, str] = Field(default_factory=dict)
    """Plain settings, such as `GOLDGATE_MODEL_URL`. Never a secret: an object of the cluster is read by many."""
    env_from: dict[EnvName, FromEnv] = Field(default_factory=dict)
    """Variables from Secrets of the namespace, for every pod; `secret` must be given. What an LLM needs, it says."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: list[dict[str, JsonValue]] = Field(default_factory=list)
    priority_class: str | None = None
    runtime_class: str | None = None
    grace_seconds: int = Field(default=30, ge=2, le=600)
    """Between SIGTERM and SIGKILL. A run lets go within a second."""
    start_within_seconds: float = Field(default=300, gt=0, le=LONGEST_WORK_SECONDS)
    """How long a pod may fail to start (no node, no image, no quota, no Secret) before its run fails."""
    deadline_seconds: float = Field(default=86_400, gt=0, le=LONGEST_DEADLINE_SECONDS)
    """The cluster ends a pod after so long, and with it its run. A TaskRun's own `deadlineSeconds` may be shorter."""
    max_losses: int = Field(default=3, ge=0, le=100)
    """So many pods may vanish, be evicted or killed, and the run goes on in another."""
    keep: Literal["failed", "never", "always"] = "failed"
    """Which pods are left for people to look at. They go with their TaskRun in any case."""


class PodSettings(Resource):
    """How pods are made."""

    kind: Literal["PodSettings"]
    spec: PodSettingsSpec
