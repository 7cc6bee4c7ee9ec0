"""Estimates with honest intervals, for figures that decide a release.

Every interval is two-sided: `confidence_ratio` 0.95 leaves 2.5 % on either side. A gate reads one side only, so it is
held to 97.5 % one-sided. Observations are rows of a gold set; repeats of a row are not independent and never count as
more rows. What cannot be estimated is `Unmeasured`, with the reason.
"""

import math
from collections.abc import Sequence
from random import Random
from statistics import NormalDist, fmean

from goldgate.domain.bootstrap import RESAMPLES, bca_bootstrap
from goldgate.domain.errors import PermanentError
from goldgate.domain.verdict import Estimate, Unmeasured

_ROUNDING = 1e-9
"""Slack against products such as 0.07 * 100 = 7.000000000000001, far below one part in any gold set."""


class StatisticsError(PermanentError):
    """The arguments describe no sample."""


def wilson_interval(passed: int, total: int, *, confidence_ratio: float) -> Estimate:
    """Estimate a share from independent yes-or-no observations.

    Args:
        passed: How many said yes, 0..total.
        total: How many were asked, at least 1.
        confidence_ratio: Two-sided, in 0..1.

    Raises:
        StatisticsError: `total` is 0, or `passed` lies outside 0..total.

    Source: Wilson, JASA 22 (1927) 209-212, without continuity correction.
    """
    if total < 1 or not 0 <= passed <= total:
        raise StatisticsError(f"Found {passed} passed of {total}; expected 0 <= passed <= total and total >= 1.")
    return wilson_of_share(passed / total, total, z=z_of(confidence_ratio))


def share_interval(shares: Sequence[float], *, confidence_ratio: float) -> Estimate:
    """Estimate a mean share from rows that hold a share each: how many of a row's repeats said yes.

    Wilson's interval at the mean share with one observation a row. A share's variance is at most `p(1-p)`, that of a
    single yes or no, so repeats can only make the true coverage higher. For 0/1 shares it is Wilson's interval.

    Raises:
        StatisticsError: There are no rows, or a share lies outside 0..1.
    """
    check_shares(shares)
    return wilson_of_share(fmean(shares), len(shares), z=z_of(confidence_ratio))


def binomial_tail(incidents: int, total: int, share: float) -> float:
    """Tell how likely at least `incidents` of `total` independent observations say yes if each does so with `share`.

    No more than `alpha`, and the share is surely higher than `share`: Clopper and Pearson's exact lower bound.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404-413.
    """
    if incidents <= 0:
        return 1.0
    if incidents > total or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    return max(0.0, 1 - math.fsum(_binomial(count, total, share) for count in range(incidents)))


def z_of(confidence_ratio: float) -> float:
    """Turn a two-sided confidence into standard deviations: 0.95 is 1.96.

    Raises:
        StatisticsError: It lies outside 0..1, both excluded.
    """
    if not 0 < confidence_ratio < 1:
        raise StatisticsError(f"Found a confidence of {confidence_ratio}; expected a ratio between 0 and 1.")
    return NormalDist().inv_cdf((1 + confidence_ratio) / 2)


def mean_interval(
    values: Sequence[float], *, confidence_ratio: float, rng: Random, resamples: int = RESAMPLES
) -> Estimate | Unmeasured:
    """Estimate a mean of one value a row by the BCa bootstrap, which follows the skew of costs.

    Values that are all the same give an interval without width. Unmeasured for fewer than 2 rows.
    """
    if len(values) < 2:  # noqa: PLR2004 - one row has no spread
        return Unmeasured(reason=f"{len(values)} rows have no spread: at least 2 are needed")
    z_of(confidence_ratio)
    mean = fmean(values)
    low, high = bca_bootstrap(values, fmean, confidence_ratio=confidence_ratio, rng=rng, resamples=resamples)
    return Estimate(value=mean, low=min(low, mean), high=max(high, mean), samples=len(values))


def percentile(values: Sequence[float], ratio: float) -> float:
    """Return the smallest value that at least `ratio` of all values do not exceed.

    It is always one of the values (nearest rank). Ratio 0 gives the least.

    Raises:
        StatisticsError: There are no values, or the ratio lies outside 0..1.

    Source: definition 1 of Hyndman and Fan, The American Statistician 50 (1996) 361-365.
    """
    if not values or not 0 <= ratio <= 1:
        raise StatisticsError(f"Found {len(values)} values and ratio {ratio}; expected values and a ratio in 0..1.")
    return sorted(values)[max(math.ceil(ratio * len(values) - _ROUNDING), 1) - 1]


