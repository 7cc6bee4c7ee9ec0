"""What the pod of a run can be found to be, and how many there were. What follows is in `launching`. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from goldgate.domain.digest import digest_bytes

_LONGEST_RUN: Final = 56
"""Of the 63 letters of a pod's name: the rest is a dash and its number."""
_DIGEST: Final = 8


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
    overdue_s: float = 0.0
    """Since the moment by which a pod that was asked to end should have been gone."""
    owner: str = ""
    """Uid of the object that owns it."""

    @property
    def is_alive(self) -> bool:
        """Whether its process may be there, or may still begin."""
        return self.phase is not PodPhase.ENDED


@dataclass(frozen=True, kw_only=True)
class Launches:
    """How many pods a run had. Written before each is made, so that two launchers make one."""

    launched: int = 0
    """So many; it is the number of the latest, too. 0: there was none."""
    pod: str = ""
    """Its name."""
    lost: int = 0
    """Pods that vanished, were evicted or killed."""
    starved: int = 0
    """Pods that ran out of memory; they are lost ones too."""
    in_vain: int = 0
    """Pods in a row that let go of the run and recorded nothing."""
    is_made: bool = False
    """The latest pod was seen: if it is not there any more, it vanished."""
    is_done: bool = False
    """The latest pod let go of the run in good order, and was removed."""
    why: str = ""
    """What became of the one before, if a history has to tell it."""
    since: datetime | None = None
    """When the latest was counted."""

    def next(
        self, run: str, *, now: datetime, lost: int = 0, starved: int = 0, in_vain: int = 0, why: str = ""
    ) -> "Launches":
        """Count one more pod.

        Args:
            run: Name of its run.
            now: When.
            lost: Added to the lost ones.
            starved: Added to those that ran out of memory.
            in_vain: How many in a row did nothing, with the one before this.
            why: What became of the one before.
        """
        number = self.launched + 1
        return Launches(
            launched=number,
            pod=pod_name(run, number),
            lost=self.lost + lost,
            starved=self.starved + starved,
            in_vain=in_vain,
            why=why,
            since=now,
        )

    def made(self) -> "Launches":
        """Remember that the latest pod was seen."""
        return replace(self, is_made=True)

    def done(self) -> "Launches":
        """Remember that the latest pod let go in good order."""
        return replace(self, is_made=True, is_done=True)

    def waited_s(self, now: datetime) -> float:
        """Tell for how long the latest pod has been counted."""
        return 0.0 if self.since is None else (now - self.since).total_seconds()


@dataclass(frozen=True, kw_only=True)
class LaunchPolicy:
    """For how long a pod may fail to start, and how many may be lost."""

    start_within_s: float = 300.0
    max_losses: int = 3


def pod_name(run: str, number: int) -> str:
    """Name a pod of a run: the same for the same number, and of no other run."""
    if len(run) > _LONGEST_RUN:
        # What names are cut off at is often all that tells them apart. A pod's name may have a dot and a run's may not:
        # behind a dash the digest could be part of another run's name, whose pods would pass for this one's.
        digest = digest_bytes(run.encode())[:_DIGEST]
        run = f"{run[: _LONGEST_RUN - _DIGEST - 1].rstrip('-')}.{digest}"
    return f"{run}-{number}"
