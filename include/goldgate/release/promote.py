"""Promote a candidate: move the alias `champion` to its version, compare-and-set.

The ledger holds the intent before the move and the outcome after it. A promotion that was killed between the two is
finished by the next run, from the intent: the alias is never moved twice for one release, and never over a move that
somebody else made in between.
"""

from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from goldgate.contracts.ledger import LedgerEntry
from goldgate.contracts.release import CanaryRecord, Evaluation, Judgement, Promotion, Registration, ReleaseOrder
from goldgate.domain.verdict import Verdict
from goldgate.ports.delivery import Clock
from goldgate.ports.records import Ledger, Locks, ReleaseStore
from goldgate.ports.registry import AliasMoved, AliasSuperseded, Registry
from goldgate.release.history import INTENT, is_alias_entry
from goldgate.release.records import find_entry, needed, note_once, refuse_closed

LOCK_WITHIN_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What a promotion is decided on."""

    order: ReleaseOrder
    version: str
    expected: str | None
    """The champion that the candidate was judged against."""
    refusal: str | None
    """Why the records do not allow it; None if they do."""
    grounds: str
    """Why it may be promoted, if it may."""


def promote(
    release_id: str, *, registry: Registry, store: ReleaseStore, ledger: Ledger, clock: Clock, locks: Locks
) -> Promotion:
    """Make the release's version champion, if it may be and the champion is still the one it was judged against.

    Returns:
        `promoted`; `superseded` if somebody else moved the alias; `refused` if the records do not allow it. All three
        are final for this release.

    Raises:
        StepMissingError: The candidate was not judged, registered, or put through a canary.
        ReleaseClosedError: The release was closed before it was promoted.
    """
    facts = _facts(release_id, store=store)
    with locks.hold(f"promote-{facts.order.agent}", within_s=LOCK_WITHIN_S):
        promotion = store.read(release_id, Promotion)
        if promotion is None:
            refuse_closed(store, release_id)
            promotion = _decide(facts, registry=registry, ledger=ledger, clock=clock)
            store.write(release_id, promotion)
        evidence: dict[str, JsonValue] = promotion.model_dump(mode="json")
        note_once(ledger, facts.order, step="promote", outcome=promotion.outcome, evidence=evidence)
    return promotion


def is_half_done(release_id: str, *, registry: Registry, store: ReleaseStore, ledger: Ledger) -> bool:
    """Whether a promotion moved the alias and was killed before it wrote that down."""
    order, registration = store.read(release_id, ReleaseOrder), store.read(release_id, Registration)
    if order is None or registration is None or store.read(release_id, Promotion) is not None:
        return False
    meant = find_entry(ledger, order, step="promote", outcome=INTENT) is not None
    return meant and registry.traffic(order.agent).champion == registration.version


def _facts(release_id: str, *, store: ReleaseStore) -> _Facts:
    judgement = needed(store, release_id, Judgement)
    evaluation = needed(store, release_id, Evaluation)
    canary = needed(store, release_id, CanaryRecord)
    return _Facts(
        order=needed(store, release_id, ReleaseOrder),
        version=needed(store, release_id, Registration).version,
        expected=evaluation.champion_version,
        refusal=_refusal(judgement, canary, champion=evaluation.champion_version),
        grounds=f"judged `{judgement.verdict.value}`; canary {canary.outcome}: {canary.reason}",
    )


def _refusal(judgement: Judgement, canary: CanaryRecord, *, champion: str | None) -> str | None:
    if judgement.verdict is not Verdict.PASS or not judgement.results_valid:
        return f"the candidate was judged `{judgement.verdict.value}`"
    if canary.outcome == "skipped" and champion is not None:
        return f"the canary was skipped although version `{champion}` is champion"
    if canary.outcome not in {"passed", "skipped"}:
        return f"the canary ended `{canary.outcome}`: {canary.reason}"
    return None


def _decide(facts: _Facts, *, registry: Registry, ledger: Ledger, clock: Clock) -> Promotion:
    if facts.refusal is not None:
        return _promotion(facts, "refused", previous=facts.expected, reason=facts.refusal, clock=clock)
    intent = find_entry(ledger, facts.order, step="promote", outcome=INTENT)
    found = registry.traffic(facts.order.agent).champion
    if intent is not None and found == facts.version:
        return _promoted(facts, previous=facts.expected, clock=clock)
    if intent is not None and (later := _move_after(intent, ledger)) is not None:
        reason = f"the alias was moved by `{later.by}` ({later.step}) after this promotion had begun"
        return _promotion(facts, "superseded", previous=found, reason=reason, clock=clock)
    evidence: dict[str, JsonValue] = {"version": facts.version, "expected": facts.expected}
    note_once(ledger, facts.order, step="promote", outcome=INTENT, evidence=evidence)
    match registry.move_champion(facts.order.agent, to=facts.version, expected=facts.expected):
        case AliasMoved(previous=previous):
            return _promoted(facts, previous=previous, clock=clock)
        case AliasSuperseded(found=other):
            reason = (
                f"the candidate was judged against {_named(facts.expected)}, but {_named(other)} is champion now. "
                "Release it again, so that it is judged against that one"
            )
            return _promotion(facts, "superseded", previous=other, reason=reason, clock=clock)


def _move_after(intent: LedgerEntry, ledger: Ledger) -> LedgerEntry | None:
    """Find the first alias move of somebody else after an intent."""
    moves = (
        entry
        for entry in ledger.entries(agent=intent.agent)
        if entry.seq > intent.seq and is_alias_entry(entry) and entry.release_id != intent.release_id
    )
    return next(moves, None)


def _promoted(facts: _Facts, *, previous: str | None, clock: Clock) -> Promotion:
    return _promotion(facts, "promoted", previous=previous, reason=facts.grounds, clock=clock)


def _promotion(facts: _Facts, outcome: str, *, previous: str | None, reason: str, clock: Clock) -> Promotion:
    return Promotion.model_validate(
        {"outcome": outcome, "version": facts.version, "previous": previous, "reason": reason, "at": clock.now()}
    )


def _named(version: str | None) -> str:
    return "no champion" if version is None else f"version `{version}`"
