"""The ledger as a file of JSON lines, with its head remembered in a second file.

An entry is on disk, and the head after it, before `append` returns. A line that was cut by a crash was never
acknowledged: the next append takes it away and says so in the log. Anything else that does not fit is left as it is,
and nothing more is added: every append checks the whole chain first (0.1 ms an entry), so that no alias moves on a
history that was changed.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import JsonValue

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import parse
from goldgate.contracts.durable import Sync, sync_folder, write_durably
from goldgate.contracts.ledger import LedgerEntry
from goldgate.domain.chain import GENESIS, Head, problems_of_chain, seal
from goldgate.domain.digest import canonical_json
from goldgate.domain.errors import PermanentError
from goldgate.ports.delivery import Clock
from goldgate.ports.records import Locks

log = logging.getLogger(__name__)

_LOCK: Final = "ledger"
_LOCK_WITHIN_S: Final = 30.0
_TOLD: Final = 3
"""How many problems an error names; `verify` tells all."""


class LedgerBrokenError(PermanentError):
    """The ledger on disk does not hold. Nothing is added to it."""


class FileLedger:
    """An append-only file of entries, each chained to the one before."""

    def __init__(self, path: Path, *, clock: Clock, locks: Locks, sync: Sync = os.fsync) -> None:
        self._path = path
        self._head_path = path.parent / "head.json"
        self._clock = clock
        self._locks = locks
        self._sync = sync

    def append(
        self,
        *,
        agent: str,
        release_id: str,
        step: str,
        outcome: str,
        by: str,
        evidence: Mapping[str, JsonValue],
    ) -> LedgerEntry:
        """Add one entry; see `goldgate.ports.records.Ledger`."""
        with self._locks.hold(_LOCK, within_s=_LOCK_WITHIN_S):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                head = self._checked_end(file)
                fields: dict[str, Any] = {
                    "seq": head.seq + 1,
                    "at": self._clock.now(),
                    "agent": agent,
                    "release_id": release_id,
                    "step": step,
                    "outcome": outcome,
                    "by": by,
                    "evidence": dict(evidence),
                    "previous": head.hash,
                }
                entry = self._sealed(fields)
                file.write(_line(entry))
                file.flush()
                self._sync(file.fileno())
            if entry.seq == 0:
                sync_folder(self._path.parent, sync=self._sync)
            self._remember(Head(seq=entry.seq, hash=entry.hash))
        return entry

    def entries(self, *, agent: str | None = None) -> list[LedgerEntry]:
        """Read all entries, oldest first. A line still being written is not yet there.

        Raises:
            LedgerBrokenError: A whole line is not an entry.
        """
        lines, _ = self._lines()
        entries = [self._parse(line, number) for number, line in enumerate(lines, start=1)]
        return [entry for entry in entries if agent is None or entry.agent == agent]

    def verify(self) -> list[str]:
        """Check every line, the chain, and the head; see `goldgate.ports.records.Ledger`."""
        with self._locks.hold(_LOCK, within_s=_LOCK_WITHIN_S):
            lines, rest = self._lines()
            try:
                head = self._head()
            except LedgerBrokenError as error:
                return [str(error)]
        problems = self._problems(lines, head=head)
        if rest:
            told = f"Line {len(lines) + 1} is half-written ({len(rest)} bytes)"
            if head is not None and head.seq >= len(lines):
                problems.append(f"{told}, and the head knows its entry: it was acknowledged. Restore it from a copy.")
            else:
                problems.append(
                    f"{told}: a crash while writing. It was never acknowledged; the next append takes it away."
                )
        return problems

    def _problems(self, lines: list[bytes], *, head: Head | None) -> list[str]:
        problems: list[str] = []
        values: list[dict[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            try:
                entry = self._parse(line, number)
            except LedgerBrokenError as error:
                problems.append(str(error))
                continue
            values.append(json.loads(line))
            if _line(entry) != line + b"\n":
                problems.append(f"Line {number}: entry {entry.seq} is not written the way the ledger writes.")
        return problems + problems_of_chain(values, head=head)

    def _checked_end(self, file: BinaryIO) -> Head:
        """Find what to chain to, and take a half-written last line away, if all before it holds."""
        lines, rest = self._lines()
        if problems := self._problems(lines, head=self._head()):
            raise LedgerBrokenError(
                f"The ledger `{self._path}` is broken, so nothing was added: {' '.join(problems[:_TOLD])} "
                "Run `goldgate ledger verify`, and restore the file from a copy."
            )
        if rest:
            file.truncate(file.seek(0, os.SEEK_END) - len(rest))
            log.warning("ledger.tail_repaired", extra={"path": str(self._path), "cut_bytes": len(rest)})
        if not lines:
            return Head(seq=-1, hash=GENESIS)
        last = self._parse(lines[-1], len(lines))
        return Head(seq=last.seq, hash=last.hash)

    def _sealed(self, fields: dict[str, Any]) -> LedgerEntry:
        try:
            draft = parse({**fields, "hash": GENESIS}, LedgerEntry, where="ledger entry")
            return draft.model_copy(update={"hash": seal(draft.model_dump(mode="json"))})
        except (ValueError, TypeError) as error:
            raise PermanentError(f"The evidence of a ledger entry must be JSON: {error}.") from error

    def _parse(self, line: bytes, number: int) -> LedgerEntry:
        where = f"{self._path}:{number}"
        try:
            return parse(json.loads(line), LedgerEntry, where=where)
        except (ValueError, ContractError) as error:
            raise LedgerBrokenError(f"{where} is not an entry: {error}") from error

    def _lines(self) -> tuple[list[bytes], bytes]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return [], b""
        *lines, rest = content.split(b"\n")
        return lines, rest

    def _head(self) -> Head | None:
        try:
            value = json.loads(self._head_path.read_bytes())
            return Head(seq=int(value["seq"]), hash=str(value["hash"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerBrokenError(
                f"The head `{self._head_path}` is not readable: {error!r}. Restore it from a copy."
            ) from error

    def _remember(self, head: Head) -> None:
        write_durably(self._head_path, canonical_json({"seq": head.seq, "hash": head.hash}) + b"\n", sync=self._sync)


def _line(entry: LedgerEntry) -> bytes:
    return canonical_json(entry.model_dump(mode="json")) + b"\n"
