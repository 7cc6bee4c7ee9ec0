"""A request log in memory: both of its ports, and a way to write many entries at once."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from goldgate.contracts.request_log import RequestLog


def request_log(at: datetime, **changes: Any) -> RequestLog:
    """A plain entry of the champion."""
    facts: dict[str, Any] = {
        "at": at,
        "agent": "helper",
        "arm": "champion",
        "release_id": "r-1",
        "caller_hash": "c" * 32,
        "trace_id": "a" * 32,
        "model": "helper@1",
        "prompt": "helper@0123456789ab",
        "latency_ms_total": 100.0,
        "latency_ms_llm": 80.0,
        "tokens_in": 10,
        "tokens_out": 5,
        "tokens_cached": 0,
        "cost_usd": 0.001,
        "is_metered": True,
        "retriever_k": 4,
        "hit_at_k": None,
        "context_precision": None,
        "context_use_rate": 0.5,
        "safety_flags": [],
        "error": None,
    }
    return RequestLog.model_validate({**facts, **changes})


class InMemoryRequestLog:
    """Implements `RequestLogWriter` and `RequestLogReader` of `goldgate.ports.records`."""

    def __init__(self, *, max_queue: int | None = None) -> None:
        self.written: list[RequestLog] = []
        self._max = max_queue
        self._lost: list[RequestLog] = []
        self._is_closed = False

    def add(self, entry: RequestLog) -> None:
        if self._is_closed or (self._max is not None and len(self.written) >= self._max):
            self._lost.append(entry)
        else:
            self.written.append(entry)

    @property
    def dropped(self) -> int:
        return len(self._lost)

    def close(self) -> None:
        self._is_closed = True

    def since(self, agent: str, start: datetime) -> Iterator[RequestLog]:
        yield from (entry for entry in self.written if entry.agent == agent and entry.at >= start)

    def lost(self, agent: str, start: datetime) -> int:
        return sum(entry.agent == agent and entry.at >= start for entry in self._lost)
