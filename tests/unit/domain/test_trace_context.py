import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.trace_context import TraceContext, read_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
"""The example of the recommendation."""


class TestReadTraceparent:
    @pytest.mark.parametrize("text", [f"00-{TRACE}-{SPAN}-01", f" 00-{TRACE}-{SPAN}-00 ", f"01-{TRACE}-{SPAN}-01-more"])
    def test_reads_what_the_recommendation_allows(self, text):
        """A later version may have more behind; the first four parts stay."""
        assert read_traceparent(text) == TraceContext(trace_id=TRACE, span_id=SPAN)

    @pytest.mark.parametrize(
        "text",
        [
            None,
            "",
            TRACE,
            f"00-{TRACE}-{SPAN}",
            f"ff-{TRACE}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-01-more",
            f"00-{TRACE.upper()}-{SPAN}-01",
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"00-{TRACE}-{SPAN}-01\nx: y",
        ],
    )
    def test_begins_a_new_trace_for_anything_else(self, text):
        assert read_traceparent(text) is None

    @given(st.text(max_size=80))
    def test_takes_any_text(self, text):
        read_traceparent(text)

    def test_reads_what_it_writes(self):
        context = TraceContext(trace_id=TRACE, span_id=SPAN)

        assert read_traceparent(context.traceparent) == context
