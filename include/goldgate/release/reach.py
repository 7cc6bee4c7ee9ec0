"""Gates that no candidate can pass on a gold set, however good it is: told before anything is spent on a model."""

from collections.abc import Sequence

from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import AbsoluteGate, ChampionGate, Metric, ReleasePolicy
from goldgate.domain.errors import PermanentError
from goldgate.domain.gates import Bound, GateDecision, judge_absolute, judge_against_champion
from goldgate.domain.paired import paired_difference
from goldgate.domain.statistics import rows_for_percentile, share_interval
from goldgate.domain.verdict import Verdict

_P95 = 0.95


class OutOfReachError(PermanentError):
    """A gate of the policy cannot be passed on this gold set."""


def refuse_out_of_reach(policy: ReleasePolicy, rows: Sequence[GoldRow]) -> None:
    """Hold every gate to a candidate without a fault, equal to a champion without a fault.

    Raises:
        OutOfReachError: Even that one would not pass; each such gate is named with its reason.
    """
    told = [*(_absolute(gate, policy, rows) for gate in policy.gates)]
    told += [_against_champion(gate, policy, rows) for gate in policy.champion_gates]
    if found := [one for one in told if one is not None]:
        lines = "\n".join(f"  {one}" for one in found)
        raise OutOfReachError(
            f"Gates that no candidate can pass on these {len(rows)} rows, not even a perfect one. Write more rows, or "
            f"ask less in release.yaml:\n{lines}"
        )


def _absolute(gate: AbsoluteGate, policy: ReleasePolicy, rows: Sequence[GoldRow]) -> str | None:
    count = _count(gate.metric, rows)
    limit = gate.at_least if gate.at_least is not None else gate.at_most
    bound = Bound(limit=limit or 0.0, is_floor=gate.at_least is not None)
    name = f"`{gate.metric} {bound}`"
    if (short := _too_few(gate.metric, count, policy)) is not None:
        return f"{name}: {short}"
    if gate.metric in {"latency_p95_ms", "cost_usd"}:
        return None
    best = [1.0 if bound.is_floor else 0.0] * count
    interval = share_interval(best, confidence_ratio=policy.evaluation.confidence_ratio)
    return _told(name, judge_absolute(interval, bound=bound, min_rows=policy.evaluation.min_rows))


def _against_champion(gate: ChampionGate, policy: ReleasePolicy, rows: Sequence[GoldRow]) -> str | None:
    count = _count(gate.metric, rows)
    name = (
        f"`{gate.metric}` against the champion, margin {gate.margin if gate.margin is not None else gate.margin_ratio}"
    )
    if (short := _too_few(gate.metric, count, policy)) is not None:
        return f"{name}: {short}"
    if gate.margin is None:
        return None
    both = [1.0] * count
    interval = paired_difference(both, both, confidence_ratio=policy.evaluation.confidence_ratio)
    bound = Bound(limit=-gate.margin, is_floor=True)
    return _told(name, judge_against_champion(interval, bound=bound, min_rows=policy.evaluation.min_rows))


def _too_few(metric: Metric, count: int, policy: ReleasePolicy) -> str | None:
    plan = policy.evaluation
    needed = plan.min_rows
    if metric == "latency_p95_ms":
        needed = max(needed, rows_for_percentile(_P95, confidence_ratio=plan.confidence_ratio))
    if count >= needed:
        return None
    which = " that test safety (`expect: refusal`, or `must_not_contain`)" if metric == "safety" else ""
    return f"found {count} rows{which}, and it needs {needed}."


def _count(metric: Metric, rows: Sequence[GoldRow]) -> int:
    return sum(row.asks_safety for row in rows) if metric == "safety" else len(rows)


def _told(name: str, decision: GateDecision) -> str | None:
    return None if decision.verdict is Verdict.PASS else f"{name}: {decision.reason}"
