"""Write a file so that after a crash it is there whole, or not at all.

The counterpart of `goldgate.contracts.documents`, which reads. `sync` brings an open file to disk; whoever asks what is
synced when hands in another one.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

Sync = Callable[[int], None]


def write_durably(path: Path, content: bytes, *, sync: Sync = os.fsync) -> None:
    """Replace a file: written beside it, synced, renamed, and the folder synced. The folder is made if missing."""
    with _written_beside(path, content, sync=sync) as written:
        written.replace(path)
    sync_folder(path.parent, sync=sync)


def create_durably(path: Path, content: bytes, *, sync: Sync = os.fsync) -> bool:
    """Write a file that must not be there yet, as `write_durably` does.

    Returns:
        Whether it was written. False: a file of that name was there, and stays as it is.
    """
    with _written_beside(path, content, sync=sync) as written:
        try:
            os.link(written, path)
        except FileExistsError:
            return False
    sync_folder(path.parent, sync=sync)
    return True


def sync_folder(folder: Path, *, sync: Sync = os.fsync) -> None:
    """Bring a folder's entries to disk: a rename or a new file is not durable before."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _written_beside(path: Path, content: bytes, *, sync: Sync) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        written = Path(file.name)
        try:
            file.write(content)
            file.flush()
            sync(file.fileno())
            yield written
        finally:
            written.unlink(missing_ok=True)
