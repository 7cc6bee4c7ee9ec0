"""Locks between processes of one machine, by `flock` on a file each.

The kernel lets go when the holder dies. A lock is not re-entrant: a holder that asks again waits for itself. Several
machines need another lock (known flaws).
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from goldgate.domain.errors import PermanentError, TransientError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")

# A waiting process asks 50 times a second: an alias move holds its lock for some 50 ms.
_ASK_EVERY_S: Final = 0.02


class FileLocks:
    """Named locks, one file each in a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        sleep_s: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder = folder
        self._monotonic_s = monotonic_s
        self._sleep_s = sleep_s

    @contextlib.contextmanager
    def hold(self, name: str, *, within_s: float) -> Iterator[None]:
        """Hold a lock; see `goldgate.ports.records.Locks`."""
        if not _NAME.fullmatch(name):
            raise PermanentError(f"Found the lock name `{name}`; expected lower-case letters, digits, `.`, `_`, `-`.")
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._acquire(descriptor, path=path, within_s=within_s)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int, *, path: Path, within_s: float) -> None:
        give_up_at_s = self._monotonic_s() + within_s
        while not _try_lock(descriptor):
            if self._monotonic_s() >= give_up_at_s:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                raise TransientError(
                    f"Lock `{path.stem}` was not free within {within_s:g} s: process {holder} holds `{path}`. "
                    "Try again, or look what that process is doing."
                )
            self._sleep_s(_ASK_EVERY_S)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
