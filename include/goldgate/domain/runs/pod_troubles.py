"""Why a pod does not start, or was ended, in the cluster's words; and what to do about it."""

from collections.abc import Mapping
from typing import Final

from goldgate.domain.runs.pods import PodFacts

_NO_IMAGE: Final = (
    "Push the image, or correct `image` of the PodSettings; a registry that wants a password needs `imagePullSecrets`"
)

_ADVICE: Final[Mapping[str, str]] = {
    "Unschedulable": "Ask for less in `resources.requests` of the PodSettings, or give the cluster a node that fits",
    "SchedulingGated": "Something holds the pod back by a scheduling gate; whoever set it can lift it",
    "ErrImagePull": _NO_IMAGE,
    "ImagePullBackOff": _NO_IMAGE,
    "ErrImageNeverPull": "Load the image on the node, or set `imagePullPolicy` of the PodSettings to `IfNotPresent`",
    "InvalidImageName": "Correct `image` of the PodSettings: `registry/name@sha256:...`",
    "ImageInspectError": "The image on the node is damaged; remove it there",
    "RegistryUnavailable": "The registry does not answer",
    "CreateContainerConfigError": (
        "Create the Secret, or the key in it, that it names; `apiKeyFrom.secret` of the LLM or `envFrom` of the "
        "PodSettings asks for it"
    ),
    "CreateContainerError": "The node cannot make the container",
    "RunContainerError": "The node cannot start the container; `runtimeClass` of the PodSettings may not exist there",
    "FailedMount": "A volume cannot be mounted",
}
"""Of a pod that has not begun, what to do by its reason."""

AT_ONCE: Final = frozenset({"InvalidImageName"})
"""What no time puts right."""

CANNOT_RUN: Final = frozenset({"StartError", "ContainerCannotRun"})
"""The node made a container and could not run its command."""

TAKEN_AWAY: Final = frozenset(
    {
        "Evicted",
        "Preempting",
        "NodeLost",
        "NodeShutdown",
        "Shutdown",
        "Terminated",
        "NodeAffinity",
        "UnexpectedAdmissionError",
        "ContainerStatusUnknown",
    }
)
"""Reasons of a pod that its node, or the cluster, ended or refused; each may go well elsewhere."""


def trouble_of(pod: PodFacts) -> str | None:
    """Tell what keeps a pod from starting, in the cluster's words, and what to do. None: nothing that is known."""
    advice = _ADVICE.get(pod.reason)
    if advice is None:
        return None
    said = f" ({pod.message.strip().rstrip('.')})" if pod.message.strip() else ""
    return f"{pod.reason}{said}. {advice}"
