import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.runs.limits import narrower, near_limits, past_limit, remaining, shared
from goldgate.domain.runs.state import Limits, Spent

counts = st.integers(0, 50)
amounts = st.floats(0, 100)
limits = st.builds(
    Limits,
    max_steps=counts,
    timeout_s=amounts,
    max_tokens=st.none() | counts,
    max_cost_usd=st.none() | amounts,
)
spent = st.builds(Spent, steps=counts, active_s=amounts, tokens_in=counts, tokens_out=counts, cost_usd=amounts)


class TestPastLimit:
    def test_leaves_room_below_every_limit(self):
        allowed = Limits(max_steps=2, timeout_s=10, max_tokens=100, max_cost_usd=1)

        assert past_limit(allowed, Spent(steps=1, active_s=9.9, tokens_in=50, tokens_out=49, cost_usd=0.99)) is None

    def test_minds_unmetered_replies_only_where_tokens_or_money_are_limited(self):
        unmetered = Spent(steps=1, is_metered=False)

        assert past_limit(Limits(), unmetered) is None
        assert (past_limit(Limits(max_cost_usd=1), unmetered) or "").startswith("unmetered: ")

    @given(limits, spent)
    def test_is_where_nothing_is_left(self, allowed: Limits, used: Spent):
        left = remaining(allowed, used)

        is_used_up = 0 in {left.max_steps, left.timeout_s, left.max_tokens, left.max_cost_usd}
        assert (past_limit(allowed, used) is not None) == is_used_up

    @given(limits, spent, spent)
    def test_never_comes_back_below_it(self, allowed: Limits, used: Spent, more: Spent):
        if past_limit(allowed, used) is not None:
            assert past_limit(allowed, used + more) is not None


class TestNearLimits:
    def test_names_the_last_turn(self):
        assert [kind for kind, _ in near_limits(Limits(max_steps=3), Spent(steps=2))] == ["steps"]

    def test_says_nothing_of_a_last_turn_where_there_is_only_one(self):
        assert list(near_limits(Limits(max_steps=1), Spent())) == []

    @pytest.mark.parametrize(("used", "is_near"), [(79, False), (80, True)])
    def test_names_what_is_used_up_by_four_fifths(self, used: int, is_near: bool):
        kinds = [kind for kind, _ in near_limits(Limits(max_tokens=100), Spent(tokens_in=used))]

        assert kinds == (["tokens"] if is_near else [])


class TestRemaining:
    def test_is_never_negative(self):
        left = remaining(Limits(max_steps=1, timeout_s=1, max_tokens=1), Spent(steps=5, active_s=5, tokens_in=5))

        assert left == Limits(max_steps=0, timeout_s=0, max_tokens=0)

    @given(limits, spent, spent)
    def test_can_be_taken_in_parts(self, allowed: Limits, one: Spent, other: Spent):
        parts, whole = remaining(remaining(allowed, one), other), remaining(allowed, one + other)

        assert (parts.max_steps, parts.max_tokens) == (whole.max_steps, whole.max_tokens)
        assert parts.timeout_s == pytest.approx(whole.timeout_s, abs=1e-9)


class TestNarrower:
    @given(limits, limits)
    def test_allows_no_more_than_either(self, own: Limits, inherited: Limits):
        held = narrower(own, inherited)

        assert held == narrower(inherited, own)
        for one in (own, inherited):
            assert narrower(held, one) == held


class TestShared:
    @given(limits, st.integers(1, 20))
    def test_is_never_more_than_there_is_and_leaves_the_caller_a_reply(self, left: Limits, among: int):
        share = shared(left, among=among)

        assert share.max_steps * among <= max(left.max_steps - 1, 0)
        if left.max_tokens is not None and share.max_tokens is not None:
            assert share.max_tokens * among <= left.max_tokens
        if left.max_cost_usd is not None and share.max_cost_usd is not None:
            assert share.max_cost_usd * among == pytest.approx(left.max_cost_usd)
        assert share.timeout_s == left.timeout_s
        assert (share.max_tokens is None) == (left.max_tokens is None)
