"""Candidate against champion, row by row: known values, invariants, and coverage."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldgate.domain.paired import paired_difference, ratio_of_means_interval, ratio_of_percentiles_interval
from goldgate.domain.statistics import StatisticsError, wilson_interval
from goldgate.domain.verdict import Estimate, Unmeasured

PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=120)
FRACTIONS = st.lists(st.tuples(st.sampled_from([0, 1 / 3, 2 / 3, 1]), st.sampled_from([0, 1 / 3, 1])), min_size=1)


def table(both: int, only_candidate: int, only_champion: int, neither: int) -> tuple[list[int], list[int]]:
    candidate = [1] * (both + only_candidate) + [0] * (only_champion + neither)
    champion = [1] * both + [0] * only_candidate + [1] * only_champion + [0] * neither
    return candidate, champion


class TestPairedDifference:
    @pytest.mark.parametrize(
        ("counts", "low", "high"),
        [
            # Newcombe, Statistics in Medicine 17 (1998) 2635-2650, table III, method 10.
            ((36, 12, 2, 0), 0.0569, 0.3404),
            # Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014) 2850-2875: airway hyper-responsiveness.
            ((1, 1, 7, 12), -0.5069, -0.0256),
        ],
    )
    def test_agrees_with_the_literature(self, counts, low, high):
        estimate = paired_difference(*table(*counts), confidence_ratio=0.95)

        assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)

    @given(PAIRS | FRACTIONS)
    def test_holds_its_value_within_its_range(self, pairs):
        candidate, champion = zip(*pairs, strict=True)
        estimate = paired_difference(candidate, champion, confidence_ratio=0.95)

        assert -1 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.samples == len(pairs)

    @given(PAIRS | FRACTIONS)
    def test_changes_its_sign_when_the_two_change_places(self, pairs):
        candidate, champion = zip(*pairs, strict=True)
        one = paired_difference(candidate, champion, confidence_ratio=0.95)
        other = paired_difference(champion, candidate, confidence_ratio=0.95)

        assert (one.low, one.value, one.high) == pytest.approx((-other.high, -other.value, -other.low))

    @given(PAIRS | FRACTIONS)
    def test_is_never_without_width(self, pairs):
        candidate, champion = zip(*pairs, strict=True)
        estimate = paired_difference(candidate, champion, confidence_ratio=0.95)

        assert estimate.high - estimate.low > 0

    @given(PAIRS)
    def test_is_narrower_with_more_rows(self, pairs):
        candidate, champion = zip(*pairs, strict=True)
        few = paired_difference(candidate, champion, confidence_ratio=0.95)
        many = paired_difference(candidate * 4, champion * 4, confidence_ratio=0.95)

        assert many.high - many.low < few.high - few.low

    def test_leaves_open_what_rows_without_a_difference_cannot_exclude(self):
        """Half the repeats of every row pass, on both sides: the spread is 0, the doubt is that of 0 in 170."""
        estimate = paired_difference([0.5] * 170, [0.5] * 170, confidence_ratio=0.95)

        assert estimate.high == pytest.approx(wilson_interval(0, 170, confidence_ratio=0.95).high)
        assert estimate.low == pytest.approx(-estimate.high)

    @pytest.mark.parametrize("repeats", [1, 3])
    def test_covers_the_truth_as_often_as_it_says(self, repeats):
        """Rows differ in difficulty, so that pairs are correlated; the candidate is 5 points worse on each."""
        rng = Random(repeats)
        covered = 0
        for _ in range(600):
            rates = [0.05 + 0.95 * rng.random() for _ in range(120)]
            champion = [sum(rng.random() < rate for _ in range(repeats)) / repeats for rate in rates]
            candidate = [sum(rng.random() < rate - 0.05 for _ in range(repeats)) / repeats for rate in rates]
            estimate = paired_difference(candidate, champion, confidence_ratio=0.95)
            covered += estimate.low <= -0.05 <= estimate.high

        assert covered / 600 >= 0.935

    @pytest.mark.parametrize(("candidate", "champion"), [([], []), ([1], [1, 0]), ([2], [1])])
    def test_refuses_what_is_no_pair(self, candidate, champion):
        with pytest.raises(StatisticsError, match="expected"):
            paired_difference(candidate, champion, confidence_ratio=0.95)


class TestRatioOfMeansInterval:
    def test_is_exact_where_every_row_has_the_same_ratio(self):
        champion = [1.0, 2.0, 3.0, 4.0]

        estimate = ratio_of_means_interval([2 * x for x in champion], champion, confidence_ratio=0.95, rng=Random(0))

        assert estimate == Estimate(value=2, low=2, high=2, samples=4)

    @settings(max_examples=25)
    @given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=20))
    def test_holds_its_value(self, pairs):
        candidate, champion = zip(*pairs, strict=True)
        estimate = ratio_of_means_interval(candidate, champion, confidence_ratio=0.95, rng=Random(1), resamples=100)

        assert 0 <= estimate.low <= estimate.value <= estimate.high

    def test_covers_the_truth(self):
        rng = Random(23)
        covered = 0
        for _ in range(250):
            champion = [rng.lognormvariate(0, 0.4) for _ in range(60)]
            candidate = [1.2 * x * rng.lognormvariate(-0.02, 0.2) for x in champion]
            estimate = ratio_of_means_interval(candidate, champion, confidence_ratio=0.95, rng=rng, resamples=300)
            covered += estimate.low <= 1.2 <= estimate.high

        assert covered / 250 >= 0.9

    def test_calls_two_that_cost_nothing_equal(self):
        estimate = ratio_of_means_interval([0.0] * 9, [0.0] * 9, confidence_ratio=0.95, rng=Random(0))

        assert estimate == Estimate(value=1, low=1, high=1, samples=9)

    def test_is_unmeasured_against_nothing(self):
        estimate = ratio_of_means_interval([1.0] * 9, [0.0] * 9, confidence_ratio=0.95, rng=Random(0))

        assert estimate == Unmeasured(reason="the champion's figure is 0, so there is no ratio to it")

    def test_is_unmeasured_where_its_upper_end_is_endless(self):
        """One row in three has a cost: a resample without it is likely."""
        estimate = ratio_of_means_interval([1.0] * 3, [1.0, 0, 0], confidence_ratio=0.95, rng=Random(0))

        assert isinstance(estimate, Unmeasured)
        assert "no upper bound" in estimate.reason

    def test_is_unmeasured_on_one_row(self):
        assert isinstance(ratio_of_means_interval([1.0], [1.0], confidence_ratio=0.95, rng=Random(0)), Unmeasured)

    def test_refuses_rows_that_are_not_pairs(self):
        with pytest.raises(StatisticsError, match="expected pairs"):
            ratio_of_means_interval([1.0], [1.0, 2.0], confidence_ratio=0.95, rng=Random(0))


class TestRatioOfPercentilesInterval:
    def test_finds_a_slower_tail(self):
        rng = Random(24)
        champion = [[rng.expovariate(1)] for _ in range(170)]
        candidate = [[2 * value for value in row] for row in champion]

        estimate = ratio_of_percentiles_interval(candidate, champion, 0.95, confidence_ratio=0.95, rng=rng)

        assert estimate == Estimate(value=2, low=2, high=2, samples=170)

    def test_covers_the_truth_for_independent_arms(self):
        rng = Random(25)
        covered = 0
        for _ in range(120):
            candidate = [[rng.expovariate(1)] for _ in range(170)]
            champion = [[rng.expovariate(1)] for _ in range(170)]
            estimate = ratio_of_percentiles_interval(
                candidate, champion, 0.95, confidence_ratio=0.95, rng=rng, resamples=200
            )
            covered += estimate.low <= 1 <= estimate.high

        assert covered / 120 >= 0.9

    def test_resamples_rows_whole(self):
        """A row's repeats are alike here, so three of them say no more than one."""
        rng = Random(26)
        once = [[rng.random()] for _ in range(100)], [[rng.random()] for _ in range(100)]
        thrice = [[row * 3 for row in arm] for arm in once]

        intervals = [
            ratio_of_percentiles_interval(*arms, 0.95, confidence_ratio=0.95, rng=Random(7), resamples=200)
            for arms in (once, thrice)
        ]

        assert intervals[0] == intervals[1]

    def test_is_unmeasured_on_fewer_rows_than_the_percentile_needs(self):
        estimate = ratio_of_percentiles_interval([[1.0]] * 40, [[1.0]] * 40, 0.95, confidence_ratio=0.95, rng=Random(0))

        assert estimate == Unmeasured(reason="40 rows cannot bound p95 at confidence 0.95: 72 are needed")

    def test_is_unmeasured_against_nothing(self):
        estimate = ratio_of_percentiles_interval([[1.0]] * 80, [[0.0]] * 80, 0.95, confidence_ratio=0.95, rng=Random(0))

        assert isinstance(estimate, Unmeasured)
