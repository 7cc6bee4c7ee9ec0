"""The request log as files of JSON lines, one for each agent and UTC day: `<folder>/<agent>/<date>.jsonl`.

Records that were lost, because the queue was full or the disk refused, are noted in `<folder>/<agent>/dropped.jsonl` as
soon as it can be written again: whoever decides on the log must know that it is not whole.

A request only puts its record into a bounded queue; a thread writes. Lines are in the order of `at` but for the clock's
own jumps, which is what lets a reader find its start by halving.
"""

import json
import logging
import os
import queue
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import ValidationError

from goldgate.contracts.request_log import MinimalLog, RequestLog

log = logging.getLogger(__name__)

_AGENT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_DROPPED: Final = "dropped.jsonl"
_MAX_BATCH: Final = 1000
_CLOCK_SLACK: Final = timedelta(seconds=5)
"""How far lines may be out of order, several writers and corrections of the clock included."""


_NOTE_EVERY_S: Final = 1.0
"""How often losses that could not be noted are tried again."""


@dataclass(frozen=True, kw_only=True)
class _Lost:
    """How many records were lost, and when the last of them was made."""

    count: int
    last_at: datetime


class JsonlRequestLog:
    """Writes the log: of requests, or of TaskRuns. See `goldgate.ports.records.RequestLogWriter` and `RunLogWriter`."""

    def __init__(self, folder: Path, *, max_queue: int = 10_000) -> None:
        self._folder = folder
        self._queue: queue.Queue[MinimalLog | None] = queue.Queue(max_queue)
        self._lock = threading.Lock()
        self._dropped = 0
        self._unnoted: dict[str, _Lost] = {}
        self._is_closed = False
        self._thread = threading.Thread(target=self._write_all, name="request-log", daemon=True)
        self._thread.start()

    def add(self, entry: MinimalLog) -> None:
        """Queue one record; dropped and counted if the queue is full or closed."""
        if self._is_closed:
            self._count_dropped([entry])
            return
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._count_dropped([entry])

    @property
    def dropped(self) -> int:
        """How many were lost since the start."""
        return self._dropped

    def close(self) -> None:
        """Write what is queued, and stop. Closing twice does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        while True:
            batch, is_last = self._next_batch()
            for path, entries in _by_file(self._folder, batch).items():
                self._write(path, entries)
            self._note_lost()
            if is_last:
                return

    def _next_batch(self) -> tuple[list[MinimalLog], bool]:
        """Wait for one record, then take what else is there; wait not long while a loss is to be noted."""
        batch: list[MinimalLog] = []
        try:
            entry = self._queue.get(timeout=_NOTE_EVERY_S if self._unnoted else None)
        except queue.Empty:
            return batch, False
        while entry is not None:
            batch.append(entry)
            if len(batch) >= _MAX_BATCH:
                return batch, False
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _write(self, path: Path | None, entries: list[MinimalLog]) -> None:
        if path is None:
            self._count_dropped(entries)
            log.error("request_log.dropped", extra={"count": len(entries), "reason": "not an agent's name"})
            return
        try:
            _append(path, b"".join(entry.model_dump_json().encode() + b"\n" for entry in entries))
        except OSError as error:
            self._count_dropped(entries)
            log.error("request_log.dropped", extra={"count": len(entries), "reason": str(error)})  # noqa: TRY400 - the reason says it

    def _count_dropped(self, entries: list[MinimalLog]) -> None:
        with self._lock:
            self._dropped += len(entries)
            for entry in entries:
                if _AGENT.fullmatch(entry.agent):
                    self._add_unnoted(entry.agent, _Lost(count=1, last_at=entry.at))

    def _note_lost(self) -> None:
        with self._lock:
            unnoted, self._unnoted = self._unnoted, {}
        for agent, lost in unnoted.items():
            line = json.dumps({"last_at": lost.last_at.isoformat(), "count": lost.count}).encode() + b"\n"
            try:
                _append(self._folder / agent / _DROPPED, line)
            except OSError:
                with self._lock:
                    self._add_unnoted(agent, lost)

    def _add_unnoted(self, agent: str, lost: _Lost) -> None:
        before = self._unnoted.get(agent, _Lost(count=0, last_at=lost.last_at))
        self._unnoted[agent] = _Lost(count=before.count + lost.count, last_at=max(before.last_at, lost.last_at))


class JsonlRequestLogReader:
    """Reads the log. See `goldgate.ports.records.RequestLogReader`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def since(self, agent: str, start: datetime) -> Iterator[RequestLog]:
        """Yield the agent's requests at or after `start`, in the order written.

        Days before `start` are not opened, and the first day is entered by halving. A line that is whole but cannot be
        read was torn by a crash; it is left out and told in the log.
        """
        for path in _files(self._folder / agent):
            if _day(path) >= (start - _CLOCK_SLACK).astimezone(UTC).date():
                yield from (entry for entry in _entries(path, start=start - _CLOCK_SLACK) if entry.at >= start)

    def lost(self, agent: str, start: datetime) -> int:
        """Count the records lost at or after `start`. A line that cannot be read tells of at least one."""
        try:
            lines = (self._folder / agent / _DROPPED).read_bytes().splitlines()
        except FileNotFoundError:
            return 0
        return sum(_lost_since(line, start - _CLOCK_SLACK) for line in lines if line)


