from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.models.breaker import Breaker, BreakerRule, Outcome

RULE = BreakerRule(failures=3, open_s=30)
HISTORY = st.lists(st.tuples(st.sampled_from(Outcome), st.floats(0, 60)), max_size=40)


def after(*outcomes: Outcome, now_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    for outcome in outcomes:
        breaker = breaker.after(outcome, RULE, now_s=now_s)
    return breaker


class TestBreaker:
    def test_opens_after_so_many_failures_in_a_row(self):
        assert after(*[Outcome.FAILED] * 2).wait_s(RULE, now_s=0) == 0
        assert after(*[Outcome.FAILED] * 3).wait_s(RULE, now_s=0) == 30

    def test_forgets_failures_when_the_endpoint_answers(self):
        breaker = after(Outcome.FAILED, Outcome.FAILED, Outcome.ANSWERED, Outcome.FAILED, Outcome.FAILED)

        assert breaker.wait_s(RULE, now_s=0) == 0

    def test_learns_nothing_from_what_says_nothing(self):
        assert after(Outcome.FAILED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.FAILED).wait_s(RULE, now_s=0) == 30

    def test_lets_one_call_try_when_its_time_is_over(self):
        opened = after(*[Outcome.FAILED] * 3)

        assert opened.wait_s(RULE, now_s=29) == 1
        assert opened.wait_s(RULE, now_s=30) == 0
        assert opened.admitted(now_s=30).wait_s(RULE, now_s=31) == 29

    def test_closes_when_that_call_is_answered(self):
        probing = after(*[Outcome.FAILED] * 3).admitted(now_s=30)

        assert probing.after(Outcome.ANSWERED, RULE, now_s=31) == Breaker()

    def test_opens_again_at_once_when_that_call_fails(self):
        probing = after(*[Outcome.FAILED] * 3).admitted(now_s=30)

        assert probing.after(Outcome.FAILED, RULE, now_s=31).wait_s(RULE, now_s=31) == 30

    def test_lets_the_next_one_try_when_that_call_says_nothing(self):
        probing = after(*[Outcome.FAILED] * 3).admitted(now_s=30)

        assert probing.after(Outcome.UNKNOWN, RULE, now_s=31).wait_s(RULE, now_s=31) == 0

    @given(HISTORY)
    def test_never_shuts_for_longer_than_it_says(self, history):
        breaker, now_s = Breaker(), 0.0
        for outcome, passed_s in history:
            now_s += passed_s
            if breaker.wait_s(RULE, now_s=now_s) == 0:
                breaker = breaker.admitted(now_s=now_s).after(outcome, RULE, now_s=now_s)

            assert 0 <= breaker.wait_s(RULE, now_s=now_s) <= RULE.open_s
        assert breaker.wait_s(RULE, now_s=now_s + RULE.open_s + 1e-6) == 0  # sums of floats are rounded
