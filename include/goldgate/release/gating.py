"""Ask one gate of a policy on one evaluation. Pure: the evidence is handed in, a GateResult comes out."""

import random
from collections.abc import Sequence
from statistics import fmean

from goldgate.contracts.evaluation import Figure, ResultRow, Scorecard
from goldgate.contracts.policy import AbsoluteGate, ChampionGate, Metric, ReleasePolicy
from goldgate.contracts.release import BrokenRow, Evaluation, GateResult
from goldgate.domain.digest import short
from goldgate.domain.errors import PermanentError
from goldgate.domain.gates import Bound, GateDecision, judge_absolute, judge_against_champion, number
from goldgate.domain.measures import HIGHER_IS_BETTER, compare, measure
from goldgate.domain.verdict import Estimate, Unmeasured
from goldgate.ports.delivery import Validation

_MAX_REASONS = 5
"""Of a table that is not valid: the first few say what is wrong, the validation report says all."""


def ask_absolute(
    gate: AbsoluteGate,
    *,
    policy: ReleasePolicy,
    evaluation: Evaluation,
    rows: Sequence[ResultRow],
    unfit: Unmeasured | None,
) -> GateResult:
    """Hold the candidate's own figure to the gate's bound.

    Args:
        gate: At least, or at most.
        policy: How sure, and on how many rows.
        evaluation: Whose Scorecards are shown.
        rows: The candidate's results.
        unfit: Why the evidence decides nothing, if so.
    """
    bound = _bound(gate)
    figure = evaluation.candidate.figures.get(gate.metric)
    measured = unfit or (_why_unmeasured(gate.metric, rows, policy) if figure is None else _estimate(figure))
    return _result(
        gate.metric,
        judge_absolute(measured, bound=bound, min_rows=policy.evaluation.min_rows),
        bound=bound,
        rule=f"{gate.metric} {bound}",
        evaluation=evaluation,
    )


def ask_against_champion(
    gate: ChampionGate,
    *,
    policy: ReleasePolicy,
    evaluation: Evaluation,
    candidate_rows: Sequence[ResultRow],
    champion_rows: Sequence[ResultRow],
    unfit: Unmeasured | None,
) -> GateResult:
    """Ask that the candidate is not worse than the champion by more than the gate's margin.

    Args:
        gate: The margin.
        policy: How sure, and on how many rows.
        evaluation: Whose Scorecards are shown.
        candidate_rows: The candidate's results.
        champion_rows: The champion's, on the same rows.
        unfit: Why the evidence decides nothing, if so.
    """
    bound = _margin(gate)
    difference = unfit or compare(
        gate.metric,
        candidate_rows,
        champion_rows,
        confidence_ratio=policy.evaluation.confidence_ratio,
        rng=random.Random(policy.evaluation.seed),  # noqa: S311 - resampling, not a secret
    )
    return _result(
        gate.metric,
        judge_against_champion(difference, bound=bound, min_rows=policy.evaluation.min_rows),
        bound=bound,
        rule=_champion_rule(gate),
        evaluation=evaluation,
        difference=difference,
    )


def broken_rows(candidate: Sequence[ResultRow], champion: Sequence[ResultRow]) -> list[BrokenRow]:
    """List the rows that the champion answers right in most repeats and the candidate does not."""
    ours, theirs = (_passes(rows) for rows in (candidate, champion))
    broken = [row for row in ours if fmean(ours[row]) <= 0.5 < fmean(theirs.get(row, [0.0]))]  # noqa: PLR2004 - half
    questions = {result.row_id: result.question for result in candidate}
    failures = {
        row: sorted({failure for result in candidate if result.row_id == row for failure in result.failures})
        for row in broken
    }
    return [BrokenRow(row_id=row, question=questions[row], failures=failures[row]) for row in broken]


def why_unfit(
    release_id: str,
    *,
    policy: ReleasePolicy,
    evaluation: Evaluation,
    rows: Sequence[ResultRow],
    validation: Validation,
) -> Unmeasured | None:
    """Say why no gate may decide on this evidence, if so."""
    basis = evaluation.candidate.basis
    if not validation.is_valid:
        return Unmeasured(reason=f"the results are not valid: {' '.join(validation.failures[:_MAX_REASONS])}")
    if basis.gold_digest != policy.gold_set.digest:
        return Unmeasured(
            reason=f"release `{release_id}` was evaluated on gold set {short(basis.gold_digest)}, but the policy pins "
            f"{short(policy.gold_set.digest)}"
        )
    return _uncounted("candidate", evaluation.candidate, rows)


