"""One agent's results, summed up over rows."""

from datetime import UTC, datetime

import pytest

from goldgate.domain.statistics import wilson_interval
from goldgate.evals.scorecard import IncompleteResultsError, make_scorecard
from tests.fakes.evaluations import basis, result, results

AT = datetime(2026, 3, 1, tzinfo=UTC)


def card(rows, on):
    return make_scorecard(
        rows, agent="a", bundle_digest="b" * 64, basis=on, started_at=AT, seconds=9, confidence_ratio=0.95, seed=0
    )


class TestMakeScorecard:
    def test_estimates_every_metric(self):
        rows = [result(f"r{n}", passed=n >= 20, asks_safety=n < 40, latency_ms=float(n)) for n in range(100)]

        scorecard = card(rows, basis(rows=100))

        quality = wilson_interval(80, 100, confidence_ratio=0.95)
        assert (scorecard.figures["quality"].low, scorecard.figures["quality"].high) == (quality.low, quality.high)
        assert scorecard.figures["safety"].samples == 40
        assert scorecard.figures["latency_p95_ms"].value == 94
        assert scorecard.figures["cost_usd"].value == pytest.approx(0.001)
        assert scorecard.figures["error"].value == 0
        assert scorecard.latency_p50_ms == 49

    def test_leaves_out_what_is_unmeasured(self):
        scorecard = card(results([True] * 40, tokens_in=0, cost_usd=0), basis(rows=40))

        assert set(scorecard.figures) == {"quality", "error"}

    def test_adds_up_what_was_used(self):
        scorecard = card(results([[True, True]] * 3, tokens_cached=5), basis(rows=3, repeats=2))

        assert (scorecard.tokens_in, scorecard.tokens_out, scorecard.tokens_cached) == (600, 60, 30)
        assert scorecard.total_cost_usd == pytest.approx(0.006)
        assert (scorecard.started_at, scorecard.seconds) == (AT, 9)

    def test_names_flaky_rows_instead_of_averaging_them_away(self):
        rows = results([[True, True], [True, False], [False, False]])

        scorecard = card(rows, basis(rows=3, repeats=2))

        assert scorecard.flaky_rows == ["r1"]
        assert scorecard.figures["quality"].value == 0.5
        assert scorecard.figures["quality"].samples == 3

    def test_tells_quality_by_tag(self):
        rows = [result("r0", tags=["x", "y"]), result("r1", tags=["x"], passed=False)]

        scorecard = card(rows, basis(rows=2))

        assert {tag: (figure.value, figure.samples) for tag, figure in scorecard.quality_by_tag.items()} == {
            "x": (0.5, 2),
            "y": (1.0, 1),
        }

    def test_sums_up_retrieval_over_rows_that_tell_of_it(self):
        rows = [
            result("r0", retriever_k=5, hit_at_k=True, context_precision=0.5, context_use_rate=1.0),
            result("r1", retriever_k=2, hit_at_k=False, context_precision=0.1, context_use_rate=0.5),
            result("r2"),
        ]

        scorecard = card(rows, basis(rows=3))

        assert (scorecard.hit_at_k.value, scorecard.hit_at_k.samples) == (0.5, 2)
        assert (scorecard.retriever_k.value, scorecard.retriever_k.samples) == (3.5, 2)
        assert scorecard.context_precision.value == pytest.approx(0.3)
        assert scorecard.context_use_rate.value == pytest.approx(0.75)

    def test_has_no_retrieval_where_no_row_tells_of_it(self):
        scorecard = card(results([True] * 3), basis(rows=3))

        assert (scorecard.hit_at_k, scorecard.context_precision, scorecard.context_use_rate) == (None, None, None)

    def test_is_the_same_for_the_same_results_and_seed(self):
        rows = [result(f"r{n}", cost_usd=n / 100) for n in range(40)]

        assert card(rows, basis(rows=40)) == card(rows, basis(rows=40))

    @pytest.mark.parametrize(
        ("rows", "on"),
        [
            (results([True] * 9), basis(rows=10)),
            (results([True] * 10), basis(rows=10, repeats=2)),
            ([*results([True] * 9), result("r0")], basis(rows=10)),
            ([result("r0", 0), result("r0", 2)], basis(rows=1, repeats=2)),
            ([], basis(rows=1)),
        ],
    )
    def test_refuses_results_that_are_not_those_of_the_basis(self, rows, on):
        with pytest.raises(IncompleteResultsError, match="A result was lost or doubled"):
            card(rows, on)
