"""Compare a candidate with its champion, row by row on the same gold set.

Pairing takes out what makes one question harder than another, so that far fewer rows decide. Intervals are two-sided,
as in `goldgate.domain.statistics`.
"""

import math
from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import TypeVar

from goldgate.domain.bootstrap import RESAMPLES, bca_bootstrap, percentile_bootstrap
from goldgate.domain.statistics import (
    StatisticsError,
    check_shares,
    percentile,
    rows_for_percentile,
    too_few,
    wilson_of_share,
    z_of,
)
from goldgate.domain.verdict import Estimate, Unmeasured

P = TypeVar("P")


def paired_difference(candidate: Sequence[float], champion: Sequence[float], *, confidence_ratio: float) -> Estimate:
    """Estimate by how much the candidate's share exceeds the champion's, on the same rows.

    Args:
        candidate: One share a row, in 0..1: how many of its repeats passed. 0 and 1 without repeats.
        champion: The same rows in the same order.
        confidence_ratio: Two-sided.

    Returns:
        Candidate minus champion, in -1..1. Neither method shrinks to nothing when all rows agree: n rows without a
        difference leave about `z**2 / n` open on either side, as Wilson's interval does for 0 of n.

    Raises:
        StatisticsError: There are no rows, the lengths differ, or a share lies outside 0..1.

    Source: shares that are all 0 or 1: Newcombe, Statistics in Medicine 17 (1998) 2635-2650, method 10 (square and
    add, with the continuity-corrected correlation). Otherwise a normal interval after adding `z**2` pseudo-rows, half
    of them +1 and half -1: the device of Agresti and Min, Statistics in Medicine 24 (2005) 729-740, in the amount that
    makes the interval for rows without any difference Wilson's. Its coverage is simulated in the tests.
    """
    check_shares(candidate)
    check_shares(champion)
    if len(candidate) != len(champion):
        raise StatisticsError(
            f"Found {len(candidate)} rows of the candidate and {len(champion)} of the champion; expected pairs."
        )
    z = z_of(confidence_ratio)
    if all(share in (0, 1) for share in (*candidate, *champion)):
        return _newcombe(candidate, champion, z=z)
    return _pseudo_rows([ours - theirs for ours, theirs in zip(candidate, champion, strict=True)], z=z)


def ratio_of_means_interval(
    candidate: Sequence[float],
    champion: Sequence[float],
    *,
    confidence_ratio: float,
    rng: Random,
    resamples: int = RESAMPLES,
) -> Estimate | Unmeasured:
    """Estimate the candidate's mean over the champion's by the paired BCa bootstrap over rows.

    Args:
        candidate: One value a row, none negative.
        champion: The same rows in the same order.
        confidence_ratio: Two-sided.
        rng: Where the resamples come from.
        resamples: How many.

    Returns:
        Two means of 0 are equal: exactly 1. Unmeasured if only the champion's is 0, or for fewer than 2 rows.
    """
    pairs = _pairs(candidate, champion)
    if isinstance(pairs, Unmeasured):
        return pairs
    z_of(confidence_ratio)
    if not any(champion):
        return _over_nothing(any(candidate), rows=len(pairs))

    low, high = bca_bootstrap(pairs, _ratio_of_means, confidence_ratio=confidence_ratio, rng=rng, resamples=resamples)
    return _around(_ratio_of_means(pairs), low, high, samples=len(pairs))


