import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.rate_limit import Bucket, Rate, full_bucket, refilled, taken, wait_s

rates = st.builds(Rate, per_minute=st.floats(0.1, 10_000), burst=st.integers(1, 100))
gaps = st.lists(st.floats(0, 120), min_size=1, max_size=200)


def admitted(rate: Rate, times: list[float]) -> list[float]:
    """Ask at these times, and return those at which a token was there."""
    bucket, got = full_bucket(rate, now_s=times[0]), []
    for now_s in times:
        bucket = refilled(bucket, rate, now_s=now_s)
        if not wait_s(bucket, rate):
            bucket = taken(bucket)
            got.append(now_s)
    return got


class TestTokenBucket:
    def test_gives_its_burst_at_once_and_then_one_at_a_time(self):
        rate = Rate(per_minute=60, burst=3)

        assert admitted(rate, [0, 0, 0, 0, 0.5, 1.0, 1.5, 2.0]) == [0, 0, 0, 1.0, 2.0]

    @given(rates, gaps)
    def test_never_gives_more_than_its_burst_and_what_time_refills(self, rate, gaps):
        times = [sum(gaps[:count]) for count in range(1, len(gaps) + 1)]
        got = admitted(rate, times)

        for first in range(len(got)):
            for last in range(first, len(got)):
                most = rate.burst + (got[last] - got[first]) * rate.per_minute / 60
                assert last - first + 1 <= most + 1e-6

    @given(rates, st.floats(0, 1), st.floats(0, 1e6))
    def test_holds_a_token_once_the_wait_it_named_is_over(self, rate, tokens, now_s):
        bucket = Bucket(tokens=tokens, at_s=now_s)

        later = refilled(bucket, rate, now_s=now_s + wait_s(bucket, rate) + 1e-6)

        assert later.tokens >= 1 - 1e-3

    @given(rates, st.floats(0, 100), st.floats(0, 1000), st.floats(0, 1000))
    def test_loses_nothing_to_a_clock_that_goes_back_and_never_overflows(self, rate, tokens, at_s, now_s):
        bucket = Bucket(tokens=min(tokens, rate.burst), at_s=at_s)

        later = refilled(bucket, rate, now_s=now_s)

        assert bucket.tokens <= later.tokens <= rate.burst
        assert later.at_s >= at_s

    @pytest.mark.parametrize(("tokens", "wait"), [(1.0, 0), (5.0, 0), (0.5, 1.0), (0.0, 2.0)])
    def test_names_the_wait_for_the_next_token(self, tokens, wait):
        assert wait_s(Bucket(tokens=tokens, at_s=0), Rate(per_minute=30, burst=5)) == wait
