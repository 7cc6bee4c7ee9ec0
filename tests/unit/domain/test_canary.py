from datetime import UTC, datetime, timedelta
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.canary import (
    CONFIDENCE_RATIO,
    Abort,
    Advance,
    ArmWindow,
    Bounds,
    Complete,
    GiveUp,
    Hold,
    Plan,
    State,
    Window,
    next_step,
    p95,
)

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOUNDS = Bounds(max_error_ratio=0.02, max_latency_p95_ratio=1.5, max_cost_ratio=1.3, max_safety_block_excess_ratio=0.05)
PLAN = Plan(
    ratios=(0.01, 0.05),
    dwell=timedelta(seconds=60),
    min_requests=50,
    give_up_after=timedelta(seconds=600),
    bounds=BOUNDS,
)


def arm(
    answered: int, *, errors: int = 0, blocks: int = 0, latency_ms: float = 100, cost_usd: float = 0.001
) -> ArmWindow:
    return ArmWindow(
        errors=errors,
        safety_blocks=blocks,
        latencies_ms=(latency_ms,) * answered,
        costs_usd=(cost_usd,) * answered,
    )


def step(canary: ArmWindow, champion: ArmWindow, *, after_s: float = 60, ratio: float = 0.05, plan: Plan = PLAN):
    state = State(started_at=START, ratio=ratio, since=START)
    return next_step(plan, Window(canary=canary, champion=champion), state, START + timedelta(seconds=after_s))


class TestP95:
    @pytest.mark.parametrize(("count", "rank"), [(1, 1), (19, 19), (20, 19), (21, 20), (100, 95), (101, 96)])
    def test_is_the_nearest_rank(self, count, rank):
        """Known values: ceil(0.95 n). 20 is the case that floating point gets wrong (0.95 * 20 > 19)."""
        assert p95([float(n) for n in range(1, count + 1)]) == rank


class TestNextStep:
    def test_goes_up_when_all_is_kept_and_the_time_is_over(self):
        assert step(arm(50), arm(500), ratio=0.01) == Advance(
            to_ratio=0.05, reason="every guardrail kept over 50 requests"
        )

    def test_completes_at_the_last_share(self):
        assert isinstance(step(arm(50), arm(500)), Complete)

    def test_waits_for_the_dwell(self):
        assert isinstance(step(arm(500), arm(5000), after_s=59), Hold)

    def test_waits_for_enough_requests(self):
        assert step(arm(49), arm(500)) == Hold(reason="the canary has had 49 of 50 requests")

    def test_waits_for_a_champion_to_compare_with(self):
        assert step(arm(50), arm(24)) == Hold(reason="the champion has answered 24 of 25 requests needed to compare")

    def test_counts_failures_as_requests_but_not_as_answers(self):
        plan = Plan(**{**vars(PLAN), "bounds": Bounds(**{**vars(BOUNDS), "max_error_ratio": 1.0})})

        assert step(arm(24, errors=26), arm(500), plan=plan) == Hold(
            reason="the canary has answered 24 of 25 requests needed to compare"
        )

    def test_never_completes_on_a_log_that_lost_requests(self):
        """They may be the ones that failed."""
        window, state = (
            Window(canary=arm(50), champion=arm(500), lost=1),
            State(started_at=START, ratio=0.05, since=START),
        )

        assert next_step(PLAN, window, state, START + PLAN.dwell) == Hold(
            reason="the request log has lost 1 requests at this share"
        )
        assert isinstance(next_step(PLAN, window, state, START + PLAN.give_up_after), GiveUp)

    def test_takes_silence_for_no_success(self):
        found = step(arm(0), arm(5000), after_s=600)

        assert found == GiveUp(reason="no verdict after 600 s: the canary has had 0 of 50 requests")

    def test_gives_up_on_a_plan_that_its_own_time_cannot_hold(self):
        assert isinstance(step(arm(50), arm(500), after_s=600, ratio=0.01), GiveUp)

    def test_completes_rather_than_gives_up_at_the_same_look(self):
        assert isinstance(step(arm(50), arm(500), after_s=600), Complete)


