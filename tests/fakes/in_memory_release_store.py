"""Records of releases in memory; files in a folder that the test gives."""

import re
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from goldgate.contracts.release import ReleaseOrder
from goldgate.domain.errors import PermanentError

R = TypeVar("R", bound=BaseModel)


class InMemoryReleaseStore:
    """Implements `goldgate.ports.records.ReleaseStore`."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._records: dict[tuple[str, type[BaseModel]], BaseModel] = {}
        self._open: dict[str, str] = {}

    def folder(self, release_id: str) -> Path:
        if self._root is None:
            raise AssertionError("this test needs files: make the store with a folder")
        folder = self._root / _checked(release_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def read(self, release_id: str, kind: type[R]) -> R | None:
        record = self._records.get((_checked(release_id), kind))
        return record if isinstance(record, kind) else None

    def write(self, release_id: str, record: BaseModel) -> None:
        kept = self._records.setdefault((_checked(release_id), type(record)), record)
        if kept != record:
            raise PermanentError(f"Release `{release_id}` has another `{type(record).__name__}` already.")

    def open_release(self, agent: str, release_id: str, *, by: str, at: datetime) -> str | None:  # noqa: ARG002
        holder = self._open.setdefault(agent, _checked(release_id))
        return None if holder == release_id else holder

    def close_release(self, agent: str, release_id: str) -> None:
        if self._open.get(agent) == release_id:
            del self._open[agent]

    def release_ids(self) -> list[str]:
        orders = [record for record in self._records.values() if isinstance(record, ReleaseOrder)]
        return [order.release_id for order in sorted(orders, key=lambda order: order.opened_at, reverse=True)]


def _checked(release_id: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,127}", release_id):
        raise PermanentError(f"Found the release id `{release_id}`.")
    return release_id
