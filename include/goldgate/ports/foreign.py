"""A callable that was written elsewhere and lives in a process of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

FailureKind = Literal["raised", "timeout", "died", "unavailable", "too_large", "garbled"]
"""Its code raised; no answer in time; its process ended; no process can be had; too long an answer; no JSON."""


@dataclass(frozen=True, kw_only=True)
class CallableFailure:
    """A question that the callable did not answer."""

    kind: FailureKind
    what: str = ""
    """Class of what was raised, else empty: nothing that the callable wrote."""


class ForeignCallable(Protocol):
    """Asked from many threads at once."""

    def start(self, *, within_s: float) -> str | None:
        """Start it now, and pay for its imports. Returns why it does not start, else None. Never raises.

        The reason may quote what the import raised, without secrets: for its author, never for callers.
        """

    def ask(
        self, request: Mapping[str, JsonValue], *, within_s: float, traceparent: str
    ) -> JsonValue | CallableFailure:
        """Ask once, by `within_s` seconds. A question is never asked twice: it may have acted.

        Args:
            request: The fields of `PredictRequest`, with a trace id.
            within_s: Total time, waiting for a free place included.
            traceparent: W3C trace context of the span that asks.
        """

    def close(self) -> None:
        """End its process. Closing twice does nothing."""
