"""What to do next with a canary: go on, go up, stop, or finish.

Two questions are kept apart. *Is it broken?* is answered by confidence bounds, so that a single failure at low traffic
does not end a release; it is asked at every look. *Is it good?* is answered by the point estimates of enough requests,
and only when the time at this share is over. A canary that is neither waits, and what still waits at the end is
undecided: silence is not success.

The looks are not corrected for being many: each may err, and many err more often. What one look errs on the side that
aborts, if requests are independent: at most 0.5 % for errors, whose bound is exact; the same for latency, were the
champion's p95 known and not measured, too. The bounds of cost and safety blocks are approximations for many answers,
nominally at 0.5 %. `MIN_INCIDENTS` and `MIN_COSTED` keep the early looks from acting on one or two requests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, stdev
from typing import Final

from goldgate.domain.statistics import binomial_tail, wilson_interval, z_of

CONFIDENCE_RATIO: Final = 0.99
"""Two-sided, so that a bound that aborts is held to 99.5 %."""

MIN_INCIDENTS: Final = 3
"""Fewer failures, slow answers or blocks than this are no pattern, however few the requests."""

MIN_COSTED: Final = 10
"""Fewer answers than this on either side, and the normal approximation of a mean cost is not to be used."""

_TAIL_RATIO: Final = 0.05
"""What may lie above a p95."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The guardrails: see `goldgate.contracts.policy.Guardrails`."""

    max_error_ratio: float
    max_latency_p95_ratio: float
    max_cost_ratio: float
    max_safety_block_excess_ratio: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a canary goes: see `goldgate.contracts.policy.CanaryPlan`."""

    ratios: tuple[float, ...]
    """Shares of traffic, rising; at least one."""
    dwell: timedelta
    min_requests: int
    give_up_after: timedelta
    bounds: Bounds

    @property
    def min_compared(self) -> int:
        """Fewest answers on each side before canary and champion are compared: half of `min_requests`, at least 1."""
        return math.ceil(self.min_requests / 2)


@dataclass(frozen=True, kw_only=True)
class ArmWindow:
    """What one arm did since the canary got its present share."""

    errors: int = 0
    """Requests without a proper answer."""
    safety_blocks: int = 0
    """Answered requests with a safety flag."""
    latencies_ms: tuple[float, ...] = ()
    """One for each answered request. A failed request has none: it may fail fast."""
    costs_usd: tuple[float, ...] = ()
    """One for each answered request whose cost is known."""

    @property
    def answered(self) -> int:
        """Requests with a proper answer."""
        return len(self.latencies_ms)

    @property
    def requests(self) -> int:
        """Answered or not."""
        return self.answered + self.errors

    @property
    def error_ratio(self) -> float | None:
        """Share of requests without a proper answer; None without requests."""
        return self.errors / self.requests if self.requests else None

    @property
    def safety_block_ratio(self) -> float | None:
        """Share of the answered requests that were blocked; None without any."""
        return self.safety_blocks / self.answered if self.answered else None

    @property
    def latency_p95_ms(self) -> float | None:
        """Nearest-rank 95th percentile; None without answers."""
        return p95(self.latencies_ms) if self.answered else None

    @property
    def cost_mean_usd(self) -> float | None:
        """Mean cost of the answered requests whose cost is known; None without any."""
        return fmean(self.costs_usd) if self.costs_usd else None

    @property
    def unmetered(self) -> int:
        """Answered requests whose cost is not known."""
        return self.answered - len(self.costs_usd)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Canary and champion over the same stretch of time."""

    canary: ArmWindow
    champion: ArmWindow
    lost: int = 0
    """Requests that were served and not logged: nobody knows of which arm, and how they went."""


@dataclass(frozen=True, kw_only=True)
class State:
    """Where the canary stands."""

    started_at: datetime
    ratio: float
    since: datetime
    """When it got this share."""


