"""The page shows what a person needs to decide, and nothing on it is markup but ours."""

from html.parser import HTMLParser

import pytest

from goldgate.contracts.release import Judgement
from goldgate.domain.verdict import Verdict
from goldgate.evals.report import render_report
from goldgate.ports.delivery import Validation
from goldgate.release.judge import judge_release
from tests.fakes.evaluations import gold_row, result, results
from tests.fakes.judged_releases import VALID, candidate, evaluation, policy

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Page(HTMLParser):
    """Reads a page: its text, its tags, and whether every tag is closed in order."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.open, self.links = "", [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += f"{data}\n"


def judge(ours, theirs=None, validation=VALID) -> Judgement:
    return judge_release(
        "rel-1",
        policy=policy(),
        evaluation=evaluation(ours, theirs),
        candidate_rows=ours,
        champion_rows=theirs or [],
        validation=validation,
        report_url="",
    )


def page(ours, theirs=None, *, gold=None, links=None, validation=VALID, **fields) -> Page:
    html = render_report(
        candidate=candidate(rows=len(ours), **fields),
        evaluation=evaluation(ours, theirs),
        judgement=judge(ours, theirs, validation),
        candidate_rows=ours,
        champion_rows=theirs or [],
        gold=gold or [],
        links=links or {},
    )
    return Page(html)


GOOD, WORSE = results([True] * 40), results([True] * 30 + [False] * 10)


class TestRenderReport:
    def test_closes_every_element(self):
        assert page(WORSE, GOOD).open == []

    def test_says_the_verdict_and_what_blocks(self):
        shown = page(WORSE, GOOD)

        assert "✗ FAIL" in shown.text
        assert "A gate failed. Nothing moves; the champion stays." in shown.text
        assert "quality >= champion - 0.05" in shown.text
        assert "The difference to the champion -0.25 breaks >= -0.05." in shown.text

    @pytest.mark.parametrize("verdict", list(Verdict))
    def test_has_a_word_and_a_sign_for_every_verdict(self, verdict):
        """Colour alone says nothing to many."""
        html = render_report(
            candidate=candidate(rows=40),
            evaluation=evaluation(GOOD),
            judgement=judge(GOOD).model_copy(update={"verdict": verdict}),
            candidate_rows=GOOD,
            champion_rows=[],
            gold=[],
            links={},
        )

        signs = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.UNDECIDED: "?"}
        assert f"{signs[verdict]} {verdict.name}" in Page(html).text

    def test_shows_broken_rows_with_question_expectation_answers_and_failures(self):
        gold = [gold_row("r0", must_contain=[["42", "forty-two"]], relevant=["chunk-9"], needs_tool="cron")]
        ours = [result("r0", passed=False, answer="It is 41."), *GOOD[1:]]
        theirs = [result("r0", answer="It is 42!"), *GOOD[1:]]

        text = page(ours, theirs, gold=gold).text

        for part in (
            "Broken rows (1)",
            "What is r0?",
            "“42” or “forty-two”",
            "chunk-9",
            "“cron”",
            "It is 41.",
            "It is 42!",
        ):
            assert part in text
        assert "The answer holds none of: `42`." in text

    def test_shows_rows_that_were_fixed_and_rows_wrong_in_both(self):
        ours = results([True, True, False, *[True] * 37])
        theirs = results([True, False, False, *[True] * 37])

        text = page(ours, theirs).text

        assert "Fixed rows (1)" in text
        assert "Rows wrong in both (1)" in text
        assert "Broken rows" not in text

    def test_knows_no_champion_on_a_first_release(self):
        text = page(WORSE).text

        assert "Rows wrong (10)" in text
        assert "none yet" in text
        assert "Fixed rows" not in text

    def test_says_what_is_unmeasured(self):
        assert "unmeasured" in page(GOOD).text

    def test_says_that_a_table_is_not_valid(self):
        broken = Validation(is_valid=False, failures=["a row is lost."], report=VALID.report)

        text = page(GOOD, validation=broken).text

        assert "The results table is not valid, so no gate may decide." in text
        assert "a row is lost." in text

    def test_shows_the_slowest_and_the_costliest(self):
        ours = [result("slow", latency_ms=9000.0), result("dear", cost_usd=0.5), *GOOD[2:]]

        text = page(ours).text

        assert "9,000 ms" in text
        assert "$0.500000" in text

    def test_shows_text_as_text_wherever_it_comes_from(self):
        ours = [result("r0", answer=HOSTILE, question=HOSTILE, passed=False, failures=[HOSTILE], tags=[HOSTILE])]

        shown = page(
            ours * 1 + GOOD[1:],
            gold=[gold_row("r0", must_contain=[[HOSTILE]])],
            links={HOSTILE: "javascript:alert(3)"},
            model=HOSTILE,
        )

        assert {"script", "img"}.isdisjoint(shown.tags)
        assert shown.text.count(HOSTILE) >= 6
        assert shown.links == []

    def test_needs_nothing_from_elsewhere(self):
        shown = page(WORSE, GOOD, links={"MLflow run": "https://mlflow.example/run-1"})

        assert shown.links == ["https://mlflow.example/run-1"]
        assert {"script", "link", "img", "iframe"}.isdisjoint(shown.tags)

    def test_names_what_it_stands_on(self):
        text = page(GOOD, GOOD, tools=["cron"], source_revision="abc123").text

        for part in (
            "ada, 2026-03-01 12:00 UTC",
            "version 7",
            "bbbbbbbbbbbb",
            "cccccccccccc",
            "cron",
            "abc123",
            "40 rows",
        ):
            assert part in text
