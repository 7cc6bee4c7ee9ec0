"""Where the programs of an agent's tool servers work: in a copy of what was frozen.

Programs write where they work: caches, bytecode, databases. A bundle with a file more is no longer that bundle, so that
such a program would end every later run of its agent.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from goldgate.agent.bundle import AGENTS_FOLDER
from goldgate.domain.errors import TransientError

_PREFIX: Final = "goldgate-tool-"
_HELD: Final = ".held"
_YOUNG_S: Final = 60
"""A folder that is held by nobody may be one that is just made."""


class WorkingCopy:
    """A copy of a folder, for one process. Removed when it is closed, or by the next one if its process was killed."""

    def __init__(self, folder: Path) -> None:
        """Copy it, without the agents inside it.

        Raises:
            TransientError: There is no place for it.
        """
        _sweep()
        try:
            self._place = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._held = os.open(self._place / _HELD, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX)
            self.path = self._place / folder.name
            shutil.copytree(folder, self.path, ignore=lambda where, _: [AGENTS_FOLDER] if Path(where) == folder else [])
        except OSError as error:
            raise TransientError(
                f"Found no place for a working copy of `{folder}` in `{tempfile.gettempdir()}` ({error}); a program of "
                "a tool server works in one. Make room there, or set `TMPDIR`."
            ) from error

    def close(self) -> None:
        """Remove it. Closing twice does nothing."""
        shutil.rmtree(self._place, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._held)
        self._held = -1


def _sweep() -> None:
    """Remove what killed processes left: the system lets go of their locks."""
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - place.stat().st_mtime > _YOUNG_S and _is_held_by_nobody(place / _HELD):
                shutil.rmtree(place, ignore_errors=True)


def _is_held_by_nobody(file: Path) -> bool:
    with file.open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
