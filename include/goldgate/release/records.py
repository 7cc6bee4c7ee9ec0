"""What all steps share: reading what came before, and writing to the ledger once.

A step's record is the truth; its ledger entry follows from the record. A step that is run again finds its record,
makes sure that the entry is there too, and does nothing else.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from pydantic import BaseModel, JsonValue

from goldgate.contracts.ledger import LedgerEntry
from goldgate.contracts.release import Closing, ReleaseOrder
from goldgate.domain.errors import PermanentError
from goldgate.ports.records import Ledger, ReleaseStore

R = TypeVar("R", bound=BaseModel)

_LONGEST_REASON: Final = 1000
"""Characters of a reason kept in the ledger; the whole of it is in the log of the task."""


class StepMissingError(PermanentError):
    """A step was run before the one that it builds on."""


class ReleaseClosedError(PermanentError):
    """A step was run for a release that has ended."""


def needed(store: ReleaseStore, release_id: str, kind: type[R]) -> R:
    """Read a record of an earlier step.

    Raises:
        StepMissingError: That step has not run.
    """
    record = store.read(release_id, kind)
    if record is None:
        raise StepMissingError(
            f"Release `{release_id}` has no record `{kind.__name__}`. Run the steps of a release in their order."
        )
    return record


def note_once(
    ledger: Ledger, order: ReleaseOrder, *, step: str, outcome: str, evidence: Mapping[str, JsonValue]
) -> LedgerEntry:
    """Add the entry of a step's outcome, unless this release has it already."""
    return find_entry(ledger, order, step=step, outcome=outcome) or ledger.append(
        agent=order.agent, release_id=order.release_id, step=step, outcome=outcome, by=order.by, evidence=evidence
    )


def find_entry(ledger: Ledger, order: ReleaseOrder, *, step: str, outcome: str) -> LedgerEntry | None:
    """Find the last entry of a release for a step and outcome."""
    found = (
        entry
        for entry in reversed(ledger.entries(agent=order.agent))
        if (entry.release_id, entry.step, entry.outcome) == (order.release_id, step, outcome)
    )
    return next(found, None)


def refuse_closed(store: ReleaseStore, release_id: str) -> None:
    """Stop a step of a release that somebody has closed meanwhile: what is closed moves nothing any more.

    Raises:
        ReleaseClosedError: It is closed.
    """
    closing = store.read(release_id, Closing)
    if closing is not None:
        raise ReleaseClosedError(
            f"Release `{release_id}` was closed at {closing.at:%Y-%m-%d %H:%M:%S} UTC ({closing.outcome} at "
            f"`{closing.step}`), so this step does nothing. Start a new release."
        )


@contextlib.contextmanager
def failure_noted(ledger: Ledger, order: ReleaseOrder, *, step: str) -> Iterator[None]:
    """Write to the ledger why a step cannot be done, and let the error pass. `close` tells it to people."""
    try:
        yield
    except PermanentError as error:
        reason = str(error)[:_LONGEST_REASON]
        kept = find_entry(ledger, order, step=step, outcome="failed")
        if kept is None or reason_of(kept) != reason:
            ledger.append(
                agent=order.agent,
                release_id=order.release_id,
                step=step,
                outcome="failed",
                by=order.by,
                evidence={"error": type(error).__name__, "reason": reason},
            )
        raise


def reason_of(entry: LedgerEntry) -> str:
    """Read back why: the `reason` of an entry's evidence."""
    return str(entry.evidence.get("reason", "no reason was recorded"))
