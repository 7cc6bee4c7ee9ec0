from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.pacing import pause_s

SECONDS = st.floats(min_value=0, max_value=1e6)


class TestPause:
    @given(every_s=SECONDS, took_s=SECONDS, longest_s=SECONDS)
    def test_is_never_shorter_than_is_wanted_nor_longer_than_is_allowed(
        self, every_s: float, took_s: float, longest_s: float
    ):
        assert every_s <= pause_s(every_s, took_s=took_s, longest_s=longest_s) <= max(every_s, longest_s)

    @given(every_s=st.floats(min_value=0.01, max_value=60), took_s=st.floats(min_value=0, max_value=60))
    def test_leaves_a_slow_store_nineteen_twentieths_of_the_time(self, every_s: float, took_s: float):
        assert pause_s(every_s, took_s=took_s, longest_s=1e9) >= 19 * took_s

    def test_is_none_where_none_is_wanted(self):
        assert pause_s(0.0, took_s=3.0, longest_s=5.0) == 0.0