class TestErrorGuardrail:
    @pytest.mark.parametrize(("answered", "errors"), [(0, 1), (0, 2), (1, 2), (50, 1), (100, 3)])
    def test_does_not_act_on_what_may_be_chance(self, answered, errors):
        assert isinstance(step(arm(answered, errors=errors), arm(500), after_s=10), Hold)

    @pytest.mark.parametrize(("answered", "errors"), [(0, 3), (7, 3), (40, 8), (190, 20)])
    def test_acts_as_soon_as_it_is_sure(self, answered, errors):
        found = step(arm(answered, errors=errors), arm(500), after_s=1)

        assert isinstance(found, Abort)
        assert found.reason.startswith(f"errors: {errors} of {answered + errors} requests")

    @given(requests=st.integers(3, 150), bound=st.floats(0.001, 0.5))
    def test_errs_at_one_look_no_more_often_than_it_says(self, requests, bound):
        """Sum the chances of all counts that abort a canary whose errors lie just on the bound."""
        plan = Plan(**{**vars(PLAN), "bounds": Bounds(**{**vars(BOUNDS), "max_error_ratio": bound})})
        aborts = [
            errors
            for errors in range(requests + 1)
            if isinstance(step(arm(requests - errors, errors=errors), arm(0), after_s=1, plan=plan), Abort)
        ]

        chance = sum(comb(requests, k) * bound**k * (1 - bound) ** (requests - k) for k in aborts)

        assert chance <= (1 - CONFIDENCE_RATIO) / 2 + 1e-9

    def test_does_not_act_where_an_approximate_bound_would(self):
        """3 of 21 at a bound of 2 %: the chance is 0.8 %, and Wilson's lower bound at 99 % is 0.036."""
        assert not isinstance(step(arm(18, errors=3), arm(500), after_s=1), Abort)

    def test_needs_no_champion(self):
        assert isinstance(step(arm(0, errors=3), arm(0), after_s=1), Abort)

    def test_keeps_a_canary_above_the_bound_from_completing(self):
        """2 of 52 is 3.8 %: too few to be sure, too many to be good."""
        found = step(arm(50, errors=2), arm(500))

        assert isinstance(found, Hold)
        assert "error ratio 0.038 above 0.020" in found.reason


class TestLatencyGuardrail:
    def test_acts_when_surely_more_than_one_in_twenty_are_too_slow(self):
        """10 of 30 beyond 1.5 times the champion's p95: at one in twenty, the chance of that is 1 in a million."""
        canary = ArmWindow(latencies_ms=(100.0,) * 20 + (200.0,) * 10, costs_usd=(0.001,) * 30)

        found = step(canary, arm(500), after_s=1)

        assert isinstance(found, Abort)
        assert found.reason.startswith("latency: p95 200 ms, champion 100 ms, bound 150 ms; 10 of 30")

    def test_acts_early_on_a_canary_that_is_clearly_slow(self):
        assert isinstance(step(arm(3, latency_ms=500), arm(25), after_s=1), Abort)

    def test_does_not_act_on_two_slow_answers(self):
        canary = ArmWindow(latencies_ms=(100.0,) * 8 + (900.0,) * 2, costs_usd=(0.001,) * 10)

        assert isinstance(step(canary, arm(500), after_s=1), Hold)

    def test_does_not_compare_with_a_champion_that_was_hardly_asked(self):
        assert isinstance(step(arm(30, latency_ms=500), arm(24), after_s=1), Hold)

    def test_keeps_a_p95_beyond_the_bound_from_completing(self):
        canary = ArmWindow(latencies_ms=(100.0,) * 47 + (200.0,) * 3, costs_usd=(0.001,) * 50)

        assert step(canary, arm(500)) == Hold(reason="latency p95 200 ms above 150 ms, not surely")

    def test_lets_a_little_slower_pass(self):
        assert isinstance(step(arm(50, latency_ms=149), arm(500)), Complete)


class TestCostGuardrail:
    def test_acts_on_a_mean_that_is_surely_too_high(self):
        found = step(arm(25, cost_usd=0.002), arm(500), after_s=1)

        assert isinstance(found, Abort)
        assert found.reason.startswith("cost: 0.002000 USD a request, champion 0.001000")

    def test_does_not_act_on_one_costly_answer(self):
        canary = ArmWindow(latencies_ms=(100.0,) * 10, costs_usd=(0.001,) * 9 + (0.02,))

        assert isinstance(step(canary, arm(500), after_s=1), Hold)

    def test_keeps_a_mean_beyond_the_bound_from_completing(self):
        canary = ArmWindow(latencies_ms=(100.0,) * 50, costs_usd=(0.001,) * 49 + (0.03,))

        assert step(canary, arm(500)) == Hold(reason="cost 0.001580 USD a request above 0.001300, not surely")

    def test_stops_a_canary_that_costs_where_the_champion_costs_nothing(self):
        assert isinstance(step(arm(50), arm(500, cost_usd=0)), Abort)

    @pytest.mark.parametrize("who", ["canary", "champion"])
    @pytest.mark.parametrize("known", [0, 499])
    def test_never_completes_while_a_cost_is_unknown(self, who, known):
        unknown = ArmWindow(latencies_ms=(100.0,) * 500, costs_usd=(0.001,) * known)
        canary, champion = (unknown, arm(500)) if who == "canary" else (arm(500), unknown)

        assert step(canary, champion) == Hold(
            reason=f"the cost of {500 - known} of 500 answers of the {who} is unknown"
        )
        assert isinstance(step(canary, champion, after_s=600), GiveUp)

    def test_passes_two_that_cost_nothing(self):
        assert isinstance(step(arm(50, cost_usd=0), arm(500, cost_usd=0)), Complete)


