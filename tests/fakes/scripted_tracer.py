"""A tracer with known ids and a clock that stands still."""

from collections import Counter

from goldgate.ports.traces import SpanSink
from goldgate.serving.traces import Tracer


def scripted_tracer(*, trace_id: str, sink: SpanSink | None = None) -> Tracer:
    """Make one whose spans are 1, 2, 3 ... and go to `sink`."""
    made: Counter[str] = Counter()

    def new_id(size: int) -> str:
        if size == 16:
            return trace_id
        made["span"] += 1
        return f"{made['span']:016x}"

    return Tracer(new_id=new_id, now_ns=lambda: 1_000, monotonic_s=lambda: 0.0, sink_of=lambda _: sink)
