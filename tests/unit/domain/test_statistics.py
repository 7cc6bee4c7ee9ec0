"""Estimates and their intervals: known values, invariants, and coverage."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.domain.statistics import (
    StatisticsError,
    binomial_tail,
    mean_interval,
    percentile,
    percentile_interval,
    rows_for_percentile,
    rows_to_decide,
    share_interval,
    wilson_interval,
    z_of,
)
from goldgate.domain.verdict import Estimate, Unmeasured

COUNTS = st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


class TestWilsonInterval:
    @pytest.mark.parametrize(
        ("passed", "total", "low", "high"),
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_agrees_with_the_literature(self, passed, total, low, high):
        """Source: Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3."""
        estimate = wilson_interval(passed, total, confidence_ratio=0.95)

        assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)

    @given(COUNTS)
    def test_holds_its_value_within_zero_and_one(self, counts):
        estimate = wilson_interval(*counts, confidence_ratio=0.95)

        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1

    @given(COUNTS)
    def test_mirrors_when_passes_and_failures_change_places(self, counts):
        passed, total = counts
        one = wilson_interval(passed, total, confidence_ratio=0.9)
        other = wilson_interval(total - passed, total, confidence_ratio=0.9)

        assert one.low == pytest.approx(1 - other.high)
        assert one.high == pytest.approx(1 - other.low)

    @given(COUNTS)
    def test_is_narrower_with_more_rows(self, counts):
        passed, total = counts
        few = wilson_interval(passed, total, confidence_ratio=0.95)
        many = wilson_interval(passed * 4, total * 4, confidence_ratio=0.95)

        assert many.high - many.low < few.high - few.low

    def test_covers_the_truth_as_often_as_it_says(self):
        rng = Random(20)
        covered = 0
        for _ in range(2000):
            passed = sum(rng.random() < 0.85 for _ in range(170))
            estimate = wilson_interval(passed, 170, confidence_ratio=0.95)
            covered += estimate.low <= 0.85 <= estimate.high

        assert 0.935 <= covered / 2000 <= 0.965

    @pytest.mark.parametrize(("passed", "total"), [(0, 0), (3, 2), (-1, 2)])
    def test_refuses_what_is_no_sample(self, passed, total):
        with pytest.raises(StatisticsError, match="expected 0 <= passed <= total"):
            wilson_interval(passed, total, confidence_ratio=0.95)

    @pytest.mark.parametrize("confidence", [0, 1, 95])
    def test_refuses_a_confidence_that_is_no_ratio(self, confidence):
        with pytest.raises(StatisticsError, match="ratio between 0 and 1"):
            wilson_interval(1, 2, confidence_ratio=confidence)


class TestShareInterval:
    @given(st.lists(st.booleans(), min_size=1, max_size=80))
    def test_is_wilsons_for_rows_without_repeats(self, rows):
        estimate = share_interval([float(row) for row in rows], confidence_ratio=0.95)

        wilson = wilson_interval(sum(rows), len(rows), confidence_ratio=0.95)
        assert (estimate.low, estimate.high, estimate.samples) == pytest.approx((wilson.low, wilson.high, len(rows)))

    @given(SHARES)
    def test_counts_rows_and_holds_its_value(self, shares):
        estimate = share_interval(shares, confidence_ratio=0.95)

        assert estimate.samples == len(shares)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1

    @pytest.mark.parametrize("shares", [[], [0.5, 1.1], [float("nan")]])
    def test_refuses_what_is_no_share(self, shares):
        with pytest.raises(StatisticsError, match="expected at least one, each in"):
            share_interval(shares, confidence_ratio=0.95)


class TestBinomialTail:
    @pytest.mark.parametrize(
        ("incidents", "total", "share", "chance"),
        [(682, 925, 0.7076683, 0.025), (683, 925, 0.7654066, 0.975), (3, 10, 0.0667395, 0.025), (3, 3, 0.05, 0.05**3)],
    )
    def test_known_values(self, incidents, total, share, chance):
        """Source: the exact 95 % limits of 682 in 925 (R, `binom.test`, after Conover 1971, 97f) and of 3 in 10."""
        assert binomial_tail(incidents, total, share) == pytest.approx(chance, rel=1e-4)

    @pytest.mark.parametrize(
        ("incidents", "share", "chance"), [(0, 0.0, 1), (1, 0.0, 0), (0, 1.0, 1), (5, 1.0, 1), (6, 1.0, 0), (6, 0.5, 0)]
    )
    def test_at_the_ends_is_certain(self, incidents, share, chance):
        assert binomial_tail(incidents, 5, share) == chance

    @given(COUNTS, st.floats(0, 1))
    def test_falls_with_every_incident(self, counts, share):
        incidents, total = counts

        assert binomial_tail(incidents + 1, total, share) <= binomial_tail(incidents, total, share) <= 1


class TestZOf:
    def test_is_two_sided(self):
        assert z_of(0.95) == pytest.approx(1.959964)


class TestPercentile:
    @pytest.mark.parametrize(
        ("ratio", "expected"), [(0, 15), (0.05, 15), (0.3, 20), (0.4, 20), (0.5, 35), (0.95, 50), (1, 50)]
    )
    def test_is_the_nearest_rank(self, ratio, expected):
        assert percentile([50, 15, 40, 20, 35], ratio) == expected

    def test_does_not_step_over_a_rank_by_rounding(self):
        """0.07 * 100 is 7.000000000000001 in binary."""
        assert percentile(range(1, 101), 0.07) == 7

    @given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
    def test_is_the_least_value_that_enough_do_not_exceed(self, values, ratio):
        found = percentile(values, ratio)

        reached = sum(value <= found for value in values) / len(values)
        below = sum(value < found for value in values) / len(values)
        assert reached >= ratio - 1e-6
        assert below < ratio + 1e-6 or found == min(values)

    @pytest.mark.parametrize(("values", "ratio"), [([], 0.5), ([1], 1.5)])
    def test_refuses_what_has_no_percentile(self, values, ratio):
        with pytest.raises(StatisticsError, match="expected values and a ratio"):
            percentile(values, ratio)


class TestPercentileInterval:
    def test_agrees_with_the_table_for_the_median_of_100(self):
        """Source: Conover, Practical Nonparametric Statistics: ranks 40 and 61 bound the median at 95 %."""
        estimate = percentile_interval(range(1, 101), 0.5, confidence_ratio=0.95)

        assert estimate == Estimate(value=50, low=40, high=61, samples=100)

    def test_needs_72_rows_for_p95(self):
        """0.95**71 is still above 0.025, 0.95**72 is not."""
        assert rows_for_percentile(0.95, confidence_ratio=0.95) == 72
        assert percentile_interval(range(71), 0.95, confidence_ratio=0.95) == Unmeasured(
            reason="71 rows cannot bound p95 at confidence 0.95: 72 are needed"
        )
        assert isinstance(percentile_interval(range(72), 0.95, confidence_ratio=0.95), Estimate)

    def test_does_not_take_repeats_for_rows(self):
        once = percentile_interval(range(170), 0.95, confidence_ratio=0.95)
        thrice = percentile_interval(
            [value for value in range(170) for _ in range(3)], 0.95, confidence_ratio=0.95, rows=170
        )

        assert thrice == once

    @given(st.lists(st.floats(0, 1e6), min_size=72, max_size=200))
    def test_holds_its_value(self, values):
        estimate = percentile_interval(values, 0.95, confidence_ratio=0.95)

        assert estimate.low <= estimate.value <= estimate.high

    def test_covers_the_truth_at_least_as_often_as_it_says(self):
        rng = Random(21)
        estimates = [
            percentile_interval([rng.random() for _ in range(170)], 0.95, confidence_ratio=0.95) for _ in range(1500)
        ]

        assert sum(estimate.low <= 0.95 <= estimate.high for estimate in estimates) / 1500 >= 0.945

    @pytest.mark.parametrize("ratio", [0, 1])
    def test_refuses_the_ends(self, ratio):
        with pytest.raises(StatisticsError, match="between 0 and 1"):
            percentile_interval(range(100), ratio, confidence_ratio=0.95)


class TestMeanInterval:
    def test_covers_the_mean_of_skewed_costs(self):
        rng = Random(22)
        covered = 0
        for _ in range(250):
            costs = [rng.lognormvariate(0, 0.5) for _ in range(60)]
            estimate = mean_interval(costs, confidence_ratio=0.95, rng=rng, resamples=400)
            covered += estimate.low <= 1.1331 <= estimate.high

        assert covered / 250 >= 0.9

    def test_has_no_width_where_nothing_differs(self):
        estimate = mean_interval([0.25] * 40, confidence_ratio=0.95, rng=Random(0))

        assert estimate == Estimate(value=0.25, low=0.25, high=0.25, samples=40)

    def test_is_the_same_for_the_same_seed(self):
        values = [1.0, 2.0, 5.0, 9.0]

        assert mean_interval(values, confidence_ratio=0.9, rng=Random(3)) == mean_interval(
            values, confidence_ratio=0.9, rng=Random(3)
        )

    def test_is_unmeasured_on_one_row(self):
        assert mean_interval([1.0], confidence_ratio=0.95, rng=Random(0)) == Unmeasured(
            reason="1 rows have no spread: at least 2 are needed"
        )


class TestRowsToDecide:
    def test_grows_with_the_square_of_what_is_missing(self):
        """The interval reaches 0.06 down, the bound lies 0.03 below: half the width, so four times the rows."""
        estimate = Estimate(value=0.85, low=0.79, high=0.9, samples=100)

        assert rows_to_decide(estimate, bound=0.82) == 400

    def test_looks_at_the_side_that_holds_the_bound(self):
        estimate = Estimate(value=0.85, low=0.79, high=0.9, samples=100)

        assert rows_to_decide(estimate, bound=0.875) == 400

    def test_never_asks_for_fewer_rows_than_there_are(self):
        assert rows_to_decide(Estimate(value=0.9, low=0.8, high=1, samples=50), bound=0.1) == 50

    def test_knows_no_number_for_a_value_on_the_bound(self):
        assert rows_to_decide(Estimate(value=0.8, low=0.7, high=0.9, samples=50), bound=0.8) is None

    @pytest.mark.parametrize("passed", [141, 143, 145])
    def test_names_rows_that_would_indeed_decide(self, passed):
        """An approximation: a tenth more rows than named leave no doubt, if the share stays."""
        estimate = wilson_interval(passed, 170, confidence_ratio=0.95)
        assert estimate.low < 0.82

        rows = rows_to_decide(estimate, bound=0.82)

        more = share_interval([passed / 170] * round(rows * 1.1), confidence_ratio=0.95)
        assert more.low > 0.82