@dataclass(frozen=True, kw_only=True)
class Advance:
    """Good at this share: take the next one."""

    to_ratio: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Neither good nor broken yet. Look again."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Abort:
    """Broken: take the traffic back."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Complete:
    """Good at the last share."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """No verdict in time: take the traffic back, undecided."""

    reason: str


Step = Advance | Hold | Abort | Complete | GiveUp


def next_step(plan: Plan, window: Window, state: State, now: datetime) -> Step:
    """Decide what to do with a canary after one more look.

    Args:
        plan: The policy.
        window: Requests since `state.since`.
        state: The present share.
        now: Time of the look.

    Returns:
        `Abort` as soon as a guardrail is surely broken. `Advance` or `Complete` only after the dwell, with at least
        `min_requests` on the canary and every guardrail kept on point estimates. `GiveUp` when the time is over.
        Else `Hold`, saying what is missing.
    """
    if broken := _broken(plan, window):
        return Abort(reason="; ".join(broken))
    missing = _missing(plan, window)
    due = state.since + plan.dwell
    is_over = now >= state.started_at + plan.give_up_after
    higher = [ratio for ratio in plan.ratios if ratio > state.ratio]
    if not missing and now >= due and not higher:
        return Complete(reason=f"every guardrail kept over {window.canary.requests} requests at {state.ratio:g}")
    if is_over:
        waited_s = plan.give_up_after.total_seconds()
        why = "; ".join(missing) or f"the plan had not reached {plan.ratios[-1]:g} of the traffic"
        return GiveUp(reason=f"no verdict after {waited_s:g} s: {why}")
    if missing:
        return Hold(reason="; ".join(missing))
    if now < due:
        return Hold(reason=f"kept so far; at {state.ratio:g} until {due.isoformat(timespec='seconds')}")
    return Advance(to_ratio=min(higher), reason=f"every guardrail kept over {window.canary.requests} requests")


def p95(values: Sequence[float]) -> float:
    """Nearest-rank 95th percentile of at least one value: the smallest that 95 % of the values do not exceed."""
    return sorted(values)[math.ceil(len(values) * 19 / 20) - 1]


def _broken(plan: Plan, window: Window) -> list[str]:
    """Name each guardrail that is surely broken."""
    told = [_errors_broken(plan, window)]
    if window.champion.answered >= plan.min_compared:
        told += [_latency_broken(plan, window), _cost_broken(plan, window), _safety_broken(plan, window)]
    return [reason for reason in told if reason]


def _errors_broken(plan: Plan, window: Window) -> str | None:
    canary, bound = window.canary, plan.bounds.max_error_ratio
    if not _is_surely_above(bound, incidents=canary.errors, total=canary.requests):
        return None
    champion = window.champion.error_ratio
    beside = "" if champion is None else f"; champion {champion:.3f}"
    return f"errors: {canary.errors} of {canary.requests} requests, surely above the bound {bound:.3f}{beside}"


def _latency_broken(plan: Plan, window: Window) -> str | None:
    """Count the answers above the bound: if surely more than 5 % lie there, the p95 lies there too.

    A p95 of few requests is their slowest one; a count of slow ones has a confidence bound however few they are.
    """
    champion_ms = p95(window.champion.latencies_ms)
    bound_ms = champion_ms * plan.bounds.max_latency_p95_ratio
    slow = sum(latency > bound_ms for latency in window.canary.latencies_ms)
    if not _is_surely_above(_TAIL_RATIO, incidents=slow, total=window.canary.answered):
        return None
    found_ms = p95(window.canary.latencies_ms)
    return (
        f"latency: p95 {found_ms:.0f} ms, champion {champion_ms:.0f} ms, bound {bound_ms:.0f} ms; "
        f"{slow} of {window.canary.answered} answers are slower than the bound"
    )


def _cost_broken(plan: Plan, window: Window) -> str | None:
    """Bound the ratio of two mean costs from below, by the delta method on its logarithm.

    Source: Fieller-type problems; variance of a log ratio of independent means, `cv1**2/n1 + cv2**2/n2`
    (Casella and Berger, Statistical Inference, 5.5.4).
    """
    canary, champion = window.canary.costs_usd, window.champion.costs_usd
    if min(len(canary), len(champion)) < MIN_COSTED:
        return None
    found_usd, champion_usd = fmean(canary), fmean(champion)
    if champion_usd == 0:
        return f"cost: {found_usd:.6f} USD a request, champion nothing" if found_usd > 0 else None
    if found_usd == 0:
        return None
    relative = (stdev(canary) / found_usd) ** 2 / len(canary) + (stdev(champion) / champion_usd) ** 2 / len(champion)
    low = found_usd / champion_usd * math.exp(-z_of(CONFIDENCE_RATIO) * math.sqrt(relative))
    if low <= plan.bounds.max_cost_ratio:
        return None
    return (
        f"cost: {found_usd:.6f} USD a request, champion {champion_usd:.6f}, surely above {low:.2f} times, "
        f"bound {plan.bounds.max_cost_ratio:.2f}"
    )


def _safety_broken(plan: Plan, window: Window) -> str | None:
    """Bound the difference of two shares from below.

    Source: Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10.
    """
    canary, champion = window.canary, window.champion
    if canary.safety_blocks < MIN_INCIDENTS:
        return None
    ours = wilson_interval(canary.safety_blocks, canary.answered, confidence_ratio=CONFIDENCE_RATIO)
    theirs = wilson_interval(champion.safety_blocks, champion.answered, confidence_ratio=CONFIDENCE_RATIO)
    low = ours.value - theirs.value - math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    if low <= plan.bounds.max_safety_block_excess_ratio:
        return None
    return (
        f"safety: {ours.value:.3f} of the answers blocked, champion {theirs.value:.3f}, surely {low:.3f} more, "
        f"bound {plan.bounds.max_safety_block_excess_ratio:.3f}"
    )


def _is_surely_above(bound: float, *, incidents: int, total: int) -> bool:
    """Tell whether a share lies above its bound; never while the incidents are no pattern.

    Exact, not Wilson's bound, which errs up to eight times as often as it says where shares are small.
    """
    return incidents >= MIN_INCIDENTS and binomial_tail(incidents, total, bound) <= (1 - CONFIDENCE_RATIO) / 2


def _missing(plan: Plan, window: Window) -> list[str]:
    """Say what keeps the canary from being good at this share: too little seen, or an estimate beyond its bound."""
    canary, champion = window.canary, window.champion
    if window.lost:
        return [f"the request log has lost {window.lost} requests at this share"]
    if canary.requests < plan.min_requests:
        return [f"the canary has had {canary.requests} of {plan.min_requests} requests"]
    for name, arm in (("canary", canary), ("champion", champion)):
        if arm.answered < plan.min_compared:
            return [f"the {name} has answered {arm.answered} of {plan.min_compared} requests needed to compare"]
    for name, arm in (("canary", canary), ("champion", champion)):
        if arm.unmetered:
            return [f"the cost of {arm.unmetered} of {arm.answered} answers of the {name} is unknown"]
    return _beyond(plan.bounds, canary, champion)


def _beyond(bounds: Bounds, canary: ArmWindow, champion: ArmWindow) -> list[str]:
    found: list[str] = []
    errors = canary.errors / canary.requests
    if errors > bounds.max_error_ratio:
        found.append(f"error ratio {errors:.3f} above {bounds.max_error_ratio:.3f}, not surely")
    p95_ms, allowed_ms = p95(canary.latencies_ms), p95(champion.latencies_ms) * bounds.max_latency_p95_ratio
    if p95_ms > allowed_ms:
        found.append(f"latency p95 {p95_ms:.0f} ms above {allowed_ms:.0f} ms, not surely")
    cost_usd, allowed_usd = fmean(canary.costs_usd), fmean(champion.costs_usd) * bounds.max_cost_ratio
    if cost_usd > allowed_usd:
        found.append(f"cost {cost_usd:.6f} USD a request above {allowed_usd:.6f}, not surely")
    excess = canary.safety_blocks / canary.answered - champion.safety_blocks / champion.answered
    if excess > bounds.max_safety_block_excess_ratio:
        found.append(f"safety blocks {excess:.3f} more than on the champion, not surely")
    return found
