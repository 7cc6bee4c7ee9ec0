"""What stands in a cluster beside what people write: who works on a run, and what is too large for one object."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from goldgate.contracts.base import ResourceContract
from goldgate.contracts.bounds import LONGEST_WORK_SECONDS, MOST_PARTS
from goldgate.contracts.resource_parts import Resource
from goldgate.contracts.task_runs import TaskRun, TaskRunStatus
from goldgate.domain.runs.state import Phase, Status

GROUP: Final = "goldgate.dev"
VERSION: Final = "v1alpha1"

BUNDLE_ANNOTATION: Final = "goldgate.dev/bundle"
"""On an Agent: the digest of its frozen folder, which lies in parts beside it. Written by `goldgate agent apply`."""
ENV_ANNOTATION: Final = "goldgate.dev/env-from"
"""As JSON, what is read from Secrets: on an Agent, by the agents inside its bundle; on a part, by the whole bundle."""
FROZEN_ANNOTATION: Final = "goldgate.dev/frozen-with"
"""On an Agent, as JSON: what each resource of its bundle says, by a digest. Another one in the cluster is drift."""
AGENT_LABEL: Final = "goldgate.dev/agent"
"""On the parts of a bundle: the name of its agent."""
PODS_ANNOTATION: Final = "goldgate.dev/pods"
"""On a TaskRun: which pod works on it, and how many were launched and lost. Written by the launcher only."""
POD_ANNOTATION: Final = "goldgate.dev/pod"
"""On a TaskRun: the name of its latest pod, for people. Nothing is decided by it."""
WORD_ANNOTATION: Final = "goldgate.dev/word-"
"""On a TaskRun, with a hash of the word's id: what a person or a program said to it, until it was acted on."""
PARENT_ANNOTATION: Final = "goldgate.dev/parent"
"""On a TaskRun that an agent made: the run that asked for it, and that it goes with."""
TENDED_LABEL: Final = "goldgate.dev/tended-by"
"""On a TaskRun: who sees to it that something works on it. Left out, the watcher of applied runs does."""
ROOT_LABEL: Final = "goldgate.dev/root"
"""On what a pod makes: the pod's name without its number, which the pod that follows it has too. A pod may write to
that and to the run that it works on, and to nothing else: see include/deploy/admission."""
RUN_LABEL: Final = "goldgate.dev/task-run"
"""On everything that belongs to a TaskRun: the name of the run."""

PART_CHARS: Final = 700_000
"""etcd takes requests of 1.5 MB, and there is more in an object than its text."""


NOT_BEGUN: Final[Mapping[str, str]] = {
    "phase": Phase.INITIALIZING.value,
    "status": Status.PENDING.value,
    "statusDetail": "Nobody has begun this run yet.",
}
"""What the API server shows of a run that has no status: nobody recorded it."""


class HeldStatus(ResourceContract):
    """Who works on a run. Every write of its status compares `holder` and `epoch` in the API server."""

    holder: str = ""
    """Empty: it was given back."""
    epoch: int = Field(default=0, ge=0)
    renew_time: datetime | None = None
    lease_seconds: float = Field(default=0, ge=0, le=LONGEST_WORK_SECONDS)


class StoredText(ResourceContract):
    """A text that lies in parts, because it is too large for the object that needs it."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the whole text in UTF-8."""
    size_bytes: int = Field(ge=0)
    parts: int = Field(ge=1, le=MOST_PARTS)


class ClusterTaskRunStatus(TaskRunStatus):
    """The status of a run as the API server holds it."""

    held: HeldStatus = HeldStatus()
    whole: StoredText | None = None
    """Where the whole status lies, if it is too large: what stands here then is its beginning, for people."""


class ClusterTaskRun(TaskRun):
    """A TaskRun as the API server holds it."""

    status: ClusterTaskRunStatus = ClusterTaskRunStatus()


class PartSpec(ResourceContract):
    """One piece of a text."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the whole text."""
    index: int = Field(ge=0, lt=MOST_PARTS)
    count: int = Field(ge=1, le=MOST_PARTS)
    text: str = Field(max_length=PART_CHARS)


class Part(Resource):
    """A piece of something too large for one object: a status, a bundle, the rows and results of an evaluation."""

    kind: Literal["Part"]
    spec: PartSpec


def as_written(document: Mapping[str, Any]) -> dict[str, Any]:
    """Take from an object of the API server what somebody wrote: contracts know nothing of what servers add."""
    metadata = document.get("metadata") or {}
    kept = {key: metadata[key] for key in ("name", "labels", "annotations") if metadata.get(key)}
    return {
        **{key: document[key] for key in ("apiVersion", "kind", "spec") if key in document},
        "metadata": kept,
    }
