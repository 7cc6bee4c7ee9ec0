"""Open a release: claim the agent, and keep the order. One release of an agent at a time."""

from goldgate.contracts.release import Closing, ReleaseOrder
from goldgate.domain.errors import PermanentError
from goldgate.ports.records import Ledger, ReleaseStore
from goldgate.release.records import note_once


class ReleaseRefusedError(PermanentError):
    """Another release holds the agent."""

    def __init__(self, message: str, *, agent: str, held_by: str) -> None:
        """Keep the agent and the release that holds it."""
        super().__init__(message)
        self.agent = agent
        self.held_by = held_by


ReleaseRefused = ReleaseRefusedError
"""The name by which the steps speak of it."""


def open_release(order: ReleaseOrder, *, store: ReleaseStore, ledger: Ledger) -> ReleaseOrder:
    """Claim the agent and write the order down. Opening the same release again goes on with it.

    Raises:
        ReleaseRefusedError: Another release holds the agent.
        PermanentError: The release is closed already, or its id was used for another agent or source.
    """
    _refuse_reuse(order, store=store)
    held_by = store.open_release(order.agent, order.release_id, by=order.by, at=order.opened_at)
    if held_by is not None:
        note_once(ledger, order, step="open", outcome="refused", evidence={"held_by": held_by})
        raise ReleaseRefusedError(
            f"Release `{order.release_id}` was refused: release `{held_by}` of agent `{order.agent}` is still open. "
            f"Wait for it to end. If nothing runs it any more, end it with `goldgate release close {held_by}`.",
            agent=order.agent,
            held_by=held_by,
        )
    kept = store.read(order.release_id, ReleaseOrder)
    if kept is None:
        store.write(order.release_id, order)
        kept = order
    evidence = {"source": kept.source, "reason": kept.reason}
    note_once(ledger, kept, step="open", outcome="opened", evidence=evidence)
    return kept


def _refuse_reuse(order: ReleaseOrder, *, store: ReleaseStore) -> None:
    if (closing := store.read(order.release_id, Closing)) is not None:
        raise PermanentError(
            f"Release `{order.release_id}` is closed: {closing.outcome} at `{closing.step}`. Start a new release."
        )
    kept = store.read(order.release_id, ReleaseOrder)
    if kept is not None and (kept.agent, kept.source) != (order.agent, order.source):
        raise PermanentError(
            f"Release `{order.release_id}` is of agent `{kept.agent}` from `{kept.source}`, not of `{order.agent}` "
            f"from `{order.source}`. Give the new release an id of its own."
        )
