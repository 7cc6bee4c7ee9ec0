"""What people read on the screen says no more than what was asked."""

import io

from rich.console import Console

from goldgate.contracts.evaluation import Figure
from goldgate.contracts.release import GateResult
from goldgate.domain.verdict import Verdict
from goldgate.entrypoints.display import gates_table


def told(against: str, champion: Figure | None) -> str:
    gate = GateResult(
        gate="the gate",
        metric="quality",
        against=against,
        verdict=Verdict.PASS,
        candidate=Figure(value=0.5, low=0.4, high=0.6, samples=9),
        champion=champion,
        difference=None,
        bound=0.1,
        reason="why",
    )
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(gates_table([gate]))
    return console.export_text()


class TestGatesTable:
    def test_leaves_the_champion_out_of_a_gate_that_does_not_ask_for_it(self):
        assert "unmeasured" not in told("absolute", None)

    def test_says_that_the_champion_was_not_measured_where_it_was_asked_for(self):
        assert "unmeasured" in told("champion", None)

    def test_shows_both_figures_with_their_intervals(self):
        text = told("champion", Figure(value=0.7, low=0.65, high=0.75, samples=9))

        assert "0.500 (0.400, 0.600)" in text
        assert "0.700 (0.650, 0.750)" in text
