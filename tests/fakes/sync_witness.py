"""Stands for `os.fsync`, and remembers what was brought to disk and when."""

import os
import stat
from pathlib import Path


class SyncWitness:
    """For each call: what was synced, and what stood under a path at that moment (None: nothing yet)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seen: list[tuple[str, bytes | None]] = []

    def __call__(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        what = "folder" if stat.S_ISDIR(found.st_mode) else f"file of {found.st_size} bytes"
        self.seen.append((what, self._path.read_bytes() if self._path.exists() else None))
