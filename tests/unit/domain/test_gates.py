"""A gate passes on the side of the interval that is against the candidate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.gates import Bound, judge_absolute, judge_against_champion, number
from goldgate.domain.verdict import Estimate, Unmeasured, Verdict

FLOOR = Bound(limit=0.8, is_floor=True)
CEILING = Bound(limit=1500, is_floor=False)
ESTIMATES = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(
    lambda sides: Estimate(low=min(sides), value=sorted(sides)[1], high=max(sides), samples=100)
)


def estimate(low: float, value: float, high: float, *, samples: int = 170) -> Estimate:
    return Estimate(value=value, low=low, high=high, samples=samples)


class TestJudgeAbsolute:
    def test_passes_if_the_unfavourable_side_keeps_the_bound(self):
        decision = judge_absolute(estimate(0.8, 0.9, 0.95), bound=FLOOR, min_rows=30)

        assert decision.verdict is Verdict.PASS
        assert decision.reason == "All of [0.8, 0.95] keeps >= 0.8."

    def test_fails_if_the_figure_itself_breaks_the_bound(self):
        """Even if the interval reaches over it: the best guess is on the wrong side."""
        decision = judge_absolute(estimate(0.7, 0.79, 0.85), bound=FLOOR, min_rows=30)

        assert decision.verdict is Verdict.FAIL
        assert decision.reason == "The figure 0.79 breaks >= 0.8."

    def test_is_undecided_in_between_and_names_the_rows_that_would_decide(self):
        decision = judge_absolute(estimate(0.78, 0.82, 0.86), bound=FLOOR, min_rows=30)

        assert decision.verdict is Verdict.UNDECIDED
        assert decision.rows_to_decide == 680
        assert "about 680 rows would" in decision.reason

    def test_holds_a_ceiling_against_the_upper_side(self):
        verdicts = [
            judge_absolute(measured, bound=CEILING, min_rows=30).verdict
            for measured in (estimate(900, 1000, 1500), estimate(900, 1400, 1600), estimate(900, 1501, 1600))
        ]

        assert verdicts == [Verdict.PASS, Verdict.UNDECIDED, Verdict.FAIL]

    def test_says_why_nothing_was_measured(self):
        decision = judge_absolute(Unmeasured(reason="the agent reports no cost."), bound=CEILING, min_rows=30)

        assert decision.verdict is Verdict.UNDECIDED
        assert decision.reason == "Unmeasured: the agent reports no cost."

    @pytest.mark.parametrize("value", [0.1, 1.0])
    def test_decides_nothing_on_too_few_rows(self, value):
        """Not even a FAIL: 25 rows at 100 % must not win over 249 at 83 %, nor lose."""
        decision = judge_absolute(estimate(value, value, value, samples=29), bound=FLOOR, min_rows=30)

        assert (decision.verdict, decision.rows_to_decide) == (Verdict.UNDECIDED, 30)

    def test_knows_no_number_of_rows_for_a_figure_on_the_bound(self):
        decision = judge_absolute(estimate(0.7, 0.8, 0.9), bound=FLOOR, min_rows=30)

        assert decision.verdict is Verdict.UNDECIDED
        assert decision.rows_to_decide is None
        assert "it lies on the bound" in decision.reason

    @given(ESTIMATES, st.floats(-2, 2), st.booleans())
    def test_never_passes_a_figure_that_breaks_its_bound(self, measured, limit, is_floor):
        bound = Bound(limit=limit, is_floor=is_floor)

        decision = judge_absolute(measured, bound=bound, min_rows=1)

        assert bound.is_kept_by(measured.value) or decision.verdict is Verdict.FAIL

    @given(ESTIMATES, st.floats(-2, 2), st.floats(0, 1))
    def test_never_gets_stricter_when_the_bound_gets_weaker(self, measured, limit, weaker):
        order = [Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS]
        strict, weak = (
            judge_absolute(measured, bound=Bound(limit=at, is_floor=True), min_rows=1).verdict
            for at in (limit, limit - weaker)
        )

        assert order.index(weak) >= order.index(strict)


class TestJudgeAgainstChampion:
    @pytest.mark.parametrize(
        ("sides", "verdict"),
        [
            ((-0.03, -0.01, 0.01), Verdict.PASS),
            ((-0.05, -0.01, 0.03), Verdict.UNDECIDED),
            ((-0.05, -0.031, 0.0), Verdict.FAIL),
            ((-0.2, -0.1, -0.04), Verdict.FAIL),
        ],
    )
    def test_asks_that_the_candidate_is_not_worse_by_more_than_the_margin(self, sides, verdict):
        decision = judge_against_champion(estimate(*sides), bound=Bound(limit=-0.03, is_floor=True), min_rows=30)

        assert decision.verdict is verdict

    def test_names_the_difference_in_its_reason(self):
        decision = judge_against_champion(estimate(1.1, 1.4, 1.8), bound=Bound(limit=1.25, is_floor=False), min_rows=30)

        assert decision.reason == "The difference to the champion 1.4 breaks <= 1.25."


class TestNumber:
    @pytest.mark.parametrize(
        ("figure", "text"), [(0.00123456, "0.00123"), (12345.6, "12,346"), (99.94, "99.9"), (-0.05, "-0.05")]
    )
    def test_keeps_three_digits_that_count(self, figure, text):
        assert number(figure) == text
