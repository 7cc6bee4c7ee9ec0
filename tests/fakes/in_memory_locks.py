"""Locks between the threads of one process."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator

from goldgate.domain.errors import PermanentError, TransientError


class InMemoryLocks:
    """Implements `goldgate.ports.records.Locks`."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextlib.contextmanager
    def hold(self, name: str, *, within_s: float) -> Iterator[None]:
        if not name or "/" in name:
            raise PermanentError(f"Found the lock name `{name}`.")
        if not self._locks[name].acquire(timeout=within_s):
            raise TransientError(f"Lock `{name}` was not free within {within_s:g} s.")
        try:
            yield
        finally:
            self._locks[name].release()
