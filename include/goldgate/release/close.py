"""Close a release: say how it ended, end its canary, and let the agent go."""

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel

from goldgate.contracts.release import (
    Build,
    CanaryRecord,
    Candidate,
    Closing,
    Evaluation,
    Judgement,
    Promotion,
    Registration,
    ReleaseOrder,
)
from goldgate.domain.errors import PermanentError
from goldgate.domain.verdict import Verdict
from goldgate.ports.delivery import Clock
from goldgate.ports.records import Ledger, Locks, ReleaseStore
from goldgate.ports.registry import Registry
from goldgate.release.build import BLOCKED
from goldgate.release.promote import LOCK_WITHIN_S, is_half_done, promote
from goldgate.release.records import find_entry, note_once, reason_of

STEPS: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("check", Candidate),
    ("evaluate", Evaluation),
    ("build", Build),
    ("judge", Judgement),
    ("register", Registration),
    ("canary", CanaryRecord),
    ("promote", Promotion),
)
"""The steps after `open`, in their order, and the record that each leaves."""

Outcome = Literal["promoted", "blocked", "aborted", "failed"]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a release ended, before it is written down."""

    outcome: Outcome
    step: str
    reason: str


def close_release(
    release_id: str,
    *,
    store: ReleaseStore,
    registry: Registry,
    ledger: Ledger,
    clock: Clock,
    locks: Locks,
    failed_step: str | None = None,
) -> Closing:
    """End a release, whatever became of it. Closing it again changes nothing.

    A promotion that was killed after it moved the alias is finished first. The canary ends only if it is this
    release's own.

    Args:
        release_id: The release.
        store: Its records, from which the outcome is worked out.
        registry: For the canary, and to name the champion.
        ledger: Holds why a step failed, and gets the closing.
        clock: For the time of closing.
        locks: For finishing a promotion.
        failed_step: The step that failed, if the caller knows; else the first without a record.

    Returns:
        How it ended. For a release that was refused: `failed` at `open`, and nothing is written.

    Raises:
        PermanentError: Nobody ever asked for such a release.
    """
    order = store.read(release_id, ReleaseOrder)
    if order is None:
        return _never_opened(release_id, registry=registry, ledger=ledger, clock=clock)
    if store.read(release_id, Closing) is None and is_half_done(
        release_id, registry=registry, store=store, ledger=ledger
    ):
        promote(release_id, registry=registry, store=store, ledger=ledger, clock=clock, locks=locks)
    # Under the lock of promotions: one under way is waited for, and a later one finds the release closed.
    with locks.hold(f"promote-{order.agent}", within_s=LOCK_WITHIN_S):
        closing = store.read(release_id, Closing) or _closing(
            order, store=store, registry=registry, ledger=ledger, clock=clock, failed_step=failed_step
        )
        store.write(release_id, closing)
    _end_own_canary(order, store=store, registry=registry)
    note_once(ledger, order, step="close", outcome=closing.outcome, evidence=closing.model_dump(mode="json"))
    store.close_release(order.agent, release_id)
    return closing


def _closing(
    order: ReleaseOrder,
    *,
    store: ReleaseStore,
    registry: Registry,
    ledger: Ledger,
    clock: Clock,
    failed_step: str | None,
) -> Closing:
    ending = _ending(order, store=store, ledger=ledger, failed_step=failed_step)
    return Closing(
        outcome=ending.outcome,
        step=ending.step,
        reason=ending.reason,
        champion=registry.traffic(order.agent).champion,
        at=clock.now(),
    )


def _never_opened(release_id: str, *, registry: Registry, ledger: Ledger, clock: Clock) -> Closing:
    for entry in reversed(ledger.entries()):
        if (entry.release_id, entry.step, entry.outcome) == (release_id, "open", "refused"):
            return Closing(
                outcome="failed",
                step="open",
                reason=f"refused: release `{entry.evidence['held_by']}` held the agent",
                champion=registry.traffic(entry.agent).champion,
                at=clock.now(),
            )
    raise PermanentError(f"Release `{release_id}` was never opened, so there is nothing to close.")


def _end_own_canary(order: ReleaseOrder, *, store: ReleaseStore, registry: Registry) -> None:
    registration = store.read(order.release_id, Registration)
    canary = registry.traffic(order.agent).canary
    if registration is not None and canary is not None and canary.version == registration.version:
        registry.set_canary(order.agent, None)


def _ending(order: ReleaseOrder, *, store: ReleaseStore, ledger: Ledger, failed_step: str | None) -> Ending:
    """Work the outcome out from the records, from the last step backwards."""
    release_id = order.release_id
    promotion = store.read(release_id, Promotion)
    if promotion is not None and promotion.outcome == "promoted":
        return Ending(outcome="promoted", step="promote", reason=promotion.reason)
    canary = store.read(release_id, CanaryRecord)
    if canary is not None and canary.outcome in {"aborted", "undecided"}:
        return Ending(outcome="aborted", step="canary", reason=canary.reason)
    judgement = store.read(release_id, Judgement)
    if judgement is not None and (judgement.verdict is not Verdict.PASS or not judgement.results_valid):
        return Ending(outcome="blocked", step="judge", reason=_why_not_passed(judgement))
    if promotion is not None:
        return Ending(outcome="blocked", step="promote", reason=promotion.reason)
    if (blocked := find_entry(ledger, order, step="build", outcome=BLOCKED)) is not None:
        return Ending(outcome="blocked", step="build", reason=reason_of(blocked))
    step = failed_step or next(name for name, kind in STEPS if store.read(release_id, kind) is None)
    failure = find_entry(ledger, order, step=step, outcome="failed")
    reason = reason_of(failure) if failure else f"step `{step}` did not finish; its log says why"
    return Ending(outcome="failed", step=step, reason=reason)


def _why_not_passed(judgement: Judgement) -> str:
    if not judgement.results_valid:
        return "the results table did not pass validation, so it decides nothing"
    told = "; ".join(f"{gate.gate}: {gate.verdict.value} ({gate.reason})" for gate in judgement.stopping)
    return told or f"judged `{judgement.verdict.value}`"
