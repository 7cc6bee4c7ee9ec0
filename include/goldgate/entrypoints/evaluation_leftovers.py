"""What evaluations in pods leave behind: those that nobody wants any more, and those whose worker never came back.

A pod that asks a gold set belongs to no other object, nor do the parts that it is given and lays down, so that the
cluster removes neither by itself.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.evaluation_pod import RESULTS
from goldgate.ports.delivery import Clock
from goldgate.ports.parts import PartStore
from goldgate.ports.pods import Pods

log = logging.getLogger(__name__)

USE: Final = "evaluation-"
"""What parts are for that such a pod is given: this, and a mark of the release. So two that evaluate the same champion
on the same gold set at once each have their own, and one that is done takes nothing from the other."""

POD_LABELS: Final = {"app.kubernetes.io/name": "goldgate-evaluation"}

LEFT_AFTER: Final = timedelta(days=1)
"""Nobody waits for what has been there so long, unless a pod of the same evaluation is at work."""


def use_of(release_id: str) -> str:
    """Tell what the parts of a release's evaluation are for; names of its pods begin so, too."""
    return f"{USE}{sha256(release_id.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """Removes them from one namespace."""

    pods: Pods
    parts: PartStore
    clock: Clock

    def forget(self, release_id: str) -> None:
        """End the pod of an evaluation, and remove what it was given."""
        self.end_pods(release_id)
        self.forget_parts(release_id)

    def end_pods(self, release_id: str, *, but: str = "") -> None:
        """End the pods of an evaluation, but for one: others were made for it as it was asked before, and spend too."""
        for pod in self.pods.labelled(POD_LABELS):
            if pod.name.startswith(f"{use_of(release_id)}-") and pod.name != but:
                self.pods.end(pod.name)

    def forget_parts(self, release_id: str) -> None:
        """Remove what the pod of an evaluation was given."""
        # Clocks of the cluster may be ahead of ours.
        self.parts.sweep(use_of(release_id).__eq__, before=self.clock.now() + LEFT_AFTER)

    def sweep(self) -> None:
        """Remove what has been there for a day, of whatever evaluation; if that fails, the next one does it."""
        try:
            pods = self.pods.labelled(POD_LABELS)
            at_work = {pod.name.rpartition("-")[0] for pod in pods if pod.is_alive}
            for pod in pods:
                if not pod.is_alive and pod.age_s > LEFT_AFTER.total_seconds():
                    self.pods.end(pod.name)
            left = self.parts.sweep(
                lambda use: use == RESULTS or (use.startswith(USE) and use not in at_work),
                before=self.clock.now() - LEFT_AFTER,
            )
        except (PermanentError, TransientError) as error:
            log.warning("evaluation.leftovers_stay %s", error)
        else:
            log.info("evaluation.leftovers_removed parts=%d", left)
