"""Make a Scorecard of one agent's results."""

import random
from collections.abc import Sequence
from datetime import datetime
from statistics import fmean
from typing import Protocol, get_args

from goldgate.contracts.evaluation import Basis, Figure, ResultRow, Scorecard
from goldgate.contracts.policy import Metric
from goldgate.domain.errors import PermanentError
from goldgate.domain.measures import measure
from goldgate.domain.statistics import mean_interval, percentile, share_interval
from goldgate.domain.verdict import Estimate, Unmeasured

METRICS: tuple[Metric, ...] = get_args(Metric)


class IncompleteResultsError(PermanentError):
    """The results are not those of the basis that they are said to stand on."""


def make_scorecard(
    results: Sequence[ResultRow],
    *,
    agent: str,
    bundle_digest: str,
    basis: Basis,
    started_at: datetime,
    seconds: float,
    confidence_ratio: float,
    seed: int,
) -> Scorecard:
    """Sum up the results of one agent. Statistics are over rows, never over repeats.

    Args:
        results: One for each row and repeat of the basis.
        agent: Whose.
        bundle_digest: Of the bundle that answered.
        basis: What was asked, how often, and how it was scored.
        started_at: When the evaluation began.
        seconds: How long it took.
        confidence_ratio: Of all intervals, two-sided.
        seed: For the intervals that are resampled.

    Raises:
        IncompleteResultsError: A row or repeat of the basis is missing, or one is there twice.
    """
    _check_complete(results, basis)
    rng = random.Random(seed)  # noqa: S311 - resampling, not a secret
    figures = {
        metric: estimate
        for metric in METRICS
        if not isinstance(estimate := measure(metric, results, confidence_ratio=confidence_ratio, rng=rng), Unmeasured)
    }
    passes = _values(results, lambda result: float(result.passed))
    return Scorecard(
        agent=agent,
        bundle_digest=bundle_digest,
        basis=basis,
        figures={metric: _figure(estimate) for metric, estimate in figures.items()},
        quality_by_tag=_quality_by_tag(results, confidence_ratio=confidence_ratio),
        latency_p50_ms=percentile([result.latency_ms for result in results], 0.5),
        hit_at_k=_hits(results, confidence_ratio=confidence_ratio),
        context_precision=_mean(results, lambda result: result.context_precision, confidence_ratio, rng),
        context_use_rate=_mean(results, lambda result: result.context_use_rate, confidence_ratio, rng),
        retriever_k=_mean(results, lambda result: result.retriever_k, confidence_ratio, rng),
        tokens_in=sum(result.tokens_in for result in results),
        tokens_out=sum(result.tokens_out for result in results),
        tokens_cached=sum(result.tokens_cached for result in results),
        total_cost_usd=sum(result.cost_usd for result in results),
        flaky_rows=sorted(row for row, values in passes.items() if 0 < fmean(values) < 1),
        started_at=started_at,
        seconds=seconds,
    )


class _Value(Protocol):
    def __call__(self, result: ResultRow, /) -> float | None:
        """Read one value, or None where the row has none."""


def _values(results: Sequence[ResultRow], value: _Value) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for result in results:
        if (found := value(result)) is not None:
            values.setdefault(result.row_id, []).append(found)
    return values


def _shares(results: Sequence[ResultRow], value: _Value) -> list[float]:
    return [fmean(values) for values in _values(results, value).values()]


def _quality_by_tag(results: Sequence[ResultRow], *, confidence_ratio: float) -> dict[str, Figure]:
    tags = sorted({tag for result in results for tag in result.tags})
    return {
        tag: _figure(
            share_interval(
                _shares([result for result in results if tag in result.tags], lambda result: float(result.passed)),
                confidence_ratio=confidence_ratio,
            )
        )
        for tag in tags
    }


def _hits(results: Sequence[ResultRow], *, confidence_ratio: float) -> Figure | None:
    shares = _shares(results, lambda result: None if result.hit_at_k is None else float(result.hit_at_k))
    return _figure(share_interval(shares, confidence_ratio=confidence_ratio)) if shares else None


def _mean(results: Sequence[ResultRow], value: _Value, confidence_ratio: float, rng: random.Random) -> Figure | None:
    estimate = mean_interval(_shares(results, value), confidence_ratio=confidence_ratio, rng=rng)
    return None if isinstance(estimate, Unmeasured) else _figure(estimate)


def _figure(estimate: Estimate) -> Figure:
    return Figure(value=estimate.value, low=estimate.low, high=estimate.high, samples=estimate.samples)


def _check_complete(results: Sequence[ResultRow], basis: Basis) -> None:
    asked = {(result.row_id, result.repeat) for result in results}
    rows = {result.row_id for result in results}
    repeats = {result.repeat for result in results}
    expected = basis.rows * basis.repeats
    whole = len(results) == len(asked) == expected and len(rows) == basis.rows
    if not whole or repeats != set(range(basis.repeats)):
        raise IncompleteResultsError(
            f"Found {len(results)} results of {len(rows)} rows and repeats {sorted(repeats)}; expected {expected}: "
            f"each of {basis.rows} rows once for each of {basis.repeats} repeats. A result was lost or doubled: run "
            "the evaluation again."
        )
