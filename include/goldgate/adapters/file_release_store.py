"""Records of releases as files: one folder a release, one file a record, written once.

<root>/<release_id>/release_order.json, candidate.json, ...
<root>/open/<agent>.json     which release holds the agent
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from pydantic import AwareDatetime, BaseModel

from goldgate.contracts.base import Contract, ContractError
from goldgate.contracts.documents import read_json
from goldgate.contracts.durable import create_durably, write_durably
from goldgate.contracts.release import ReleaseOrder
from goldgate.domain.digest import canonical_json
from goldgate.domain.errors import PermanentError

R = TypeVar("R", bound=BaseModel)

_OPEN: Final = "open"
_RELEASE_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_AGENT: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Claim(Contract):
    """Which release holds an agent."""

    release_id: str
    by: str
    at: AwareDatetime


class DamagedRecordError(PermanentError):
    """A record on disk cannot be read. Nothing is decided from it."""


class FileReleaseStore:
    """The records of all releases below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, release_id: str) -> Path:
        """Where files of a release are kept. Made if it is missing."""
        folder = self._path(release_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def read(self, release_id: str, kind: type[R]) -> R | None:
        """Return the one record of that kind, or None.

        Raises:
            DamagedRecordError: The file is damaged, or of another version of Goldgate.
        """
        path = self._path(release_id) / _file_name(kind)
        if not path.exists():
            return None
        try:
            return read_json(path, kind)
        except ContractError as error:
            found = "; ".join(str(problem) for problem in error.problems)
            raise DamagedRecordError(
                f"A record of release `{release_id}` is damaged, and nothing was decided from it: {found}. Restore the "
                f"file from a backup. If there is none, move `{path.parent}` away, and whatever in "
                f"`{self._root / _OPEN}` names this release, and start a new release."
            ) from error

    def write(self, release_id: str, record: BaseModel) -> None:
        """Keep a record, once; see `goldgate.ports.records.ReleaseStore`."""
        path = self._path(release_id) / _file_name(type(record))
        if create_durably(path, _text(record)):
            return
        if self.read(release_id, type(record)) != record:
            raise PermanentError(
                f"Release `{release_id}` has another `{type(record).__name__}` already, in `{path}`. "
                "A record is written once: start a new release to decide again."
            )

    def open_release(self, agent: str, release_id: str, *, by: str, at: datetime) -> str | None:
        """Claim the agent for one release; see `goldgate.ports.records.ReleaseStore`."""
        self._path(release_id)
        with self._claims_locked():
            held = self._claim(agent)
            if held is not None:
                return None if held.release_id == release_id else held.release_id
            write_durably(self._claim_path(agent), _text(Claim(release_id=release_id, by=by, at=at)))
            return None

    def close_release(self, agent: str, release_id: str) -> None:
        """Let the agent go. Does nothing if another release holds it."""
        with self._claims_locked():
            held = self._claim(agent)
            if held is not None and held.release_id == release_id:
                self._claim_path(agent).unlink()

    def release_ids(self) -> list[str]:
        """All releases known, newest first: by when they were ordered, or else when their folder was last changed.

        Those whose order is damaged come last.
        """
        if not self._root.is_dir():
            return []
        folders = [
            folder
            for folder in self._root.iterdir()
            if folder.is_dir() and folder.name != _OPEN and _RELEASE_ID.fullmatch(folder.name)
        ]
        return [folder.name for folder in sorted(folders, key=self._began_at, reverse=True)]

    def _began_at(self, folder: Path) -> tuple[datetime, str]:
        try:
            order = self.read(folder.name, ReleaseOrder)
        except PermanentError:
            return datetime.min.replace(tzinfo=UTC), folder.name
        at = order.opened_at if order else datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        return at, folder.name

    def _path(self, release_id: str) -> Path:
        if not _RELEASE_ID.fullmatch(release_id) or release_id == _OPEN:
            raise PermanentError(
                f"Found the release id `{release_id}`; expected at most 128 lower-case letters, digits, "
                f"`.`, `_`, `-`, beginning with a letter or digit, and not `{_OPEN}`."
            )
        return self._root / release_id

    def _claim_path(self, agent: str) -> Path:
        if not _AGENT.fullmatch(agent):
            raise PermanentError(
                f"Found the agent name `{agent}`; expected at most 63 lower-case letters, digits and dashes."
            )
        return self._root / _OPEN / f"{agent}.json"

    def _claim(self, agent: str) -> Claim | None:
        path = self._claim_path(agent)
        if not path.exists():
            return None
        try:
            return read_json(path, Claim)
        except ContractError as error:
            found = "; ".join(str(problem) for problem in error.problems)
            raise DamagedRecordError(
                f"Which release holds agent `{agent}` cannot be read, so nothing was changed: {found}. If `goldgate "
                f"release list` shows none of its releases as open, remove the file; else restore it from a backup."
            ) from error

    @contextlib.contextmanager
    def _claims_locked(self) -> Iterator[None]:
        """Wait without limit: a claim is read and written within milliseconds, and the kernel frees a dead holder."""
        folder = self._root / _OPEN
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _file_name(kind: type[BaseModel]) -> str:
    return f"{_CAPITAL.sub('_', kind.__name__).lower()}.json"


def _text(record: BaseModel) -> bytes:
    return canonical_json(record.model_dump(mode="json", by_alias=True)) + b"\n"
