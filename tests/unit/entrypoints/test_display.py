"""What people read on the screen says no more than what was asked."""

import io
import json
from datetime import timedelta

import pytest
import yaml
from rich.console import Console

from goldgate.contracts.evaluation import Figure
from goldgate.contracts.release import GateResult
from goldgate.domain.verdict import Verdict
from goldgate.entrypoints.display import Screen, age, as_yaml, gates_table, grid, one_line


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


class TestScreen:
    def test_writes_json_without_colour_and_without_breaking_a_line(self):
        out = io.StringIO()
        value = {"text": "[red]x[/] " + "long " * 100, "none": None}

        Screen(form="json", out=Console(file=out, width=40, soft_wrap=True)).result(value, "a table")

        assert json.loads(out.getvalue()) == value

    def test_colours_no_text_for_people_where_there_is_no_terminal(self):
        out = io.StringIO()

        Screen(form="table", out=Console(file=out)).result(None, "phase 1 [bold] True")

        assert out.getvalue() == "phase 1 [bold] True\n"


class TestAsYaml:
    def test_writes_each_resource_of_a_list_as_a_document_of_its_own(self):
        text = as_yaml({"kind": "TaskRunList", "items": [{"b": 1, "a": "ü"}, {"b": 2}]})

        assert list(yaml.safe_load_all(text)) == [{"b": 1, "a": "ü"}, {"b": 2}]
        assert text.startswith("b: 1\na: ü")


class TestAge:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (-3, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (130, "2m10s"),
            (601, "10m"),
            (3_600, "60m"),
            (7_260, "121m"),
            (10_860, "3h1m"),
            (36_000, "10h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (900_000, "10d"),
            (800 * 86_400, "2y70d"),
        ],
    )
    def test_says_less_the_longer_ago_it_was(self, seconds, text):
        """As `duration.HumanDuration` of Kubernetes' apimachinery does for these."""
        assert age(timedelta(seconds=seconds)) == text


class TestGrid:
    def test_leaves_no_space_at_the_end_of_a_line(self):
        assert grid(("A", "B"), [("long", ""), ("x", "y")]) == "A      B\nlong\nx      y"


class TestOneLine:
    def test_cuts_with_a_mark_within_the_length(self):
        assert one_line("a b\n\tc d", at_most=5) == "a b…"
        assert one_line("a\nb", at_most=5) == "a b"
