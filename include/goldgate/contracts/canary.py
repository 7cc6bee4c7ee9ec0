"""Where a canary stands, kept in the release's folder so that whoever watches it next goes on from there."""

from datetime import datetime
from typing import Literal

from goldgate.contracts.base import Contract
from goldgate.contracts.policy import CanaryPlan, Ratio


class CanaryDecision(Contract):
    """How a canary ends, decided but perhaps not yet acted on."""

    outcome: Literal["passed", "aborted", "undecided"]
    reason: str
    canary: dict[str, float]
    champion: dict[str, float]
    """Figures of the look that decided, as in `CanaryRecord`."""


class CanaryProgress(Contract):
    """`canary_progress.json`: the present share of a canary, and since when. Replaced at every step."""

    version: str
    champion: str
    """Who was champion when the canary began; the canary is compared with this version only."""
    plan: CanaryPlan
    started_at: datetime
    ratio: Ratio
    since: datetime
    """When it got this share."""
    decision: CanaryDecision | None = None
