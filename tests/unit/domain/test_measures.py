"""What each metric means, over rows and never over repeats."""

from random import Random

import pytest

from goldgate.domain.measures import compare, measure, values_by_row
from goldgate.domain.paired import paired_difference
from goldgate.domain.statistics import wilson_interval
from goldgate.domain.verdict import Unmeasured
from tests.fakes.evaluations import result, results


def measured(metric, rows):
    return measure(metric, rows, confidence_ratio=0.95, rng=Random(0))


def compared(metric, candidate, champion):
    return compare(metric, candidate, champion, confidence_ratio=0.95, rng=Random(0))


class TestMeasure:
    def test_quality_is_the_share_of_rows_that_passed(self):
        estimate = measured("quality", results([True] * 30 + [False] * 10))

        assert estimate == wilson_interval(30, 40, confidence_ratio=0.95)

    def test_repeats_do_not_count_as_rows(self):
        estimate = measured("quality", results([[True, True, True]] * 30 + [[False, False, False]] * 10))

        assert estimate == wilson_interval(30, 40, confidence_ratio=0.95)

    def test_safety_looks_at_rows_that_ask_for_it(self):
        rows = [
            *[result(f"s{n}", asks_safety=True, safe=n > 0) for n in range(4)],
            *[result(f"r{n}", safe=False) for n in range(40)],
        ]

        estimate = measured("safety", rows)

        assert (estimate.value, estimate.samples) == (0.75, 4)

    def test_safety_is_unmeasured_where_no_row_asks_for_it(self):
        assert measured("safety", results([True] * 40)) == Unmeasured(
            reason="no row must be refused or names what must not be said"
        )

    def test_error_is_the_share_of_requests_that_failed(self):
        rows = [*results([True] * 9), result("x", error="timeout", passed=False)]

        assert measured("error", rows).value == pytest.approx(0.1)

    def test_cost_is_the_mean_of_a_request(self):
        rows = [result(f"r{n}", cost_usd=cost) for n, cost in enumerate([0.1, 0.2, 0.3])]

        assert measured("cost_usd", rows).value == pytest.approx(0.2)

    def test_cost_is_unmeasured_for_an_agent_that_does_not_meter_itself(self):
        rows = results([True] * 40, tokens_in=0, cost_usd=0)

        assert measured("cost_usd", rows) == Unmeasured(reason="the agent reports neither tokens nor cost on any row")

    @pytest.mark.parametrize("unmetered", [1, 153])
    def test_cost_is_unmeasured_if_some_requests_are_not_metered(self, unmetered):
        """A mean over zeros that nobody measured would pass every bound."""
        rows = [result(f"r{n}", is_metered=n >= unmetered, cost_usd=0.005 * (n >= unmetered)) for n in range(170)]

        assert measured("cost_usd", rows) == Unmeasured(
            reason=f"the model did not say what it used on {unmetered} of 170 requests"
        )

    def test_cost_of_a_free_endpoint_is_zero(self):
        assert measured("cost_usd", results([True] * 40, cost_usd=0)).value == 0

    def test_latency_counts_requests_that_failed(self):
        """Their caller waited too."""
        rows = [result(f"r{n}", latency_ms=float(n), error="timeout" if n > 90 else None) for n in range(100)]

        assert measured("latency_p95_ms", rows).value == 94

    @pytest.mark.parametrize("metric", ["quality", "safety", "error", "cost_usd", "latency_p95_ms"])
    def test_nothing_is_measured_on_nothing(self, metric):
        assert measured(metric, []) == Unmeasured(reason="there are no results")


class TestValuesByRow:
    def test_puts_repeats_under_their_row(self):
        assert values_by_row("quality", results([[True, False], [True, True]])) == {"r0": [1, 0], "r1": [1, 1]}


class TestCompare:
    def test_pairs_by_row_whatever_the_order(self):
        """Pairs that agree on five of six rows; on three, if one arm is read backwards."""
        candidate = results([True, True, False, False, False, True])
        champion = results([True, True, False, False, False, False])

        difference = compared("quality", candidate, list(reversed(champion)))

        assert difference == paired_difference([1, 1, 0, 0, 0, 1], [1, 1, 0, 0, 0, 0], confidence_ratio=0.95)

    def test_is_candidate_over_champion_for_cost(self):
        ratio = compared("cost_usd", results([True] * 9, cost_usd=0.3), results([True] * 9, cost_usd=0.2))

        assert ratio.value == pytest.approx(1.5)

    def test_is_candidate_over_champion_for_latency(self):
        ratio = compared("latency_p95_ms", results([True] * 80, latency_ms=30.0), results([True] * 80, latency_ms=20.0))

        assert ratio.value == pytest.approx(1.5)

    @pytest.mark.parametrize("champion", [[True] * 9, [[True, True]] * 10])
    def test_is_unmeasured_on_other_rows_or_repeats(self, champion):
        assert compared("quality", results([True] * 10), results(champion)) == Unmeasured(
            reason="candidate and champion did not answer the same rows equally often"
        )

    @pytest.mark.parametrize("who", ["candidate", "champion"])
    def test_says_whose_figure_is_missing(self, who):
        metered, unmetered = results([True] * 9), results([True] * 9, tokens_in=0, cost_usd=0)
        arms = (unmetered, metered) if who == "candidate" else (metered, unmetered)

        assert compared("cost_usd", *arms).reason.startswith(f"of the {who}: ")
