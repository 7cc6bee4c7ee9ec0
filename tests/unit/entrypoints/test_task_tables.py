"""TaskRuns on the screen: the columns of `kubectl get`, the sections of `kubectl describe`."""

from datetime import timedelta

import pytest

from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import ContextMessage, RunUsage
from goldgate.domain.runs.state import Fate, Need, Phase
from goldgate.entrypoints.crds import KINDS
from goldgate.entrypoints.task_tables import COLUMNS, WIDE, awaited_lines, run_row, run_text, runs_table
from tests.fakes.recorded_runs import AT, a_call, a_run, a_waiting_run

NOW = AT + timedelta(minutes=2, seconds=10)


class TestRunsTable:
    def test_shows_one_run_a_line_under_aligned_columns(self):
        text = runs_table([a_run("a"), a_run("longer-name")], now=NOW)

        head, first, second = text.splitlines()
        assert head.split() == ["NAME", "AGENT/TASK", "PHASE", "STATUS", "PREVIEW", "AGE", "DETAIL", "OUTPUT"]
        assert first == "a             helper       FinalAnswer   Ready    What now?   2m10s   Answered   Forty-two."
        assert first.index("Final") == second.index("Final") == head.index("PHASE")

    def test_names_its_columns_as_kubectl_does(self):
        """Whoever knows the one table finds their way in the other."""
        (runs,) = (kind for kind in KINDS if kind.plural == "taskruns")

        narrow = ["NAME", *(column.name.upper() for column in runs.columns if not column.wide)]
        whole = ["NAME", *(column.name.upper() for column in runs.columns)]

        assert list(COLUMNS[: len(narrow)]) == narrow
        assert list((*COLUMNS, *WIDE)[: len(whole)]) == whole

    def test_counts_the_age_from_when_the_run_was_made(self):
        metadata = Metadata(name="a", creation_timestamp=NOW - timedelta(hours=5))
        waiting = a_run("a", start_time=None).model_copy(update={"metadata": metadata})

        assert run_row(waiting, now=NOW)[COLUMNS.index("AGE")] == "5h"

    def test_adds_what_a_run_used_when_it_is_wide(self):
        row = run_row(a_run(), now=NOW, wide=True)

        assert row[8:] == (
            "100",
            "11",
            "0.001250",
            "<none>",
            "<none>",
            "2",
            "1",
            "0af7651916cd43dd8448eb211c80319c",
            "2026-03-01T12:00:00Z",
            "2026-03-01T12:00:09Z",
        )

    def test_never_shows_a_part_of_the_cost_as_all_of_it(self):
        row = run_row(a_run(usage=RunUsage(cost_usd=0.5, tokens_in=3, is_metered=False)), now=NOW, wide=True)

        assert row[8:11] == (">=3", ">=0", ">=0.500000")

    def test_cuts_long_texts_and_keeps_every_run_on_one_line(self):
        text = runs_table([a_run(output="first\nsecond " + "x" * 200)], now=NOW)

        assert len(text.splitlines()) == 2
        assert "first second xxx" in text
        assert "…" in text

    @pytest.mark.parametrize("nasty", ["\x1b[2Jcleared", "\x07bell", "\u202egnp.exe"])
    def test_lets_no_text_of_a_model_move_the_cursor(self, nasty):
        shown = runs_table([a_run(output=nasty)], now=NOW) + run_text(a_run(output=nasty), now=NOW)

        assert nasty not in shown

    def test_aligns_columns_whose_letters_are_two_cells_wide(self):
        head, first, _ = runs_table([a_run(message="日本"), a_run("b", message="abcd")], now=NOW).splitlines()

        assert first.index("Forty") + 2 == head.index("OUTPUT")


class TestRunText:
    def test_says_what_is_asked_of_a_person_with_the_command_that_answers(self):
        text = run_text(a_waiting_run(), now=NOW)

        assert "Waiting for a person:" in text
        assert "goldgate task answer run-1 c1 --approve" in text
        assert "goldgate task answer run-1 c1 --deny" in text
        assert "Pay 3?" in text

    def test_asks_nothing_of_a_person_when_the_run_is_over(self):
        assert "goldgate task answer" not in run_text(a_run(), now=NOW)

    def test_shows_what_was_used_beside_the_limit(self):
        run = a_run()
        limits = run.status.progress.limits.model_copy(update={"max_steps": 4, "max_cost_usd": 0.5})
        progress = run.status.progress.model_copy(update={"limits": limits})

        text = run_text(a_run(progress=progress), now=NOW)

        assert ["Model", "calls", "2", "4"] in [line.split() for line in text.splitlines()]
        assert ["Cost", "$0.001250", "$0.5"] in [line.split() for line in text.splitlines()]

    def test_cuts_the_conversation_unless_all_of_it_is_asked_for(self):
        long = "\n".join(f"line {number}" for number in range(40))
        run = a_run(context_window=[ContextMessage(role="user", content=long)])

        assert "34 more lines: --full" in run_text(run, now=NOW)
        assert "line 39" in run_text(run, now=NOW, full=True)

    def test_shows_the_history_with_its_age(self):
        assert "2m10s   ValidationSucceeded   It asks for" in run_text(a_run(), now=NOW)

    def test_tells_why_a_run_failed(self):
        text = run_text(a_run(phase=Phase.FAILED, error="max_steps: all 4 model calls are used up"), now=NOW)

        assert "max_steps: all 4 model calls are used up" in text


class TestAwaitedLines:
    @pytest.mark.parametrize(
        ("need", "ways"),
        [
            (Need.APPROVAL, ["--approve", "--deny"]),
            (Need.ANSWER, ["--text", "--deny"]),
            (Need.FATE, ["--approve", "--deny", "--text"]),
        ],
    )
    def test_offers_what_fits_the_need(self, need, ways):
        lines = [line for line in awaited_lines(a_waiting_run(a_call(need=need))) if "goldgate task answer" in line]

        assert [line.split()[5] for line in lines] == ways

    def test_is_silent_about_calls_that_wait_for_nobody(self):
        assert not list(awaited_lines(a_waiting_run(a_call(fate=Fate.DONE))))
