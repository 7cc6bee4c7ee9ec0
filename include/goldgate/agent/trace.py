"""The waterfall of one request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from goldgate.contracts.prediction import Span, SpanName

Stopwatch = Callable[[], float]
"""Seconds on a clock that never goes back."""

NewId = Callable[[int], str]
"""Makes a random id of that many bytes, as lower-case hex."""


@dataclass(kw_only=True)
class Waterfall:
    """Records spans against the start of the request. Of one request, for one thread."""

    stopwatch: Stopwatch
    new_id: NewId
    spans: list[Span] = field(default_factory=list)
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        self.started_s = self.stopwatch()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return self.stopwatch() - self.started_s

    @contextmanager
    def span(self, name: SpanName) -> Iterator[None]:
        """Record what happens inside, however it ends."""
        start_s = self.elapsed_s
        try:
            yield
        finally:
            duration_ms = (self.elapsed_s - start_s) * 1000
            self.spans.append(Span(name=name, span_id=self.new_id(8), start_ms=start_s * 1000, duration_ms=duration_ms))

    def total_ms(self, name: SpanName) -> float:
        """Add up the spans of a name."""
        return sum(span.duration_ms for span in self.spans if span.name == name)