def ratio_of_percentiles_interval(
    candidate: Sequence[Sequence[float]],
    champion: Sequence[Sequence[float]],
    ratio: float,
    *,
    confidence_ratio: float,
    rng: Random,
    resamples: int = RESAMPLES,
) -> Estimate | Unmeasured:
    """Estimate the candidate's percentile over the champion's by the paired percentile bootstrap over rows.

    Args:
        candidate: For each row the values of all its repeats, none negative.
        champion: The same rows in the same order.
        ratio: Which percentile, 0.95 for p95.
        confidence_ratio: Two-sided.
        rng: Where the resamples come from.
        resamples: How many.

    Returns:
        As `ratio_of_means_interval`; Unmeasured also where the percentile itself has too few rows for bounds, since
        resampling cannot show what lies beyond the largest value seen.
    """
    pairs = _pairs(candidate, champion)
    if isinstance(pairs, Unmeasured):
        return pairs
    needed = rows_for_percentile(ratio, confidence_ratio=confidence_ratio)
    if len(pairs) < needed:
        return Unmeasured(reason=too_few(len(pairs), ratio, confidence_ratio=confidence_ratio, needed=needed))

    def figure(sample: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
        ours = percentile([value for row, _ in sample for value in row], ratio)
        theirs = percentile([value for _, row in sample for value in row], ratio)
        return _divide(ours, theirs)

    observed = figure(pairs)
    if observed == math.inf:
        return _over_nothing(True, rows=len(pairs))
    low, high = percentile_bootstrap(pairs, figure, confidence_ratio=confidence_ratio, rng=rng, resamples=resamples)
    return _around(observed, low, high, samples=len(pairs))


def _newcombe(candidate: Sequence[float], champion: Sequence[float], *, z: float) -> Estimate:
    rows = len(candidate)
    ours, theirs = (wilson_of_share(fmean(shares), rows, z=z) for shares in (candidate, champion))
    both = sum(a == b == 1 for a, b in zip(candidate, champion, strict=True))
    neither = sum(a == b == 0 for a, b in zip(candidate, champion, strict=True))
    only_ours = round(sum(candidate)) - both
    only_theirs = round(sum(champion)) - both
    phi = _correlation(both, only_ours, only_theirs, neither)
    value = (only_ours - only_theirs) / rows
    down = _square_and_add(ours.value - ours.low, theirs.high - theirs.value, phi)
    up = _square_and_add(ours.high - ours.value, theirs.value - theirs.low, phi)
    return Estimate(value=value, low=max(-1.0, value - down), high=min(1.0, value + up), samples=rows)


def _correlation(both: int, only_ours: int, only_theirs: int, neither: int) -> float:
    """Phi of a two-by-two table, pulled to 0 by half a row; 0 if a margin is empty."""
    margins = (both + only_ours) * (only_theirs + neither) * (both + only_theirs) * (only_ours + neither)
    if margins == 0:
        return 0.0
    determinant = float(both * neither - only_ours * only_theirs)
    if determinant > 0:
        determinant = max(determinant - (both + only_ours + only_theirs + neither) / 2, 0.0)
    return determinant / math.sqrt(margins)


def _square_and_add(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))


def _pseudo_rows(differences: Sequence[float], *, z: float) -> Estimate:
    added = z * z
    rows = len(differences) + added
    centre = math.fsum(differences) / rows
    variance = (math.fsum(d * d for d in differences) + added) / rows - centre * centre
    half = z * math.sqrt(variance / rows)
    value = fmean(differences)
    return Estimate(
        value=value,
        low=max(-1.0, min(centre - half, value)),
        high=min(1.0, max(centre + half, value)),
        samples=len(differences),
    )


def _pairs(candidate: Sequence[P], champion: Sequence[P]) -> list[tuple[P, P]] | Unmeasured:
    if len(candidate) != len(champion):
        raise StatisticsError(
            f"Found {len(candidate)} rows of the candidate and {len(champion)} of the champion; expected pairs."
        )
    if len(candidate) < 2:  # noqa: PLR2004 - one row has no spread
        return Unmeasured(reason=f"{len(candidate)} rows have no spread: at least 2 are needed")
    return list(zip(candidate, champion, strict=True))


def _ratio_of_means(pairs: Sequence[tuple[float, float]]) -> float:
    return _divide(math.fsum(ours for ours, _ in pairs), math.fsum(theirs for _, theirs in pairs))


def _divide(ours: float, theirs: float) -> float:
    """Two zeros are equal: 1."""
    if theirs:
        return ours / theirs
    return math.inf if ours else 1.0


def _over_nothing(has_any: bool, *, rows: int) -> Estimate | Unmeasured:
    if has_any:
        return Unmeasured(reason="the champion's figure is 0, so there is no ratio to it")
    return Estimate(value=1.0, low=1.0, high=1.0, samples=rows)


def _around(value: float, low: float, high: float, *, samples: int) -> Estimate | Unmeasured:
    if not math.isfinite(high):
        return Unmeasured(reason="the champion's figure is 0 on so many rows that the ratio to it has no upper bound")
    return Estimate(value=value, low=min(low, value), high=max(high, value), samples=samples)
