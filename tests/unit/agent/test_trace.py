import pytest

from goldgate.agent.trace import Waterfall


def waterfall(*seconds: float) -> Waterfall:
    ticks = iter(seconds)
    ids = iter(f"{n:016x}" for n in range(1, 100))
    return Waterfall(stopwatch=lambda: next(ticks), new_id=lambda _size: next(ids))


class TestWaterfall:
    def test_measures_spans_from_the_start_of_the_request(self):
        trace = waterfall(100.0, 100.5, 100.75)

        with trace.span("llm"):
            pass

        span = trace.spans[0]
        assert (span.name, span.start_ms, span.duration_ms, span.span_id) == ("llm", 500.0, 250.0, f"{1:016x}")

    def test_records_a_span_that_fails(self):
        trace = waterfall(0.0, 1.0, 3.0)

        with pytest.raises(ValueError, match="broken"), trace.span("tool"):
            raise ValueError("broken")

        assert trace.total_ms("tool") == 2000.0

    def test_adds_up_spans_of_one_name_only(self):
        trace = waterfall(0.0, 1.0, 2.0, 2.0, 5.0, 5.0, 5.5)

        for name in ("llm", "tool", "llm"):
            with trace.span(name):
                pass

        assert trace.total_ms("llm") == 1500.0
