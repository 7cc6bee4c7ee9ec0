"""A ledger at which two readers meet: what one lock must keep apart happens at the same moment without it."""

import contextlib
import threading
from typing import Any

from goldgate.contracts.ledger import LedgerEntry
from goldgate.ports.records import Ledger


class MeetingLedger:
    """Reads, then waits until a second reader has read as well. Waits in vain once, if they come one after another."""

    def __init__(self, inner: Ledger, *, within_s: float = 0.5) -> None:
        self._inner = inner
        self._both_read = threading.Barrier(2, timeout=within_s)

    def entries(self, *, agent: str | None = None) -> list[LedgerEntry]:
        found = self._inner.entries(agent=agent)
        with contextlib.suppress(threading.BrokenBarrierError):
            self._both_read.wait()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
