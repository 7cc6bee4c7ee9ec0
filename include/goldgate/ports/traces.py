"""Where the spans of requests and runs go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Attribute = str | int | float | bool | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class SpanRecord:
    """A span that has ended. It holds ids, figures and names; raw content never."""

    trace_id: str
    """32 lower-case hex digits."""
    span_id: str
    """16 lower-case hex digits."""
    parent_span_id: str | None
    name: str
    kind: Literal["internal", "client", "server"] = "internal"
    start_ns: int
    """Since the epoch."""
    end_ns: int
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    error: str | None = None
    """Kind of failure; None if there was none."""


class SpanSink(Protocol):
    """Takes spans off the hands of whoever works. Safe from several threads."""

    def record(self, span: SpanRecord) -> None:
        """Hand a span over: at once, never raising, dropped and counted when there is no room."""

    @property
    def dropped(self) -> int:
        """How many were lost since the start."""

    def close(self) -> None:
        """Send what is left, within a bounded time. Closing twice does nothing."""
