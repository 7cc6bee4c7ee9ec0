"""The waterfall of one request or run: a root span, and a child for everything that took time."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from goldgate.agent.trace_names import error_type, kind_of, title_of
from goldgate.contracts.prediction import Span, SpanName
from goldgate.ports.traces import Attribute, SpanRecord, SpanSink

Stopwatch = Callable[[], float]
"""Seconds on a clock that never goes back."""

NewId = Callable[[int], str]
"""Makes a random id of that many bytes, as lower-case hex."""


class NoSink:
    """Drops every span: for who has nobody to send them to. Implements `goldgate.ports.traces.SpanSink`."""

    dropped = 0
    """Nothing was to be kept, so nothing was lost."""

    def record(self, span: SpanRecord) -> None:
        """Drop it."""

    def close(self) -> None:
        """Do nothing."""


class OpenSpan:
    """A span that has not ended. Of one thread."""

    def __init__(self, span_id: str, *, attributes: Mapping[str, Attribute]) -> None:
        self.span_id = span_id
        """16 lower-case hex digits."""
        self.attributes = dict(attributes)
        self.error: str | None = None
        """Kind of failure."""

    def set(self, name: str, value: Attribute) -> None:
        """Note one fact: an id, a figure or a name, never content."""
        self.attributes[name] = value

    def set_all(self, attributes: Mapping[str, Attribute]) -> None:
        """Note several."""
        self.attributes.update(attributes)

    def fail(self, kind: str) -> None:
        """Say that it failed, and of what kind the failure is. The first word counts."""
        if self.error is None:
            self.error = kind


class Waterfall:
    """Records spans against the start of the request, and hands each to a sink when it ends.

    Several threads may hold spans at a time. Times of day come from one look at the clock and the stopwatch after it,
    so that a clock which is set meanwhile moves no span.
    """

    def __init__(
        self,
        *,
        stopwatch: Stopwatch,
        new_id: NewId,
        now_ns: Callable[[], int],
        sink: SpanSink,
        trace_id: str,
        span_id: str | None = None,
        parent_span_id: str | None = None,
        started_ns: int | None = None,
        attributes: Mapping[str, Attribute] = {},
    ) -> None:
        """Start the clock.

        Args:
            stopwatch: Measures.
            new_id: Makes span ids.
            now_ns: Nanoseconds since the epoch. Asked once.
            sink: Takes the spans that have ended.
            trace_id: 32 lower-case hex digits.
            span_id: Of the root span. A run that another process began goes on under its own; None makes one.
            parent_span_id: Of the caller's span.
            started_ns: When the run began, if that was in another process: the start of the root span.
            attributes: Of the root span, beside those of its end.
        """
        self.trace_id = trace_id
        self.span_id = span_id or new_id(8)
        self._stopwatch = stopwatch
        self._new_id = new_id
        self._sink = sink
        self._parent_span_id = parent_span_id
        self._attributes = dict(attributes)
        self._anchor_ns = now_ns()
        self._started_ns = self._anchor_ns if started_ns is None else started_ns
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._has_ended = False
        self._started_s = stopwatch()

    @property
    def elapsed_s(self) -> float:
        """Seconds since this process began to work on it."""
        return self._stopwatch() - self._started_s

    @property
    def spans(self) -> list[Span]:
        """The children that have ended in this process, in the order of their ends."""
        with self._lock:
            return list(self._spans)

    def total_ms(self, name: SpanName) -> float:
        """Add up the spans of a name."""
        return sum(span.duration_ms for span in self.spans if span.name == name)

    @contextmanager
    def span(self, name: SpanName, *, attributes: Mapping[str, Attribute] = {}) -> Iterator[OpenSpan]:
        """Record what happens inside, however it ends."""
        opened = OpenSpan(self._new_id(8), attributes=attributes)
        start_s = self.elapsed_s
        try:
            yield opened
        except BaseException as error:
            opened.fail(error_type(error))
            raise
        finally:
            self._ended(name, opened, start_s=start_s, end_s=self.elapsed_s)

    def end(self, name: str, *, attributes: Mapping[str, Attribute] = {}, error: str | None = None) -> None:
        """End the root span. A second time does nothing.

        Args:
            name: What it is called wherever it is shown.
            attributes: What is known of it now.
            error: Kind of failure; None if there was none.
        """
        with self._lock:
            if self._has_ended:
                return
            self._has_ended = True
        self._sink.record(
            SpanRecord(
                trace_id=self.trace_id,
                span_id=self.span_id,
                parent_span_id=self._parent_span_id,
                name=name,
                start_ns=self._started_ns,
                # A clock that was set back between two processes must not make a span of negative length.
                end_ns=max(self._at_ns(self.elapsed_s), self._started_ns),
                attributes={**self._attributes, **attributes},
                error=error,
            )
        )

    def _ended(self, name: SpanName, opened: OpenSpan, *, start_s: float, end_s: float) -> None:
        span = Span(
            name=name, span_id=opened.span_id, start_ms=start_s * 1000, duration_ms=max(end_s - start_s, 0) * 1000
        )
        with self._lock:
            self._spans.append(span)
        self._sink.record(
            SpanRecord(
                trace_id=self.trace_id,
                span_id=opened.span_id,
                parent_span_id=self.span_id,
                name=title_of(name, opened.attributes),
                kind=kind_of(name),
                start_ns=self._at_ns(start_s),
                end_ns=self._at_ns(end_s),
                attributes=opened.attributes,
                error=opened.error,
            )
        )

    def _at_ns(self, elapsed_s: float) -> int:
        return self._anchor_ns + round(elapsed_s * 1_000_000_000)
