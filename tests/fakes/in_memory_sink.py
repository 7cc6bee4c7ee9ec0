"""Keeps spans for a test to look at."""

from goldgate.ports.traces import SpanRecord


class InMemorySink:
    """Implements `goldgate.ports.traces.SpanSink`."""

    def __init__(self) -> None:
        self.spans: list[SpanRecord] = []
        self.is_closed = False

    def record(self, span: SpanRecord) -> None:
        self.spans.append(span)

    @property
    def dropped(self) -> int:
        return 0

    def close(self) -> None:
        self.is_closed = True

    def named(self, name: str) -> SpanRecord:
        """Return the one span of that name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found
