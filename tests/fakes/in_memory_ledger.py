"""A ledger in memory, chained as the real one is. `written` may be changed by a test to break it."""

import threading
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from goldgate.contracts.documents import parse
from goldgate.contracts.ledger import LedgerEntry
from goldgate.domain.chain import GENESIS, Head, problems_of_chain, seal
from goldgate.domain.errors import PermanentError
from goldgate.ports.delivery import Clock
from tests.fakes.frozen_clock import FrozenClock


class InMemoryLedger:
    """Implements `goldgate.ports.records.Ledger`."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.written: list[dict[str, Any]] = []
        self._head: Head | None = None
        self._clock = clock or FrozenClock()
        self._lock = threading.Lock()

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
        with self._lock:
            last = self.written[-1] if self.written else None
            if problems := self.verify():
                raise PermanentError(f"The ledger is broken: {' '.join(problems)}")
            fields = {
                "seq": 0 if last is None else last["seq"] + 1,
                "at": self._clock.now(),
                "agent": agent,
                "release_id": release_id,
                "step": step,
                "outcome": outcome,
                "by": by,
                "evidence": dict(evidence),
                "previous": GENESIS if last is None else last["hash"],
            }
            value = parse({**fields, "hash": GENESIS}, LedgerEntry, where="entry").model_dump(mode="json")
            value["hash"] = seal(value)
            self.written.append(value)
            self._head = Head(seq=value["seq"], hash=value["hash"])
            return LedgerEntry.model_validate(value)

    def entries(self, *, agent: str | None = None) -> list[LedgerEntry]:
        entries = [LedgerEntry.model_validate(value) for value in self.written]
        return [entry for entry in entries if agent is None or entry.agent == agent]

    def verify(self) -> list[str]:
        return problems_of_chain(self.written, head=self._head)

    def story(self) -> list[tuple[str, str]]:
        """Steps and outcomes, oldest first: what most tests ask."""
        return [(entry["step"], entry["outcome"]) for entry in self.written]
