"""Indexes on disk: built once on a machine, named by what they were made of, shared by all its processes.

<root>/<digest>/          one index, written beside it, synced and renamed: it is there whole, or not at all
<root>/<digest>/index.json    digests of its files, checked whenever it is opened

The digests find damage; whoever can write the folder can write both. What an index is searched for is in the bundle,
whose digest is checked: a passage's text never comes from here.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import orjson

from goldgate.contracts.durable import Sync, sync_folder
from goldgate.domain.digest import digest_json

FORMAT: Final = 1
"""Raised whenever an index of before cannot be read any more, or would rank otherwise."""

KEPT: Final = 32
"""So many indexes stay, those used last."""

UNUSED_FOR: Final = timedelta(days=30)
"""An index that no process opened for so long is removed when another is built."""

_ABANDONED_AFTER_S: Final = 24 * 3600.0
"""A folder that its builder left unfinished for so long is removed: no build takes a day."""

_LEAST_SHARED_RATIO: Final = 0.5
"""A base that shares fewer passages saves little."""

_BASES_LOOKED_AT: Final = 8
_MANIFEST: Final = "index.json"
_PASSAGES: Final = "passages.json"


@dataclass(frozen=True, kw_only=True)
class BaseIndex:
    """An index of nearly the same passages, to begin from. Never written to."""

    folder: Path
    passages: Mapping[str, str]
    """Id to the digest of title and text, in the order of the index."""


Write = Callable[[Path, BaseIndex | None], None]
"""Writes an index into an empty folder, from a base if there is one."""


class IndexFolders:
    """The indexes below one folder."""

    def __init__(self, root: Path, *, made_by: Mapping[str, str], sync: Sync = os.fsync) -> None:
        """Name the folder, and what makes an index beside its passages: embedder, libraries and their versions."""
        self._root = root
        self._made_by = {"format": str(FORMAT), **made_by}
        self._sync = sync

    def obtain(self, passages: Mapping[str, str], *, write: Write) -> Path:
        """Find the index of these passages, or have it written.

        Processes that want the same one wait for the first; those that do not see its lock write their own, and one of
        them is kept.

        Args:
            passages: Id to the digest of title and text, in the order of the corpus.
            write: See `Write`.

        Raises:
            OSError: The folder cannot be written, and there is no such index yet.
        """
        folder = self._root / digest_json({"made_by": self._made_by, "passages": list(passages.items())})
        if not self._is_sound(folder):
            self._root.mkdir(parents=True, exist_ok=True)
            with self._locked(folder.name):
                if not self._is_sound(folder):
                    self._build(folder, passages, write=write)
            self._remove_unused(folder)
        with contextlib.suppress(OSError):  # read-only: then nobody removes it either
            os.utime(folder)
        return folder

    def discard(self, folder: Path) -> None:
        """Remove an index that cannot be opened. Processes that have it open keep what they have."""
        away = self._root / f".removed-{secrets.token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            folder.rename(away)
        shutil.rmtree(away, ignore_errors=True)

    def _build(self, folder: Path, passages: Mapping[str, str], *, write: Write) -> None:
        if folder.exists():
            self.discard(folder)
        staging = self._root / f".staging-{secrets.token_hex(8)}"
        staging.mkdir()
        try:
            write(staging, self._nearest(passages))
            (staging / _PASSAGES).write_bytes(orjson.dumps(list(passages.items())))
            manifest = {"made_by": self._made_by, "files": _digests(staging)}
            (staging / _MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS))
            self._sync_tree(staging)
            try:
                staging.rename(folder)
            except OSError:
                # Somebody else's is there, which is as good if it is whole.
                if not self._is_sound(folder):
                    raise
            sync_folder(self._root, sync=self._sync)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _nearest(self, passages: Mapping[str, str]) -> BaseIndex | None:
        """Find a sound index of the same making that shares most passages, among those used last."""
        wanted = set(passages.values())
        nearest: BaseIndex | None = None
        most = _LEAST_SHARED_RATIO * len(wanted)
        for folder in self._by_use()[:_BASES_LOOKED_AT]:
            if (held := self._passages_of(folder)) is None:
                continue
            if (shared := len(wanted.intersection(held.values()))) > most:
                nearest, most = BaseIndex(folder=folder, passages=held), shared
        return nearest if nearest is not None and self._is_sound(nearest.folder) else None

    def _passages_of(self, folder: Path) -> dict[str, str] | None:
        try:
            if orjson.loads((folder / _MANIFEST).read_bytes())["made_by"] != self._made_by:
                return None
            return dict(orjson.loads((folder / _PASSAGES).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _is_sound(self, folder: Path) -> bool:
        """Whether every file is as it was written."""
        try:
            files = orjson.loads((folder / _MANIFEST).read_bytes())["files"]
            return bool(files == _digests(folder))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _by_use(self) -> list[Path]:
        found = [(_mtime(each), each) for each in self._root.iterdir() if not each.name.startswith(".")]
        return [folder for _, folder in sorted(found, reverse=True)]

    def _remove_unused(self, used: Path) -> None:
        now = time.time()
        for rank, folder in enumerate(self._by_use()):
            is_old = now - _mtime(folder) > UNUSED_FOR.total_seconds()
            if folder != used and (rank >= KEPT or is_old):
                self.discard(folder)
        for left in [*self._root.glob(".staging-*"), *self._root.glob(".removed-*")]:
            if now - _mtime(left) > _ABANDONED_AFTER_S:
                shutil.rmtree(left, ignore_errors=True)
        for lock in self._root.glob(".lock-*"):
            if now - _mtime(lock) > UNUSED_FOR.total_seconds():
                lock.unlink(missing_ok=True)

    def _sync_tree(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                with path.open("rb") as file:
                    self._sync(file.fileno())
            else:
                sync_folder(path, sync=self._sync)
        sync_folder(folder, sync=self._sync)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Wait for whoever builds the same index; the kernel frees the lock of a process that died."""
        descriptor = os.open(self._root / f".lock-{name}", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _digests(folder: Path) -> dict[str, str]:
    """Digest every file but the manifest, and the locks that a reader of tantivy leaves."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _MANIFEST and path.suffix != ".lock":
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
