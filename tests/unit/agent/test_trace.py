import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.trace import NoSink, Waterfall
from goldgate.ports.traces import SpanRecord
from tests.fakes.in_memory_sink import InMemorySink

TRACE = "0af7651916cd43dd8448eb211c80319c"
"""The example of the W3C Trace Context recommendation."""

NOON_NS = 1_700_000_000_000_000_000


def waterfall(*seconds: float, sink=None, now_ns=lambda: NOON_NS, **options) -> Waterfall:
    ticks = iter(seconds)
    ids = iter(f"{n:016x}" for n in range(1, 1000))
    return Waterfall(
        stopwatch=lambda: next(ticks),
        new_id=lambda _size: next(ids),
        now_ns=now_ns,
        sink=sink or NoSink(),
        trace_id=TRACE,
        **options,
    )


class TestWaterfall:
    def test_measures_spans_from_the_start_of_the_request(self):
        trace = waterfall(100.0, 100.5, 100.75)

        with trace.span("llm") as opened:
            pass

        span = trace.spans[0]
        assert (span.name, span.start_ms, span.duration_ms, span.span_id) == ("llm", 500.0, 250.0, opened.span_id)

    def test_adds_up_spans_of_one_name_only(self):
        trace = waterfall(0.0, 1.0, 2.0, 2.0, 5.0, 5.0, 5.5)

        for name in ("llm", "tool", "llm"):
            with trace.span(name):
                pass

        assert trace.total_ms("llm") == 1500.0

    def test_hands_over_each_span_as_a_child_of_the_root(self):
        sink = InMemorySink()
        trace = waterfall(0.0, 1.0, 3.0, sink=sink, span_id="00000000000000aa")

        with trace.span("llm", attributes={"gen_ai.request.model": "m-1"}) as span:
            span.set("gen_ai.usage.input_tokens", 12)

        assert sink.spans == [
            SpanRecord(
                trace_id=TRACE,
                span_id=span.span_id,
                parent_span_id="00000000000000aa",
                name="chat m-1",
                kind="client",
                start_ns=NOON_NS + 1_000_000_000,
                end_ns=NOON_NS + 3_000_000_000,
                attributes={"gen_ai.request.model": "m-1", "gen_ai.usage.input_tokens": 12},
            )
        ]

    def test_records_a_span_that_raises_with_the_kind_of_the_error_and_not_its_text(self):
        sink = InMemorySink()
        trace = waterfall(0.0, 1.0, 3.0, sink=sink)

        with pytest.raises(ValueError, match="secret"), trace.span("tool"):
            raise ValueError("secret")

        assert trace.total_ms("tool") == 2000.0
        assert sink.spans[0].error == "ValueError"
        assert "secret" not in repr(sink.spans)

    def test_keeps_the_first_kind_of_failure(self):
        sink = InMemorySink()
        trace = waterfall(0.0, 1.0, 3.0, sink=sink)

        with trace.span("tool") as span:
            span.fail("timeout")
            span.fail("later")

        assert sink.spans[0].error == "timeout"

    def test_ends_the_root_span_once_under_its_caller(self):
        sink = InMemorySink()
        trace = waterfall(
            10.0, 12.0, sink=sink, parent_span_id="00000000000000bb", attributes={"goldgate.arm": "canary"}
        )

        trace.end("invoke_agent helper", attributes={"goldgate.refused": True}, error="timeout")
        trace.end("invoke_agent helper", attributes={}, error=None)

        (root,) = sink.spans
        assert (root.span_id, root.parent_span_id, root.error) == (trace.span_id, "00000000000000bb", "timeout")
        assert (root.start_ns, root.end_ns) == (NOON_NS, NOON_NS + 2_000_000_000)
        assert root.attributes == {"goldgate.arm": "canary", "goldgate.refused": True}

    def test_begins_the_root_span_of_a_run_taken_up_when_the_run_began(self):
        sink = InMemorySink()
        trace = waterfall(0.0, 1.0, sink=sink, span_id="00000000000000cc", started_ns=NOON_NS - 60_000_000_000)

        trace.end("invoke_agent helper")

        assert (sink.spans[0].span_id, sink.spans[0].start_ns) == ("00000000000000cc", NOON_NS - 60_000_000_000)

    def test_never_ends_a_root_span_before_it_began(self):
        """The clock of another machine may be ahead of ours."""
        sink = InMemorySink()
        trace = waterfall(0.0, 1.0, sink=sink, started_ns=NOON_NS + 60_000_000_000)

        trace.end("invoke_agent helper")

        assert sink.spans[0].end_ns >= sink.spans[0].start_ns

    def test_looks_at_the_clock_once(self):
        """A clock that is set while a request is answered moves no span."""
        clock = iter([NOON_NS])
        trace = waterfall(0.0, 1.0, 2.0, 3.0, now_ns=lambda: next(clock))

        with trace.span("llm"):
            pass
        trace.end("invoke_agent helper")

        assert next(clock, None) is None

    def test_keeps_every_span_of_threads_that_run_side_by_side(self):
        sink, together = InMemorySink(), threading.Barrier(8)
        trace = Waterfall(
            stopwatch=lambda: 0.0, new_id=lambda _size: "0" * 16, now_ns=lambda: NOON_NS, sink=sink, trace_id=TRACE
        )

        def call() -> None:
            together.wait()
            for _ in range(50):
                with trace.span("tool"):
                    pass

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(trace.spans) == len(sink.spans) == 400

    @given(st.lists(st.floats(min_value=0, max_value=1e5, allow_nan=False), min_size=2, max_size=20))
    def test_children_lie_within_the_root(self, steps):
        sink, clock = InMemorySink(), [0.0]
        trace = Waterfall(
            stopwatch=lambda: clock[0], new_id=lambda _size: "0" * 16, now_ns=lambda: NOON_NS, sink=sink, trace_id=TRACE
        )

        for step in steps:
            with trace.span("tool"):
                clock[0] += step
        trace.end("invoke_agent helper")

        *children, root = sink.spans
        assert all(root.start_ns <= child.start_ns <= child.end_ns <= root.end_ns for child in children)