def percentile_interval(
    values: Sequence[float], ratio: float, *, confidence_ratio: float, rows: int | None = None
) -> Estimate | Unmeasured:
    """Estimate a percentile by order statistics: no assumption on the distribution.

    The ranks are those between which the percentile lies with the asked probability, by the binomial law.

    Args:
        values: All observations.
        ratio: Which percentile, 0.95 for p95; both ends excluded.
        confidence_ratio: Two-sided.
        rows: How many of the values are independent, if not all: with repeats, the number of rows, each with equally
            many values. The ranks are then taken for `rows` observations and read off all values (Woodruff's
            inversion, its variance bounded by that of one value a row), which is at least as wide as it must be.

    Returns:
        Unmeasured if there are too few rows for a bound on either side: p95 at 0.95 needs 72.

    Source: David and Nagaraja, Order Statistics (2003) 7.1; Woodruff, JASA 47 (1952) 635-646.
    """
    count = len(values) if rows is None else rows
    needed = rows_for_percentile(ratio, confidence_ratio=confidence_ratio)
    if count < needed:
        return Unmeasured(reason=too_few(count, ratio, confidence_ratio=confidence_ratio, needed=needed))
    tail = (1 - confidence_ratio) / 2
    low, high = _ranks(count, ratio, tail=tail)
    return Estimate(
        value=percentile(values, ratio),
        low=percentile(values, low / count),
        high=percentile(values, high / count),
        samples=count,
    )


def rows_for_percentile(ratio: float, *, confidence_ratio: float) -> int:
    """Tell how many rows a percentile needs before both its bounds exist.

    The largest of n observations is an upper bound unless all n lie below the percentile, which happens with
    probability `ratio ** n`; the least is a lower bound likewise.
    """
    if not 0 < ratio < 1:
        raise StatisticsError(f"Found percentile ratio {ratio}; expected one between 0 and 1.")
    z_of(confidence_ratio)
    tail = (1 - confidence_ratio) / 2
    return math.ceil(math.log(tail) / math.log(max(ratio, 1 - ratio)) - _ROUNDING)


def rows_to_decide(estimate: Estimate, *, bound: float) -> int | None:
    """Tell about how many rows in all would take the bound out of the interval, if the figure stayed as observed.

    The distance between the value and the side that holds the bound shrinks as 1 over the root of the rows: exact for
    means of many rows, an approximation for shares near 0 or 1.

    Returns:
        At least `estimate.samples`; None if the value lies on the bound, where no number of rows decides.
    """
    gap = abs(estimate.value - bound)
    if gap <= _ROUNDING * max(1.0, abs(bound)):
        return None
    reach = estimate.value - estimate.low if bound < estimate.value else estimate.high - estimate.value
    return max(estimate.samples, math.ceil(estimate.samples * (reach / gap) ** 2 - _ROUNDING))


def wilson_of_share(share: float, total: int, *, z: float) -> Estimate:
    """Wilson's interval at a share of `total` observations, `z` standard deviations to either side."""
    shrink = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / shrink
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / shrink
    return Estimate(
        value=share, low=max(0.0, min(centre - half, share)), high=min(1.0, max(centre + half, share)), samples=total
    )


def _ranks(count: int, ratio: float, *, tail: float) -> tuple[int, int]:
    """Find the ranks (1-based) that a percentile exceeds or undercuts with at most `tail` probability each."""
    low, high = 1, count
    below = 0.0
    for rank in range(count + 1):
        if below <= tail:
            low = max(rank, 1)
        if 1 - below <= tail:
            high = min(rank, count)
            break
        below += _binomial(rank, count, ratio)
    return low, high


def _binomial(k: int, n: int, p: float) -> float:
    log_ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log_ways + k * math.log(p) + (n - k) * math.log1p(-p))


def check_shares(shares: Sequence[float]) -> None:
    """Refuse what is no sample of shares.

    Raises:
        StatisticsError: There are none, or one lies outside 0..1.
    """
    if not shares or not all(0 <= share <= 1 for share in shares):
        raise StatisticsError(f"Found {len(shares)} shares; expected at least one, each in 0..1.")


def too_few(rows: int, ratio: float, *, confidence_ratio: float, needed: int) -> str:
    """Say why a percentile has no bounds."""
    return f"{rows} rows cannot bound p{100 * ratio:g} at confidence {confidence_ratio:g}: {needed} are needed"
