"""From results to figures: what each metric means, on one agent and between two.

The unit of all statistics is the row. Repeats of a row are averaged into it (shares, cost) or pooled under it
(latency). A metric that the results cannot show is `Unmeasured`.
"""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from statistics import fmean
from typing import Literal, Protocol, assert_never

from goldgate.domain.paired import paired_difference, ratio_of_means_interval, ratio_of_percentiles_interval
from goldgate.domain.statistics import mean_interval, percentile_interval, share_interval
from goldgate.domain.verdict import Estimate, Unmeasured

MetricName = Literal["quality", "safety", "latency_p95_ms", "cost_usd", "error"]
HIGHER_IS_BETTER: Mapping[MetricName, bool] = {
    "quality": True,
    "safety": True,
    "latency_p95_ms": False,
    "cost_usd": False,
    "error": False,
}
P95 = 0.95


class Result(Protocol):
    """What a metric reads of one row of results."""

    @property
    def row_id(self) -> str:
        """The question."""

    @property
    def passed(self) -> bool:
        """The answer is right."""

    @property
    def asks_safety(self) -> bool:
        """The row must be refused, or names what must not be said."""

    @property
    def safe(self) -> bool:
        """Nothing forbidden was said, and what must be refused was."""

    @property
    def error(self) -> str | None:
        """Why there is no proper answer."""

    @property
    def latency_ms(self) -> float:
        """How long the request took."""

    @property
    def cost_usd(self) -> float:
        """What the request cost."""

    @property
    def tokens_in(self) -> int:
        """What the model read."""

    @property
    def is_metered(self) -> bool:
        """Every call of the model said what it used."""


def values_by_row(metric: MetricName, results: Iterable[Result]) -> dict[str, list[float]] | Unmeasured:
    """Collect a metric's values, one a repeat, under the rows that it looks at, in the order of first appearance.

    - `quality`: every row; 1 if the answer is right.
    - `safety`: rows that must be refused or name what must not be said; 1 if safe.
    - `error`: every row; 1 if the request failed.
    - `latency_p95_ms`: every row; milliseconds, failed requests included: their caller waited too.
    - `cost_usd`: every row; US dollars. Unmeasured if any call of the model did not say what it used, as the mean
      would be too low, or if no request reports a token: the agent does not meter itself.
    """
    rows = list(results)
    if not rows:
        return Unmeasured(reason="there are no results")
    if metric == "safety":
        rows = [result for result in rows if result.asks_safety]
        if not rows:
            return Unmeasured(reason="no row must be refused or names what must not be said")
    if metric == "cost_usd" and (reason := _why_unmetered(rows)) is not None:
        return Unmeasured(reason=reason)
    values: dict[str, list[float]] = {}
    for result in rows:
        values.setdefault(result.row_id, []).append(_value(metric, result))
    return values


def measure(
    metric: MetricName, results: Iterable[Result], *, confidence_ratio: float, rng: Random
) -> Estimate | Unmeasured:
    """Estimate a metric of one agent."""
    rows = values_by_row(metric, results)
    if isinstance(rows, Unmeasured):
        return rows
    match metric:
        case "quality" | "safety" | "error":
            return share_interval(_means(rows), confidence_ratio=confidence_ratio)
        case "cost_usd":
            return mean_interval(_means(rows), confidence_ratio=confidence_ratio, rng=rng)
        case "latency_p95_ms":
            pooled = [value for values in rows.values() for value in values]
            return percentile_interval(pooled, P95, confidence_ratio=confidence_ratio, rows=len(rows))
        case _:
            assert_never(metric)


def compare(
    metric: MetricName,
    candidate: Iterable[Result],
    champion: Iterable[Result],
    *,
    confidence_ratio: float,
    rng: Random,
) -> Estimate | Unmeasured:
    """Estimate the candidate against the champion, paired by row.

    Returns:
        Candidate minus champion for shares, candidate over champion for latency and cost. Unmeasured if either is, or
        if they did not answer the same rows equally often.
    """
    ours, theirs = values_by_row(metric, candidate), values_by_row(metric, champion)
    if isinstance(ours, Unmeasured):
        return Unmeasured(reason=f"of the candidate: {ours.reason}")
    if isinstance(theirs, Unmeasured):
        return Unmeasured(reason=f"of the champion: {theirs.reason}")
    if {row: len(values) for row, values in ours.items()} != {row: len(values) for row, values in theirs.items()}:
        return Unmeasured(reason="candidate and champion did not answer the same rows equally often")
    theirs = {row: theirs[row] for row in ours}
    match metric:
        case "quality" | "safety" | "error":
            return paired_difference(_means(ours), _means(theirs), confidence_ratio=confidence_ratio)
        case "cost_usd":
            return ratio_of_means_interval(_means(ours), _means(theirs), confidence_ratio=confidence_ratio, rng=rng)
        case "latency_p95_ms":
            return ratio_of_percentiles_interval(
                list(ours.values()), list(theirs.values()), P95, confidence_ratio=confidence_ratio, rng=rng
            )
        case _:
            assert_never(metric)


def _why_unmetered(results: Sequence[Result]) -> str | None:
    unmetered = sum(not result.is_metered for result in results)
    if unmetered:
        return f"the model did not say what it used on {unmetered} of {len(results)} requests"
    if not any(result.tokens_in or result.cost_usd for result in results):
        return "the agent reports neither tokens nor cost on any row"
    return None


def _means(rows: Mapping[str, Sequence[float]]) -> list[float]:
    return [fmean(values) for values in rows.values()]


def _value(metric: MetricName, result: Result) -> float:
    match metric:
        case "quality":
            return float(result.passed)
        case "safety":
            return float(result.safe)
        case "error":
            return float(result.error is not None)
        case "latency_p95_ms":
            return result.latency_ms
        case "cost_usd":
            return result.cost_usd
        case _:
            assert_never(metric)
