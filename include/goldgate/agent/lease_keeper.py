"""Keeps the lease of a run while it is worked on, however long a model takes."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self

from goldgate.agent.pacing import pause_s
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import Lease, LeaseLostError, TaskRunStore

_log = logging.getLogger(__name__)

_RENEWALS: Final = 3
"""In each time of a lease: two may fail before it ends."""

_LONGEST_S: Final = 0.5
"""Between renewals: what a killed process worked since its last record is known to its successor up to this."""


class LeaseKeeper:
    """Renews a lease from a thread of its own, and gives it back at the end. A context manager."""

    def __init__(
        self,
        store: TaskRunStore,
        lease: Lease,
        *,
        for_s: float,
        clock: Clock,
        above: Callable[[], None] = lambda: None,
        every_s: float | None = None,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over a lease that was just taken.

        Args:
            store: Where it was taken.
            lease: What is kept.
            for_s: How long it holds without being renewed.
            clock: By which it ends.
            above: Raises if whoever asked for this run may not go on.
            every_s: Time between renewals while they are answered fast; else longer, up to a third of `for_s`. If not
                given, always half a second, or a third of a shorter `for_s`.
            stopwatch: Seconds on a clock that nobody sets.
        """
        self.lease = lease
        self._store = store
        self._for_s = for_s
        self._clock = clock
        self._above = above
        self._every_s = min(for_s / _RENEWALS, _LONGEST_S) if every_s is None else every_s
        self._longest_s = self._every_s if every_s is None else for_s / _RENEWALS
        self._stopwatch = stopwatch
        self._until = self._end()
        self._lost: LeaseLostError | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"goldgate-lease-{lease.run}", daemon=True)

    def __enter__(self) -> Self:
        """Begin to renew."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and give the lease back, unless what happened is the end of the process itself."""
        self._done.set()
        self._thread.join()
        if error is None or isinstance(error, Exception):
            self._store.release(self.lease)

    def check(self) -> None:
        """Raise `LeaseLostError` if the run is not this process's any more."""
        self._above()
        if self._lost is not None:
            raise LeaseLostError(str(self._lost))

    def confirm(self) -> None:
        """Check it before something is done that cannot be taken back.

        A process that was stopped for a while finds its lease at its end before its own thread has noticed: then it is
        renewed here and now, which fails if somebody else has taken the run over.
        """
        self.check()
        if self._clock.now() >= self._until:
            self._store.renew(self.lease, for_s=self._for_s)
            self._until = self._end()

    def _keep(self) -> None:
        wait_s = self._every_s
        while not self._done.wait(wait_s):
            began_s = self._stopwatch()
            try:
                self._store.renew(self.lease, for_s=self._for_s)
                self._until = self._end()
            except LeaseLostError as error:
                self._lost = error
                return
            except (OSError, PermanentError, TransientError) as error:
                # Tried again: until somebody takes the run over it is still this process's.
                _log.warning("task_run.renewal_failed", extra={"run": self.lease.run, "error": str(error)})
                wait_s = self._every_s
            else:
                took_s = self._stopwatch() - began_s
                wait_s = pause_s(self._every_s, took_s=took_s, longest_s=self._longest_s)

    def _end(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._for_s)
