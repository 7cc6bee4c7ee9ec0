"""Faults strike as set, the same way each time."""

from hypothesis import given
from hypothesis import strategies as st

from goldgate.standin.faults import Fault, faults_of
from goldgate.standin.settings import StandinSettings


class TestFaultsOf:
    def test_are_none_by_default(self):
        assert all(faults_of(StandinSettings(), number=number) == frozenset() for number in range(1, 500))

    def test_strike_every_nth_request(self):
        settings = StandinSettings(drop_every_nth=3)

        assert [n for n in range(1, 10) if Fault.DROP in faults_of(settings, number=n)] == [3, 6, 9]

    def test_hold_the_ratio(self):
        settings = StandinSettings(rate_limit_ratio=0.2, seed=1)

        struck = [n for n in range(2000) if Fault.RATE_LIMIT in faults_of(settings, number=n)]

        assert 0.17 < len(struck) / 2000 < 0.23

    def test_draw_independently_of_each_other(self):
        settings = StandinSettings(hang_ratio=0.5, server_error_ratio=0.5)

        pairs = {faults_of(settings, number=n) for n in range(100)}

        assert len(pairs) == 4

    @given(st.integers(), st.integers(1, 10_000), st.floats(0, 1))
    def test_depend_on_seed_and_number_alone(self, seed, number, ratio):
        settings = StandinSettings(seed=seed, malformed_tool_call_ratio=ratio)

        assert faults_of(settings, number=number) == faults_of(settings, number=number)
