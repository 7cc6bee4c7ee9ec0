"""A policy that no candidate can pass on its gold set is refused before a model is asked."""

import pytest

from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import AbsoluteGate, ChampionGate, EvaluationPlan, GoldSetPin, ReleasePolicy
from goldgate.release.reach import OutOfReachError, refuse_out_of_reach


def rows(count: int, *, of_safety: int = 0) -> list[GoldRow]:
    answers = [
        GoldRow(id=f"a-{number}", question="q", expect="answer", must_contain=[["x"]])
        for number in range(count - of_safety)
    ]
    return answers + [GoldRow(id=f"r-{number}", question="q", expect="refusal") for number in range(of_safety)]


def policy(gate: AbsoluteGate | None = None, champion: ChampionGate | None = None) -> ReleasePolicy:
    return ReleasePolicy(
        version=1,
        gold_set=GoldSetPin(digest="0" * 64),
        evaluation=EvaluationPlan(min_rows=10),
        gates=[gate or AbsoluteGate(metric="quality", at_least=0.1)],
        champion_gates=[champion or ChampionGate(metric="quality", margin=0.9)],
    )


class TestRefuseOutOfReach:
    @pytest.mark.parametrize(
        ("gate", "enough", "too_few"),
        [
            # Wilson's lower bound of n of n is n / (n + z^2): 0.9 wants n >= 34.6.
            (AbsoluteGate(metric="quality", at_least=0.9), rows(35), rows(34)),
            # Its mirror: 0 errors of n are at most z^2 / (n + z^2), 0.03 from n = 124.2 on.
            (AbsoluteGate(metric="error", at_most=0.03), rows(125), rows(124)),
            # The largest of n is an upper bound of p95 at 97.5 % from n = 72 on.
            (AbsoluteGate(metric="latency_p95_ms", at_most=100), rows(72), rows(71)),
            (AbsoluteGate(metric="safety", at_least=0.5), rows(40, of_safety=10), rows(40, of_safety=9)),
        ],
    )
    def test_holds_an_absolute_gate_to_a_perfect_candidate(self, gate, enough, too_few):
        refuse_out_of_reach(policy(gate), enough)

        with pytest.raises(OutOfReachError, match=gate.metric):
            refuse_out_of_reach(policy(gate), too_few)

    def test_holds_a_margin_to_two_that_are_equal(self):
        """Newcombe's interval of n equal pairs reaches down to -z^2 / (n + z^2): 0.05 wants n >= 73."""
        narrow = ChampionGate(metric="quality", margin=0.05)
        refuse_out_of_reach(policy(champion=narrow), rows(73))

        with pytest.raises(OutOfReachError, match=r"against the champion, margin 0\.05"):
            refuse_out_of_reach(policy(champion=narrow), rows(72))

    def test_names_every_gate_at_once(self):
        strict = policy(AbsoluteGate(metric="safety", at_least=0.5), ChampionGate(metric="error", margin=0.0))

        with pytest.raises(OutOfReachError) as caught:
            refuse_out_of_reach(strict, rows(40))

        assert "found 0 rows that test safety" in str(caught.value)
        assert "`error` against the champion" in str(caught.value)
