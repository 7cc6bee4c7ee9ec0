"""Roll back: move the alias `champion` to an earlier champion, and end whatever canary is running.

Nothing is built, loaded or judged for it: the version was champion before, and its arm is kept warm.
"""

from typing import Final

from pydantic import JsonValue

from goldgate.contracts.ledger import LedgerEntry
from goldgate.contracts.release import Promotion
from goldgate.domain.errors import PermanentError
from goldgate.ports.delivery import Clock
from goldgate.ports.records import Ledger, Locks
from goldgate.ports.registry import AliasMoved, AliasSuperseded, Registry
from goldgate.release.history import INTENT, before, champions, ever_champion, pending_move

_STEP: Final = "rollback"
_LOCK_WITHIN_S: Final = 60.0


def rollback(
    agent: str,
    *,
    to: str | None,
    by: str,
    reason: str,
    registry: Registry,
    ledger: Ledger,
    clock: Clock,
    locks: Locks,
    request_id: str | None = None,
) -> Promotion:
    """Make an earlier champion the champion again.

    Args:
        agent: Whose alias moves.
        to: A version that was champion before; None for the champion before the present one, leaving out those that
            were rolled back from.
        by: Who asks for it.
        reason: Why, for the ledger.
        registry: Where the alias is.
        ledger: Where the history is, and where the move is written before and after.
        clock: For the time of the move.
        locks: No promotion of the agent happens meanwhile.
        request_id: Names this request, so that asking again with the same one does not roll back once more.

    Returns:
        `rolled_back`, or `superseded` if somebody else moved the alias at the same time.

    Raises:
        PermanentError: There is no champion, none before it, or `to` never was one or is it already.
    """
    with locks.hold(f"promote-{agent}", within_s=_LOCK_WITHIN_S):
        entries = ledger.entries(agent=agent)
        if (done := _answered(entries, request_id)) is not None:
            return done
        present = registry.traffic(agent).champion
        intent = pending_move(entries, champion=present)
        if intent is None or intent.step != _STEP or to not in {None, present}:
            target = _target(agent, to=to, present=present, entries=entries)
            evidence: dict[str, JsonValue] = {
                "version": target,
                "previous": present,
                "reason": reason,
                "request_id": request_id,
            }
            intent = ledger.append(
                agent=agent,
                release_id=registry.version(agent, target).release_id,
                step=_STEP,
                outcome=INTENT,
                by=by,
                evidence=evidence,
            )
        return _carry_out(intent, registry=registry, ledger=ledger, clock=clock)


def _carry_out(intent: LedgerEntry, *, registry: Registry, ledger: Ledger, clock: Clock) -> Promotion:
    """Move the alias as the intent says, if that is still to be done, and write the outcome."""
    target, previous = str(intent.evidence["version"]), _text_or_none(intent.evidence["previous"])
    found = registry.traffic(intent.agent).champion
    moved = (
        AliasMoved(previous=previous)
        if found == target
        else registry.move_champion(intent.agent, to=target, expected=previous)
    )
    registry.set_canary(intent.agent, None)
    outcome, reason = "rolled_back", str(intent.evidence["reason"])
    if isinstance(moved, AliasSuperseded):
        outcome, previous = "superseded", moved.found
        reason = f"version `{previous}` became champion meanwhile. Look at it, and roll back again if need be"
    promotion = Promotion.model_validate(
        {"outcome": outcome, "version": target, "previous": previous, "reason": reason, "at": clock.now()}
    )
    ledger.append(
        agent=intent.agent,
        release_id=intent.release_id,
        step=_STEP,
        outcome=outcome,
        by=intent.by,
        evidence={**promotion.model_dump(mode="json"), "request_id": intent.evidence.get("request_id")},
    )
    return promotion


def _target(agent: str, *, to: str | None, present: str | None, entries: list[LedgerEntry]) -> str:
    if present is None:
        raise PermanentError(f"Agent `{agent}` has no champion, so there is nothing to roll back. Release it first.")
    if to is None:
        target = before(champions(entries, champion=present), present)
        if target is None:
            raise PermanentError(
                f"Version `{present}` of `{agent}` is the first champion, or all before it were rolled back from. "
                "Name the version to go to, or release a better candidate."
            )
        return target
    if to == present:
        raise PermanentError(f"Version `{to}` of `{agent}` is champion already.")
    known = ever_champion(entries)
    if to not in known:
        raise PermanentError(
            f"Version `{to}` of `{agent}` never was champion, so it cannot be again without being judged. "
            f"Champions so far: {', '.join(known) or 'none'}."
        )
    return to


def _answered(entries: list[LedgerEntry], request_id: str | None) -> Promotion | None:
    for entry in reversed(entries):
        if request_id and entry.step == _STEP and entry.outcome != INTENT:
            evidence = dict(entry.evidence)
            if evidence.pop("request_id", None) == request_id:
                return Promotion.model_validate(evidence)
    return None


def _text_or_none(value: JsonValue) -> str | None:
    return None if value is None else str(value)