class TestSafetyGuardrail:
    def test_acts_on_surely_more_blocks_than_on_the_champion(self):
        found = step(arm(40, blocks=20), arm(500, blocks=25), after_s=1)

        assert isinstance(found, Abort)
        assert found.reason.startswith("safety: 0.500 of the answers blocked, champion 0.050")

    def test_lets_both_be_blocked_alike(self):
        assert isinstance(step(arm(60, blocks=20), arm(600, blocks=200)), Complete)

    def test_keeps_an_excess_beyond_the_bound_from_completing(self):
        found = step(arm(50, blocks=4), arm(500))

        assert found == Hold(reason="safety blocks 0.080 more than on the champion, not surely")

    def test_tells_every_guardrail_that_is_broken(self):
        found = step(arm(50, errors=20, blocks=30, latency_ms=500, cost_usd=0.01), arm(500), after_s=1)

        assert isinstance(found, Abort)
        assert [part.split(":")[0] for part in found.reason.split("; ") if ":" in part][:1] == ["errors"]
        assert {"errors:", "latency:", "cost:", "safety:"} <= set(found.reason.split())


counts = st.integers(0, 120)
arms = st.builds(
    lambda latencies, errors, blocks, cost: ArmWindow(
        errors=errors,
        safety_blocks=min(blocks, len(latencies)),
        latencies_ms=tuple(latencies),
        costs_usd=(cost,) * len(latencies),
    ),
    st.lists(st.floats(1, 1000), max_size=120),
    st.integers(0, 60),
    st.integers(0, 60),
    st.floats(0, 0.1),
)
moments = st.floats(0, 1000)
shares = st.sampled_from([0.01, 0.05])


class TestAnyWindow:
    @given(canary=arms, champion=arms, after_s=moments, ratio=shares)
    def test_is_decided_without_an_error_and_with_a_reason(self, canary, champion, after_s, ratio):
        assert step(canary, champion, after_s=after_s, ratio=ratio).reason

    @given(canary=arms, champion=arms, after_s=moments, ratio=shares)
    def test_with_too_few_requests_never_goes_up_or_completes(self, canary, champion, after_s, ratio):
        found = step(canary, champion, after_s=after_s, ratio=ratio)

        assert canary.requests >= PLAN.min_requests or not isinstance(found, Advance | Complete)

    @given(canary=arms, champion=arms, after_s=moments, more=st.integers(1, 100))
    def test_with_more_errors_never_turns_from_an_abort(self, canary, champion, after_s, more):
        worse = ArmWindow(**{**vars(canary), "errors": canary.errors + more})

        before, after = step(canary, champion, after_s=after_s), step(worse, champion, after_s=after_s)

        assert not isinstance(before, Abort) or isinstance(after, Abort)

    @given(canary=arms, champion=arms)
    def test_that_completes_keeps_every_guardrail_on_its_figures(self, canary, champion):
        if isinstance(step(canary, champion), Complete):
            assert canary.error_ratio <= BOUNDS.max_error_ratio
            assert canary.latency_p95_ms <= champion.latency_p95_ms * BOUNDS.max_latency_p95_ratio
            assert canary.cost_mean_usd <= champion.cost_mean_usd * BOUNDS.max_cost_ratio

    @given(canary=arms, champion=arms, after_s=st.floats(600, 1000), ratio=shares)
    def test_is_over_when_the_time_is_over(self, canary, champion, after_s, ratio):
        found = step(canary, champion, after_s=after_s, ratio=ratio)

        assert isinstance(found, Abort | Complete | GiveUp)


class TestArmWindow:
    def test_has_no_figures_without_requests(self):
        empty = ArmWindow()

        assert (empty.error_ratio, empty.latency_p95_ms, empty.cost_mean_usd, empty.safety_block_ratio) == (None,) * 4
