"""A circuit breaker: an endpoint that fails is left alone for a while, and then tried by one call.

Pure: whoever holds it brings the clock and the lock.
"""

import enum
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class BreakerRule:
    """When it opens, and for how long."""

    failures: int = 5
    """So many in a row."""
    open_s: float = 30.0


class Outcome(enum.Enum):
    """What became of a call that was admitted."""

    ANSWERED = "answered"
    """The endpoint works: it answered, or refused the request itself."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Nothing was learnt about the endpoint."""


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """Closed until `opened_at_s` is set; half open once its time is over."""

    failures: int = 0
    """In a row, up to now."""
    opened_at_s: float | None = None
    probed_at_s: float | None = None
    """When the one call of the half-open state was let through. One that never came back is given up in time."""

    def wait_s(self, rule: BreakerRule, *, now_s: float) -> float:
        """Tell how long nothing may be sent; 0 if a call is admitted."""
        if self.opened_at_s is None:
            return 0.0
        since_s = self.opened_at_s if self.probed_at_s is None else self.probed_at_s
        return max(rule.open_s - (now_s - since_s), 0.0)

    def admitted(self, *, now_s: float) -> "Breaker":
        """Note that a call was let through."""
        return self if self.opened_at_s is None else replace(self, probed_at_s=now_s)

    def after(self, outcome: Outcome, rule: BreakerRule, *, now_s: float) -> "Breaker":
        """Note what became of a call."""
        match outcome:
            case Outcome.ANSWERED:
                return Breaker()
            case Outcome.UNKNOWN:
                return replace(self, probed_at_s=None)  # the next call is the probe
            case Outcome.FAILED:
                failures = self.failures + 1
                opens = self.opened_at_s is not None or failures >= rule.failures
                return Breaker(failures=failures, opened_at_s=now_s if opens else None)