def why_incomparable(evaluation: Evaluation, rows: Sequence[ResultRow]) -> Unmeasured | None:
    """Say why the champion's results cannot be compared with the candidate's, if so."""
    if evaluation.champion is None:
        return Unmeasured(reason=f"champion {evaluation.champion_version} was not evaluated")
    ours, theirs = evaluation.candidate.basis.model_dump(), evaluation.champion.basis.model_dump()
    if differing := [f"{name} {ours[name]} and {theirs[name]}" for name in ours if ours[name] != theirs[name]]:
        return Unmeasured(reason=f"candidate and champion stand on another basis: {', '.join(differing)}")
    return _uncounted("champion", evaluation.champion, rows)


def _uncounted(who: str, card: Scorecard, rows: Sequence[ResultRow]) -> Unmeasured | None:
    expected = card.basis.rows * card.basis.repeats
    if len(rows) == expected:
        return None
    return Unmeasured(reason=f"the {who} has {len(rows)} results, but its basis asks for {expected}")


def _bound(gate: AbsoluteGate) -> Bound:
    if gate.at_least is not None:
        return Bound(limit=gate.at_least, is_floor=True)
    if gate.at_most is not None:
        return Bound(limit=gate.at_most, is_floor=False)
    raise PermanentError(f"Found a gate on `{gate.metric}` without a bound; expected `at_least` or `at_most`.")


def _margin(gate: ChampionGate) -> Bound:
    if gate.margin is not None:
        is_floor = HIGHER_IS_BETTER[gate.metric]
        return Bound(limit=-gate.margin if is_floor else gate.margin, is_floor=is_floor)
    if gate.margin_ratio is not None:
        return Bound(limit=1 + gate.margin_ratio, is_floor=False)
    raise PermanentError(f"Found a champion gate on `{gate.metric}` without `margin` or `margin_ratio`; expected one.")


def _champion_rule(gate: ChampionGate) -> str:
    if gate.margin is None:
        return f"{gate.metric} <= champion + {number(100 * (gate.margin_ratio or 0))} %"
    return (
        f"{gate.metric} {'>= champion -' if HIGHER_IS_BETTER[gate.metric] else '<= champion +'} {number(gate.margin)}"
    )


def _why_unmeasured(metric: Metric, rows: Sequence[ResultRow], policy: ReleasePolicy) -> Unmeasured:
    """Find out again why the Scorecard lacks a figure."""
    measured = measure(
        metric,
        rows,
        confidence_ratio=policy.evaluation.confidence_ratio,
        rng=random.Random(policy.evaluation.seed),  # noqa: S311 - resampling, not a secret
    )
    if isinstance(measured, Unmeasured):
        return measured
    return Unmeasured(reason=f"the Scorecard lacks `{metric}`, though the results show it: evaluate again")


def _result(
    metric: Metric,
    decision: GateDecision,
    *,
    bound: Bound,
    rule: str,
    evaluation: Evaluation,
    difference: Estimate | Unmeasured | None = None,
) -> GateResult:
    champion = evaluation.champion
    return GateResult(
        gate=rule,
        metric=metric,
        against="absolute" if difference is None else "champion",
        verdict=decision.verdict,
        candidate=evaluation.candidate.figures.get(metric),
        champion=champion.figures.get(metric) if champion else None,
        difference=_figure(difference) if isinstance(difference, Estimate) else None,
        bound=bound.limit,
        reason=decision.reason,
    )


def _estimate(figure: Figure) -> Estimate:
    return Estimate(value=figure.value, low=figure.low, high=figure.high, samples=figure.samples)


def _figure(estimate: Estimate) -> Figure:
    return Figure(value=estimate.value, low=estimate.low, high=estimate.high, samples=estimate.samples)


def _passes(results: Sequence[ResultRow]) -> dict[str, list[float]]:
    passes: dict[str, list[float]] = {}
    for result in results:
        passes.setdefault(result.row_id, []).append(float(result.passed))
    return passes
