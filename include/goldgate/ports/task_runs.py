"""Where TaskRuns are recorded, and how one process at a time works on each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.events import Word


class RunHeldError(TransientError):
    """Another process works on the run. `retry_after` is when its lease ends at the latest."""


class LeaseLostError(PermanentError):
    """Another process has taken the run over: this one must stop at once, and nothing of it was written."""


class RecordTooLargeError(PermanentError):
    """A record is larger than its store takes, and nothing of it was written. The one before stands."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to work on one run, until it ends or is renewed."""

    run: str
    """Name of the run."""
    owner: str
    epoch: int
    """Goes up by one with every owner. A write of an older epoch is refused."""
    last_renewed: datetime | None = field(default=None, compare=False)
    """When the owner before, alive or dead, took, renewed or gave it back. None: there was none."""


@dataclass(frozen=True, kw_only=True)
class RunWord:
    """What a person or a program says to a run, whoever works on it: an answer to a call, or an order to end."""

    id: str
    at: datetime
    by: str
    cancels: bool = False
    """End the run; `text` is the reason."""
    call_key: str = ""
    """Which call is answered, by its idempotency key: an answer can never reach another call."""
    word: Word = Word.ANSWER
    text: str = ""


class TaskRunStore(Protocol):
    """Runs by name, each recorded whole. Everything written is durable when the method returns."""

    def create(self, run: TaskRun) -> TaskRun:
        """Record a new run; one that is there with the same `spec` is returned as it is.

        Raises:
            PermanentError: There is one of that name that asks something else.
        """

    def read(self, name: str) -> TaskRun | None:
        """Read a run as it was last recorded, whoever works on it. None if there is none.

        Raises:
            PermanentError: Its record is damaged.
        """

    def names(self) -> Sequence[str]:
        """Name all runs, sorted."""

    def take(self, name: str, *, owner: str, for_s: float) -> Lease:
        """Take the lease of a run that nobody works on: it was released, has ended, or its owner is known to be dead.

        Raises:
            RunHeldError: Somebody works on it.
        """

    def renew(self, lease: Lease, *, for_s: float) -> None:
        """Keep a lease for so long from now. Raises `LeaseLostError`."""

    def release(self, lease: Lease) -> None:
        """Give a lease back. Does nothing if it was lost."""

    def save(self, lease: Lease, run: TaskRun) -> None:
        """Record a run whole. Raises `LeaseLostError`, `RecordTooLargeError`, and then nothing was written."""

    def post(self, name: str, word: RunWord) -> None:
        """Leave a word for whoever works on the run, now or later. Raises `PermanentError` if there is no such run."""

    def words(self, name: str) -> Sequence[RunWord]:
        """Read the words left for a run that were not dropped yet, oldest first."""

    def drop(self, lease: Lease, word: RunWord) -> None:
        """Forget a word that was acted on, or could not be. Raises `LeaseLostError`."""

    def remove(self, lease: Lease) -> None:
        """Forget a run with all words left for it, and give the lease back. Raises `LeaseLostError`."""

    def close(self) -> None:
        """Let go of connections, within a few seconds. What was written is durable without."""
