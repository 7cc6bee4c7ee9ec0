from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.models.retrying import FIRST_WAIT_S, LONGEST_TOLD_S, LONGEST_WAIT_S, asked_wait_s, next_wait_s

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DRAWN = st.floats(0, 1)


class TestNextWait:
    @given(st.integers(0, 10_000), DRAWN)
    def test_is_drawn_below_a_bound_that_doubles_up_to_the_longest(self, attempt, drawn):
        wait_s = next_wait_s(attempt, asked_s=None, drawn=drawn, left_s=1000)

        assert wait_s == pytest.approx(drawn * min(FIRST_WAIT_S * 2 ** min(attempt, 60), LONGEST_WAIT_S))

    def test_may_be_nothing_at_all(self):
        """Full jitter: the whole range is drawn from."""
        assert next_wait_s(3, asked_s=None, drawn=0.0, left_s=1) == 0

    @given(DRAWN, st.floats(0, 60))
    def test_keeps_to_what_the_endpoint_asks(self, drawn, asked_s):
        assert next_wait_s(0, asked_s=asked_s, drawn=drawn, left_s=1000) == asked_s

    @given(st.integers(0, 50), st.none() | st.floats(0, 10_000), DRAWN, st.floats(-10, 10_000))
    def test_never_outlives_the_time_that_is_left(self, attempt, asked_s, drawn, left_s):
        wait_s = next_wait_s(attempt, asked_s=asked_s, drawn=drawn, left_s=left_s)

        assert wait_s is None or 0 <= wait_s < left_s

    def test_is_none_if_the_endpoint_asks_for_minutes(self):
        assert next_wait_s(0, asked_s=61, drawn=0, left_s=10_000) is None


class TestAskedWait:
    @pytest.mark.parametrize(
        ("headers", "asked_s"),
        [
            ({}, None),
            ({"retry-after": "7"}, 7),
            ({"retry-after": "1.5"}, 1.5),
            ({"retry-after-ms": "250"}, 0.25),
            ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
            ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
            ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30),
            ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0),
            ({"retry-after": "Thu, 01 Jan 2026 12:00:30"}, 30),
            ({"retry-after": "Fri, 01 Jan 2027 12:00:00 GMT"}, LONGEST_TOLD_S),
            ({"retry-after": "1e12"}, LONGEST_TOLD_S),
            ({"retry-after": "-3"}, None),
            ({"retry-after": "nan"}, None),
            ({"retry-after": "inf"}, None),
            ({"retry-after": "soon"}, None),
        ],
    )
    def test_reads_seconds_milliseconds_and_dates(self, headers, asked_s):
        assert asked_wait_s(headers, now=NOON) == asked_s

    @given(st.text(max_size=40))
    def test_never_stumbles_over_what_an_endpoint_writes(self, text):
        asked_s = asked_wait_s({"retry-after": text, "retry-after-ms": text}, now=NOON)

        assert asked_s is None or 0 <= asked_s <= LONGEST_TOLD_S
