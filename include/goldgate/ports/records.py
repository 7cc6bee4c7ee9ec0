"""What Goldgate itself remembers: records of releases, the ledger, and the request log."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import BaseModel, JsonValue

from goldgate.contracts.request_log import RequestLog, RunLog

if TYPE_CHECKING:
    # For annotations alone: the pod of a run, which logs one line, need not build the contract of the ledger.
    from goldgate.contracts.ledger import LedgerEntry

R = TypeVar("R", bound=BaseModel)


class ReleaseStore(Protocol):
    """The records and files of releases, written durably (written, synced, renamed)."""

    def folder(self, release_id: str) -> Path:
        """Where files of a release are kept. Made if it is missing."""

    def read(self, release_id: str, kind: type[R]) -> R | None:
        """Return the one record of that kind, or None."""

    def write(self, release_id: str, record: BaseModel) -> None:
        """Keep a record. Raises PermanentError if another one of its kind is there with other content."""

    def open_release(self, agent: str, release_id: str, *, by: str, at: datetime) -> str | None:
        """Claim the agent for one release. Returns None, or the id of the release that holds it already."""

    def close_release(self, agent: str, release_id: str) -> None:
        """Let the agent go. Does nothing if another release holds it."""

    def release_ids(self) -> list[str]:
        """All releases known, newest first."""


class Ledger(Protocol):
    """The append-only, hash-chained history of decisions."""

    def append(
        self,
        *,
        agent: str,
        release_id: str,
        step: str,
        outcome: str,
        by: str,
        evidence: Mapping[str, JsonValue],
    ) -> "LedgerEntry":
        """Add one entry, synced to disk before it returns. Safe from several processes.

        Raises PermanentError if the chain on disk is broken: nothing is added to a ledger that lies.
        """

    def entries(self, *, agent: str | None = None) -> "list[LedgerEntry]":
        """Read all entries, oldest first."""

    def verify(self) -> list[str]:
        """Check the whole chain. Returns a sentence for each problem; empty if it holds."""


class RequestLogWriter(Protocol):
    """Takes records of served requests off the hot path. Never blocks, never raises."""

    def add(self, entry: RequestLog) -> None:
        """Queue one record; dropped and counted if the queue is full."""

    @property
    def dropped(self) -> int:
        """How many were lost since the start."""

    def close(self) -> None:
        """Write what is queued, and stop."""


class RunLogWriter(Protocol):
    """Takes the lines of TaskRuns that are over. Never blocks, never raises."""

    def add(self, entry: RunLog) -> None:
        """Queue one line; dropped and counted if the queue is full."""

    def close(self) -> None:
        """Write what is queued, and stop."""


class RequestLogReader(Protocol):
    """Reads what the router wrote."""

    def since(self, agent: str, start: datetime) -> Iterator[RequestLog]:
        """Yield the agent's requests at or after `start`, oldest first; a half-written last line is not yet there."""

    def lost(self, agent: str, start: datetime) -> int:
        """Count the agent's requests at or after `start` that the log has lost, and knows of: more if in doubt."""


class Locks(Protocol):
    """Mutual exclusion between processes."""

    def hold(self, name: str, *, within_s: float) -> AbstractContextManager[None]:
        """Hold a named lock. Released when the holder dies. Raises TransientError after `within_s` seconds."""
