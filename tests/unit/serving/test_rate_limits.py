import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.errors import PermanentError
from goldgate.domain.rate_limit import Rate
from goldgate.serving.rate_limits import RateLimits, RouterRates, TooMany

ONE = Rate(per_minute=6, burst=1)
TWO = Rate(per_minute=6, burst=2)


class TestRateLimits:
    def test_hold_each_caller_by_itself(self):
        limits = RateLimits(RouterRates(caller=ONE))

        assert limits.admit(agent="a", caller="ann", own=None, now_s=0) is None
        assert limits.admit(agent="a", caller="bob", own=None, now_s=0) is None
        assert limits.admit(agent="b", caller="ann", own=None, now_s=0) == TooMany(scope="caller", wait_s=10)

    def test_hold_a_caller_to_what_the_agent_allows(self):
        limits = RateLimits(RouterRates(caller=None))

        assert limits.admit(agent="a", caller="ann", own=ONE, now_s=0) is None
        assert limits.admit(agent="a", caller="ann", own=ONE, now_s=5) == TooMany(scope="caller", wait_s=5)
        assert limits.admit(agent="b", caller="ann", own=ONE, now_s=5) is None

    def test_hold_an_agent_however_many_names_its_callers_use(self):
        limits = RateLimits(RouterRates(caller=ONE, agent=TWO))

        outcomes = [limits.admit(agent="a", caller=f"c{n}", own=None, now_s=0) for n in range(3)]

        assert outcomes == [None, None, TooMany(scope="agent", wait_s=10)]

    def test_take_nothing_for_a_request_that_is_refused(self):
        limits = RateLimits(RouterRates(caller=ONE, agent=TWO))
        for _ in range(50):
            limits.admit(agent="a", caller="loud", own=None, now_s=0)

        assert limits.admit(agent="a", caller="quiet", own=None, now_s=0) is None

    def test_ask_nothing_without_limits(self):
        limits = RateLimits(RouterRates(caller=None))

        assert all(limits.admit(agent="a", caller="x", own=None, now_s=0) is None for _ in range(1000))
        assert limits.remembered == 0

    @given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 10)), max_size=200))
    def test_remember_a_bounded_number_of_callers(self, requests):
        limits = RateLimits(RouterRates(caller=ONE, agent=TWO), max_buckets=7)
        for caller, now_s in requests:
            limits.admit(agent="a", caller=str(caller), own=ONE, now_s=now_s)

            assert limits.remembered <= 7

    def test_forget_those_first_who_were_silent_longest(self):
        limits = RateLimits(RouterRates(caller=ONE), max_buckets=2)
        for caller in ("old", "new", "newest"):
            limits.admit(agent="a", caller=caller, own=None, now_s=0)

        assert limits.admit(agent="a", caller="newest", own=None, now_s=0) is not None
        assert limits.admit(agent="a", caller="old", own=None, now_s=0) is None


class TestRouterRates:
    def test_hold_callers_by_default(self):
        assert RouterRates.from_env({}) == RouterRates()
        assert RouterRates().caller is not None

    def test_are_read_from_the_environment(self):
        env = {
            "GOLDGATE_ROUTER_CALLER_REQUESTS_PER_MINUTE": "30",
            "GOLDGATE_ROUTER_CALLER_BURST": "5",
            "GOLDGATE_ROUTER_AGENT_REQUESTS_PER_MINUTE": "600",
        }

        assert RouterRates.from_env(env) == RouterRates(
            caller=Rate(per_minute=30, burst=5), agent=Rate(per_minute=600, burst=60)
        )

    def test_are_off_at_0(self):
        assert RouterRates.from_env({"GOLDGATE_ROUTER_CALLER_REQUESTS_PER_MINUTE": "0"}).caller is None

    @pytest.mark.parametrize("value", ["-1", "many", "nan", "inf"])
    def test_that_are_no_numbers_are_all_named_at_once(self, value):
        env = {"GOLDGATE_ROUTER_CALLER_REQUESTS_PER_MINUTE": value, "GOLDGATE_ROUTER_AGENT_BURST": "0.5"}

        with pytest.raises(PermanentError, match=r"CALLER_REQUESTS_PER_MINUTE.*AGENT_BURST"):
            RouterRates.from_env(env)
