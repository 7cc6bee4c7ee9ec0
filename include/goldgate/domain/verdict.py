"""What a gate may say, and what it may say it on.

*Unmeasured* is a value of its own: a missing figure is never NaN, zero, or a pass.
"""

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """What a gate says about one candidate."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
    """Too little evidence. Blocks the release like FAIL; more samples may change it."""

    @property
    def lets_through(self) -> bool:
        """Only PASS does."""
        return self is Verdict.PASS


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured figure with its confidence interval: `low` <= `value` <= `high`."""

    value: float
    low: float
    high: float
    samples: int
    """How many independent observations it rests on; at least 1."""


@dataclass(frozen=True, kw_only=True)
class Unmeasured:
    """A figure that was not measured, and why."""

    reason: str


def worst(verdicts: list[Verdict]) -> Verdict:
    """Combine gates: all of them, or nothing moves.

    FAIL outweighs UNDECIDED, which outweighs PASS. No gate at all is UNDECIDED: a policy that asks
    nothing has shown nothing.
    """
    if not verdicts:
        return Verdict.UNDECIDED
    for verdict in (Verdict.FAIL, Verdict.UNDECIDED):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS
