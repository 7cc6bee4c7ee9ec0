"""What the pod of a run can be found to be, and what follows from that. Pure: whoever asks has looked already."""

from dataclasses import dataclass
from enum import StrEnum


class PodPhase(StrEnum):
    """How far a pod came."""

    PENDING = "Pending"
    """Not begun: no node, no image, no Secret, or just made."""
    RUNNING = "Running"
    ENDED = "Ended"
    """Its container ended, or the cluster says that it failed."""
    ENDING = "Ending"
    """Asked to end, and not gone yet."""


@dataclass(frozen=True, kw_only=True)
class PodFacts:
    """A pod as it was found, in the words of the cluster."""

    name: str
    phase: PodPhase
    reason: str = ""
    """Of the pod, its container or its condition: `OOMKilled`, `Evicted`, `Unschedulable`, `ImagePullBackOff`, ..."""
    message: str = ""
    exit_code: int | None = None
    """Of its container, once it ended."""
    is_disrupted: bool = False
    """The cluster took it away: preempted, drained, evicted, its node lost."""
    age_s: float = 0.0
    """Since it was made."""
