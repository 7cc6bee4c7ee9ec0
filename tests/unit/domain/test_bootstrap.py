"""The bootstrap agrees with another's, and is the same for the same seed."""

from random import Random
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from goldgate.domain.bootstrap import bca_bootstrap, percentile_bootstrap

_DRAW = Random(6)
SKEWED = [_DRAW.lognormvariate(0, 1) for _ in range(60)]


class TestBootstrap:
    @pytest.mark.parametrize(("ours", "method"), [(bca_bootstrap, "BCa"), (percentile_bootstrap, "percentile")])
    def test_agrees_with_scipy(self, ours, method):
        """Two random runs of 20,000 resamples: their limits differ by a hundredth of the mean at most."""
        low, high = ours(SKEWED, fmean, confidence_ratio=0.95, rng=Random(1), resamples=20_000)

        theirs = stats.bootstrap(
            (np.array(SKEWED),), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(2)
        ).confidence_interval
        assert (low, high) == (pytest.approx(theirs.low, abs=0.02), pytest.approx(theirs.high, abs=0.04))

    @pytest.mark.parametrize("ours", [bca_bootstrap, percentile_bootstrap])
    def test_is_the_same_for_the_same_seed(self, ours):
        one, other = (ours(SKEWED, fmean, confidence_ratio=0.9, rng=Random(3), resamples=200) for _ in range(2))

        assert one == other

    @pytest.mark.parametrize("ours", [bca_bootstrap, percentile_bootstrap])
    def test_is_the_figure_itself_where_all_rows_are_the_same(self, ours):
        assert ours([2.0] * 9, fmean, confidence_ratio=0.95, rng=Random(0), resamples=50) == (2.0, 2.0)


class TestBcaBootstrap:
    def test_follows_the_skew(self):
        """The plain percentiles of a right-skewed mean lie too low."""
        plain, corrected = (
            method(SKEWED, fmean, confidence_ratio=0.95, rng=Random(4), resamples=4000)
            for method in (percentile_bootstrap, bca_bootstrap)
        )

        assert corrected[0] > plain[0]
        assert corrected[1] > plain[1]