def _lost_since(line: bytes, start: datetime) -> int:
    try:
        note = json.loads(line)
        return int(note["count"]) if datetime.fromisoformat(note["last_at"]) >= start else 0
    except (ValueError, KeyError, TypeError):
        return 1


def prune(folder: Path, *, older_than: timedelta, now: datetime) -> list[Path]:
    """Remove the files of days that ended longer ago than `older_than`, and return them."""
    last_kept = (now - older_than).astimezone(UTC).date()
    expired = [path for agent in sorted(folder.glob("*")) for path in _files(agent) if _day(path) < last_kept]
    for path in expired:
        path.unlink()
    return expired


def _by_file(folder: Path, batch: list[MinimalLog]) -> dict[Path | None, list[MinimalLog]]:
    files: dict[Path | None, list[MinimalLog]] = {}
    for entry in batch:
        day = entry.at.astimezone(UTC).date().isoformat()
        path = folder / entry.agent / f"{day}.jsonl" if _AGENT.fullmatch(entry.agent) else None
        files.setdefault(path, []).append(entry)
    return files


def _append(path: Path, lines: bytes) -> None:
    """Add whole lines. A line that a crash left open is closed first, so that only it is lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                lines = b"\n" + lines
        written = 0
        while written < len(lines):
            written += file.write(lines[written:])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("????-??-??.jsonl") if _is_day(path.stem))


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _day(path: Path) -> date:
    return date.fromisoformat(path.stem)


def _entries(path: Path, *, start: datetime) -> Iterator[RequestLog]:
    with path.open("rb") as file:
        file.seek(_offset_of(file, start))
        for line in file:
            if not line.endswith(b"\n"):
                return
            if line != b"\n" and (entry := _parse(line, path)) is not None:
                yield entry


def _offset_of(file: BinaryIO, start: datetime) -> int:
    """Find where to begin: a start of a line, with every entry at or after `start` behind it if lines are in order."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:
        middle = (low + high) // 2
        file.seek(middle)
        if middle:
            file.readline()
        at = _time_of_next(file)
        if at is None or at >= start:
            high = middle
        else:
            low = middle + 1
    file.seek(low)
    if low:
        file.readline()
    return file.tell()


def _time_of_next(file: BinaryIO) -> datetime | None:
    """Read on to the next line that can be read, for its time; None at the end."""
    for line in file:
        if line.endswith(b"\n"):
            try:
                return RequestLog.model_validate_json(line).at
            except ValidationError:
                continue
    return None


def _parse(line: bytes, path: Path) -> RequestLog | None:
    try:
        return RequestLog.model_validate_json(line)
    except ValidationError as error:
        log.warning("request_log.unreadable_line", extra={"path": str(path), "problems": error.error_count()})
        return None
