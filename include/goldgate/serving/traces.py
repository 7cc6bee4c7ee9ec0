"""The router's part of a request's trace: one span for the request, and one below it for each arm that is asked.

The arm's own spans go on below that. Which arm, version and release answered stands here, because only the router
knows it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from goldgate.domain.trace_context import TraceContext
from goldgate.ports.traces import Attribute, SpanRecord, SpanSink


def _nobody(_agent: str) -> None:
    return None


def _none() -> int:
    return 0


@dataclass(frozen=True, kw_only=True)
class Tracer:
    """Makes the traces of requests."""

    new_id: Callable[[int], str]
    """Makes a random id of that many bytes, as lower-case hex."""
    now_ns: Callable[[], int]
    monotonic_s: Callable[[], float]
    sink_of: Callable[[str], SpanSink | None] = _nobody
    """Where the spans of an agent go. Must not block."""
    dropped: Callable[[], int] = _none
    """How many spans were lost."""

    def begin(self, agent: str, *, caller: TraceContext | None, caller_hash: str) -> "RequestTrace":
        """Begin the trace of a request, or go on with the caller's."""
        return RequestTrace(
            tracer=self,
            sink=self.sink_of(agent),
            trace_id=caller.trace_id if caller else self.new_id(16),
            parent_span_id=caller.span_id if caller else None,
            span_id=self.new_id(8),
            attributes={
                "http.request.method": "POST",
                "http.route": "/v1/chat/completions",
                "gen_ai.agent.name": agent,
                "goldgate.caller_hash": caller_hash,
            },
        )


@dataclass(kw_only=True)
class RequestTrace:
    """The trace of one request, as far as the router sees it."""

    tracer: Tracer
    sink: SpanSink | None
    trace_id: str
    parent_span_id: str | None
    span_id: str
    attributes: dict[str, Attribute]
    began_ns: int = field(init=False)
    began_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Look at both clocks once."""
        self.began_ns, self.began_s = self.tracer.now_ns(), self.tracer.monotonic_s()

    def ask(self, attributes: Mapping[str, Attribute]) -> "ArmSpan":
        """Begin the span of a question to an arm."""
        return ArmSpan(trace=self, span_id=self.tracer.new_id(8), start_ns=self.at_ns(), attributes=dict(attributes))

    def end(self, *, status: int, error: str | None) -> None:
        """End the span of the request."""
        self.record(
            SpanRecord(
                trace_id=self.trace_id,
                span_id=self.span_id,
                parent_span_id=self.parent_span_id,
                name="POST /v1/chat/completions",
                kind="server",
                start_ns=self.began_ns,
                end_ns=self.at_ns(),
                attributes={**self.attributes, "http.response.status_code": status},
                error=error,
            )
        )

    def record(self, span: SpanRecord) -> None:
        """Hand a span over, if somebody takes it."""
        if self.sink is not None:
            self.sink.record(span)

    def at_ns(self) -> int:
        """Nanoseconds since the epoch, on a clock that never goes back within a request."""
        return self.began_ns + round((self.tracer.monotonic_s() - self.began_s) * 1_000_000_000)


@dataclass(kw_only=True)
class ArmSpan:
    """A question to one arm."""

    trace: RequestTrace
    span_id: str
    start_ns: int
    attributes: dict[str, Attribute]

    def end(self, *, outcome: str, error: str | None) -> None:
        """End it."""
        self.trace.record(
            SpanRecord(
                trace_id=self.trace.trace_id,
                span_id=self.span_id,
                parent_span_id=self.trace.span_id,
                name=f"invoke_agent {self.attributes['gen_ai.agent.name']}",
                kind="client",
                start_ns=self.start_ns,
                end_ns=self.trace.at_ns(),
                attributes={**self.attributes, "goldgate.outcome": outcome},
                error=error,
            )
        )
