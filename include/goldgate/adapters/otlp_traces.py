"""Spans to any OpenTelemetry collector over OTLP/HTTP, in batches, from a thread of its own.

Whoever works only puts a span into a bounded queue. The thread imports the SDK when there is a first span to send,
finds out where to send it, converts and sends. What finds no room, or cannot be sent, is lost: it is counted, and told
in the log. The SDK's own batch processor is not used, because it loses spans without a count.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.traces import Attribute, SpanRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

log = logging.getLogger(__name__)

_MAX_TEXT: Final = 256
"""Characters of a name or of an attribute. Ours are shorter; what a model invents may not be."""
_MAX_ITEMS: Final = 32
_INT64: Final = 2**63

_TELL_EVERY_S: Final = 60.0
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
"""Between two attempts to find out where spans go."""


@dataclass(frozen=True, kw_only=True)
class OtlpTarget:
    """Where spans go."""

    url: str
    """With its path, such as `http://collector:4318/v1/traces`."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """May hold a key: shown nowhere."""


@dataclass(frozen=True, kw_only=True)
class OtlpOptions:
    """How much is kept, and how long anything may take."""

    max_queue: int = 8192
    """Spans that may wait: what a hundred requests a second make in some ten seconds."""
    max_batch: int = 64
    """Six traces or so. MLflow answers nobody else while it stores a batch, 7 ms a trace: with 512 spans a rollback
    beside live traffic was served after a second (two cores, SQLite)."""
    linger_s: float = 0.5
    """How long a first span waits for others, so that a trace is mostly one message."""
    send_within_s: float = 10.0
    """For one batch, retries included."""
    close_within_s: float = 5.0


class OtlpSpanSink:
    """Implements `goldgate.ports.traces.SpanSink`."""

    def __init__(
        self,
        find_target: Callable[[], OtlpTarget],
        *,
        resource: Mapping[str, Attribute],
        schema_url: str,
        options: OtlpOptions = OtlpOptions(),
        monotonic_s: Callable[[], float] = time.monotonic,
        first_wait_s: float = _FIRST_WAIT_S,
    ) -> None:
        """Start the thread.

        Args:
            find_target: Called in the thread until it raises neither `PermanentError` nor `TransientError`.
            resource: What is true of every span of this process.
            schema_url: Of the conventions that names of attributes follow.
            options: Bounds.
            monotonic_s: Paces the log lines on losses.
            first_wait_s: Between the first two calls of `find_target`; it doubles.
        """
        self._find_target = find_target
        self._resource = dict(resource)
        self._schema_url = schema_url
        self._options = options
        self._monotonic_s = monotonic_s
        self._first_wait_s = first_wait_s
        self._changed = threading.Condition()
        self._waiting: deque[SpanRecord] = deque()
        self._in_hand = 0
        self._dropped = 0
        self._is_closed = False
        self._exporter: _Exporter | None = None
        self._reason = "the queue was full"
        self._told, self._told_at_s = 0, -math.inf
        self._thread = threading.Thread(target=self._work, name="otlp-traces", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many were lost since the start."""
        return self._dropped

    def record(self, span: SpanRecord) -> None:
        """Queue one span; dropped and counted if the queue is full or closed."""
        with self._changed:
            if self._is_closed or len(self._waiting) >= self._options.max_queue:
                self._dropped += 1
                return
            self._waiting.append(span)
            if len(self._waiting) in (1, self._options.max_batch):
                self._changed.notify()

    def close(self) -> None:
        """Send what is queued, for `close_within_s` at most; what is left then is lost. Twice: does nothing."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify()
        self._thread.join(self._options.close_within_s)
        with self._changed:
            self._dropped += self._in_hand + len(self._waiting)
            self._in_hand = 0
            self._waiting.clear()
        if self._thread.is_alive() and self._exporter is not None:
            self._exporter.stop()
        self._tell()

    def _work(self) -> None:
        while batch := self._next_batch():
            exporter = self._exporter or self._open()
            began_s = self._monotonic_s()
            taken = exporter.send(batch) if exporter is not None else 0
            if exporter is not None and taken < len(batch):
                self._reason = exporter.reason
            with self._changed:
                # `close` may have given this batch up, and counted it.
                self._dropped += min(len(batch) - taken, self._in_hand)
                self._in_hand = 0
            if self._monotonic_s() - self._told_at_s >= _TELL_EVERY_S:
                self._tell()
            self._leave_to_others(self._monotonic_s() - began_s)
        if self._exporter is not None:
            self._exporter.stop()

    def _leave_to_others(self, taken_s: float) -> None:
        """Leave the collector alone for as long as the last batch took it: half of its time at most is ours."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, timeout=min(taken_s, self._options.send_within_s))

    def _next_batch(self) -> list[SpanRecord]:
        """Wait for a span, and a little for others. Empty when the sink is closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            self._changed.wait_for(
                lambda: len(self._waiting) >= self._options.max_batch or self._is_closed, timeout=self._options.linger_s
            )
            count = min(len(self._waiting), self._options.max_batch)
            self._in_hand = count
            return [self._waiting.popleft() for _ in range(count)]

    def _open(self) -> "_Exporter | None":
        """Find out where spans go, however long it takes; None if the sink is closed first."""
        wait_s = self._first_wait_s
        while True:
            try:
                target = self._find_target()
            except (PermanentError, TransientError) as error:
                self._reason = str(error)
                log.warning("traces.target.unavailable", extra={"reason": str(error)})
            else:
                self._exporter = _Exporter(
                    target, self._resource, schema_url=self._schema_url, within_s=self._options.send_within_s
                )
                return self._exporter
            with self._changed:
                if self._changed.wait_for(lambda: self._is_closed, timeout=wait_s):
                    return None
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _tell(self) -> None:
        dropped = self._dropped
        if dropped > self._told:
            log.warning(
                "traces.dropped", extra={"count": dropped - self._told, "total": dropped, "reason": self._reason}
            )
            self._told, self._told_at_s = dropped, self._monotonic_s()


class _Exporter:
    """The SDK's exporter to one target. For one thread, but for `stop`."""

    def __init__(
        self, target: OtlpTarget, resource: Mapping[str, Attribute], *, schema_url: str, within_s: float
    ) -> None:
        # 60 ms of import, in a thread that nobody waits for.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

        self._last_words = _LastWords()
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._last_words)
        self._query = urlsplit(target.url).query
        self._exporter = OTLPSpanExporter(endpoint=target.url, headers=target.headers, timeout=within_s)
        self._is_stopped = False
        self._resource = Resource.create(_attributes(resource), schema_url)
        self._scope = InstrumentationScope("goldgate", schema_url=schema_url)

    @property
    def reason(self) -> str:
        """Why the last batch was not taken. Without the query of the address, which may hold a key."""
        return self._last_words.text.replace(self._query, "...") if self._query else self._last_words.text

    def send(self, spans: Sequence[SpanRecord]) -> int:
        """Send, and return how many were taken: all or none of those that are well-formed."""
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415 - as above

        ready = [one for span in spans if (one := self._readable(span)) is not None]
        if len(ready) < len(spans):
            self._last_words.text = "a span has no valid ids"
        if not ready:
            return 0
        return len(ready) if self._exporter.export(ready) is SpanExportResult.SUCCESS else 0

    def stop(self) -> None:
        """Give up what waits to be tried again, and the connections. Twice: does nothing."""
        if not self._is_stopped:
            self._is_stopped = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK leaves it out
            logging.getLogger(type(self._exporter).__module__).removeFilter(self._last_words)

    def _readable(self, span: SpanRecord) -> "ReadableSpan | None":
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - as above
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415

        def context(span_id: str, *, is_remote: bool) -> SpanContext:
            flags = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(int(span.trace_id, 16), int(span_id, 16), is_remote=is_remote, trace_flags=flags)

        try:
            own = context(span.span_id, is_remote=False)
            parent = context(span.parent_span_id, is_remote=False) if span.parent_span_id else None
        except ValueError:
            return None
        failure = {} if span.error is None else {"error.type": span.error}
        return ReadableSpan(
            name=_text(span.name),
            context=own,
            parent=parent,
            resource=self._resource,
            attributes=_attributes({**span.attributes, **failure}),
            kind=SpanKind[span.kind.upper()],
            status=Status(StatusCode.UNSET if span.error is None else StatusCode.ERROR),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )


class _LastWords(logging.Filter):
    """Keeps what the exporter says in the thread that made this, for one line of ours instead of many of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self.text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Note what was said, and keep it from the log."""
        if record.thread != self._thread:
            return True
        self.text = record.getMessage()[:_MAX_TEXT]
        return False


def _attributes(attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    """Bound what is sent, and make it encodable: one span that is not would lose the whole batch."""
    return {name: _value(value) for name, value in attributes.items()}


def _value(value: Attribute) -> Any:
    match value:
        case str():
            return _text(value)
        case bool():
            return value
        case int():
            return value if -_INT64 <= value < _INT64 else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case _:
            return [_text(item) for item in value[:_MAX_ITEMS]]


def _text(text: str) -> str:
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
