"""Whose trace a request belongs to, as W3C Trace Context writes it.

Source: https://www.w3.org/TR/trace-context/, version 00.
"""

import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


@dataclass(frozen=True, kw_only=True)
class TraceContext:
    """A span of somebody else's, under which ours go on."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        """The value of the header of that name. Sampled: whoever gets it is to record too."""
        return f"00-{self.trace_id}-{self.span_id}-01"


def read_traceparent(text: str | None) -> TraceContext | None:
    """Read a header; None for one that is missing or wrong, as the recommendation wants: a new trace begins.

    The sampled flag is not looked at: every request is recorded.
    """
    found = _TRACEPARENT.fullmatch((text or "").strip())
    if found is None:
        return None
    version, trace_id, span_id, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id=trace_id, span_id=span_id)
