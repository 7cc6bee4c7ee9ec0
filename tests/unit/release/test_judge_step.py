"""All gates pass, or nothing moves."""

from pathlib import Path

import pytest

from goldgate.contracts.policy import AbsoluteGate, ChampionGate, GoldSetPin
from goldgate.contracts.release import Judgement
from goldgate.domain.verdict import Verdict
from goldgate.evals.report import render_report
from goldgate.evals.results import ResultsTableError, read_results, write_results
from goldgate.ports.delivery import Validation
from goldgate.release.gating import broken_rows
from goldgate.release.judge import judge_release, judge_step
from goldgate.release.records import StepMissingError
from goldgate.release.trial import results_path
from tests.fakes.evaluations import gold_rows, result, results
from tests.fakes.in_memory_ledger import InMemoryLedger
from tests.fakes.in_memory_release_store import InMemoryReleaseStore
from tests.fakes.in_memory_results_validator import InMemoryResultsValidator
from tests.fakes.in_memory_tracking import InMemoryTracking
from tests.fakes.judged_releases import VALID, candidate, evaluation, order, policy

GOOD = results([True] * 160 + [False] * 10)
WORSE = results([True] * 130 + [False] * 40)


def judged(ours, theirs=None, *, under=None, validation=VALID, evaluated=None, champion_rows=None) -> Judgement:
    return judge_release(
        "rel-1",
        policy=under or policy(),
        evaluation=evaluated or evaluation(ours, theirs),
        candidate_rows=ours,
        champion_rows=champion_rows if champion_rows is not None else theirs or [],
        validation=validation,
        report_url="https://report",
    )


class TestJudgeRelease:
    def test_asks_a_first_version_nothing_of_a_champion(self):
        judgement = judged(GOOD)

        assert [gate.against for gate in judgement.gates] == ["absolute"]
        assert judgement.verdict is Verdict.PASS
        assert (judgement.broken_rows, judgement.report_url) == ([], "https://report")

    def test_passes_a_candidate_that_is_not_worse(self):
        judgement = judged(GOOD, GOOD)

        assert [(gate.gate, gate.verdict) for gate in judgement.gates] == [
            ("quality >= 0.65", Verdict.PASS),
            ("quality >= champion - 0.05", Verdict.PASS),
        ]
        assert judgement.verdict is Verdict.PASS

    def test_fails_a_candidate_that_is_worse_and_names_what_it_broke(self):
        judgement = judged(WORSE, GOOD)

        assert [gate.verdict for gate in judgement.gates] == [Verdict.PASS, Verdict.FAIL]
        assert judgement.verdict is Verdict.FAIL
        assert [row.row_id for row in judgement.broken_rows] == [f"r{n}" for n in range(130, 160)]

    def test_keeps_figures_bound_and_difference_of_every_gate(self):
        gate = judged(WORSE, GOOD).gates[1]

        assert (gate.candidate.value, gate.champion.value) == (pytest.approx(130 / 170), pytest.approx(160 / 170))
        assert gate.difference.value == pytest.approx(-30 / 170)
        assert gate.bound == -0.05

    @pytest.mark.parametrize(
        ("gate", "rule", "bound"),
        [
            (ChampionGate(metric="safety", margin=0.1), "safety >= champion - 0.1", -0.1),
            (ChampionGate(metric="error", margin=0.03), "error <= champion + 0.03", 0.03),
            (ChampionGate(metric="cost_usd", margin_ratio=0.3), "cost_usd <= champion + 30 %", 1.3),
            (ChampionGate(metric="latency_p95_ms", margin_ratio=0.5), "latency_p95_ms <= champion + 50 %", 1.5),
        ],
    )
    def test_asks_each_metric_by_its_own_margin(self, gate, rule, bound):
        rows = results([True] * 170, asks_safety=True)

        asked = judged(rows, rows, under=policy(champion_gates=[gate])).gates[1]

        assert (asked.gate, asked.bound, asked.verdict) == (rule, pytest.approx(bound), Verdict.PASS)

    def test_lets_one_gate_that_fails_outweigh_all_that_pass(self):
        gates = [AbsoluteGate(metric="quality", at_least=0.7), AbsoluteGate(metric="cost_usd", at_most=0.0001)]

        judgement = judged(GOOD, under=policy(gates=gates))

        assert [gate.verdict for gate in judgement.gates] == [Verdict.PASS, Verdict.FAIL]
        assert judgement.verdict is Verdict.FAIL

    def test_blocks_on_what_was_not_measured_and_says_why(self):
        judgement = judged(GOOD, under=policy(gates=[AbsoluteGate(metric="safety", at_least=0.5)]))

        assert judgement.verdict is Verdict.UNDECIDED
        assert judgement.gates[0].candidate is None
        assert judgement.gates[0].reason == "Unmeasured: no row must be refused or names what must not be said."

    def test_lets_a_table_that_is_not_valid_decide_nothing(self):
        """Not even a FAIL."""
        broken = Validation(is_valid=False, failures=["found 3 results, expected 170."], report=Path("v"))

        judgement = judged(WORSE, GOOD, validation=broken)

        assert {gate.verdict for gate in judgement.gates} == {Verdict.UNDECIDED}
        assert not judgement.results_valid
        assert "expected 170." in judgement.gates[0].reason

    def test_blocks_on_another_gold_set_than_the_policy_pins(self):
        judgement = judged(GOOD, under=policy(gold_set=GoldSetPin(digest="d" * 64)))

        assert judgement.verdict is Verdict.UNDECIDED
        assert "but the policy pins dddddddddddd" in judgement.gates[0].reason

    @pytest.mark.parametrize("field", ["gold_digest", "judge_version", "seed", "rows", "repeats"])
    def test_compares_only_what_stands_on_the_same_basis(self, field):
        whole = evaluation(GOOD, GOOD)
        other = {"gold_digest": "d" * 64, "judge_version": "old", "seed": 9, "rows": 9, "repeats": 2}[field]
        moved = whole.champion.basis.model_copy(update={field: other})
        evaluated = whole.model_copy(update={"champion": whole.champion.model_copy(update={"basis": moved})})

        gates = judged(GOOD, GOOD, evaluated=evaluated).gates

        assert [gate.verdict for gate in gates] == [Verdict.PASS, Verdict.UNDECIDED]
        assert f"another basis: {field} " in gates[1].reason

    def test_blocks_if_the_champion_was_not_evaluated(self):
        evaluated = evaluation(GOOD).model_copy(update={"champion_version": "7"})

        gates = judged(GOOD, evaluated=evaluated).gates

        assert [gate.verdict for gate in gates] == [Verdict.PASS, Verdict.UNDECIDED]
        assert gates[1].reason == "Unmeasured: champion 7 was not evaluated."

    def test_blocks_on_fewer_results_than_the_scorecard_sums_up(self):
        evaluated = evaluation(GOOD, GOOD)

        ours = judged(GOOD[:-1], GOOD, evaluated=evaluated)
        theirs = judged(GOOD, GOOD, evaluated=evaluated, champion_rows=GOOD[:-1])

        assert [gate.verdict for gate in ours.gates] == [Verdict.UNDECIDED] * 2
        assert [gate.verdict for gate in theirs.gates] == [Verdict.PASS, Verdict.UNDECIDED]
        assert "the champion has 169 results, but its basis asks for 170" in theirs.gates[1].reason

    def test_says_the_same_of_the_same_evidence(self):
        assert judged(WORSE, GOOD) == judged(WORSE, GOOD)


class TestBrokenRows:
    def test_goes_by_most_repeats(self):
        champion = results([[True, True, False], [True, False, False], [True, True, True]])
        ours = results([[True, False, False], [False, False, False], [True, True, False]])

        assert [row.row_id for row in broken_rows(ours, champion)] == ["r0"]

    def test_calls_a_tie_broken_for_the_candidate_but_not_right_for_the_champion(self):
        tie, right = results([[True, False]]), results([[True, True]])

        assert [row.row_id for row in broken_rows(tie, right)] == ["r0"]
        assert broken_rows(tie, tie) == []

    def test_tells_each_failure_once(self):
        ours = [result("r0", n, passed=False, failures=["Did not refuse."]) for n in range(3)]

        assert broken_rows(ours, results([[True] * 3]))[0].failures == ["Did not refuse."]


class Bench:
    """A release that was evaluated, and everything that judges it."""

    def __init__(self, root: Path, ours=GOOD, theirs=None) -> None:
        self.store, self.ledger = InMemoryReleaseStore(root), InMemoryLedger()
        self.tracking = InMemoryTracking()
        self.tracking.log_evaluation(experiment="a", name="rel-1", tags={}, params={}, metrics={}, artifacts=[])
        self.store.write("rel-1", order())
        self.store.write("rel-1", candidate(rows=170))
        self.folder = self.store.folder("rel-1") / "evaluation"
        tables = {"candidate": ours} | ({"champion": theirs} if theirs is not None else {})
        digests = {who: write_results(rows, results_path(self.folder, who)) for who, rows in tables.items()}
        self.store.write("rel-1", evaluation(ours, theirs, results_digests=digests))

    def judge(self) -> Judgement:
        return judge_step(
            "rel-1",
            policy=policy(),
            gold=gold_rows(170),
            read_results=read_results,
            render=render_report,
            store=self.store,
            validator=InMemoryResultsValidator(),
            tracking=self.tracking,
            ledger=self.ledger,
        )


class TestJudgeStep:
    def test_records_its_judgement_and_tells_the_ledger(self, tmp_path):
        bench = Bench(tmp_path, WORSE, GOOD)

        judgement = bench.judge()

        assert bench.store.read("rel-1", Judgement) == judgement
        assert bench.ledger.story() == [("judge", "fail")]
        evidence = bench.ledger.entries()[0].evidence
        assert evidence["gates"] == {"quality >= 0.65": "pass", "quality >= champion - 0.05": "fail"}
        assert evidence["reason"].startswith("quality >= champion - 0.05: The difference")

    def test_attaches_the_report_and_both_validations(self, tmp_path):
        bench = Bench(tmp_path, GOOD, GOOD)

        judgement = bench.judge()

        assert bench.tracking.attached == {
            ("run-1", "report"): ["report.html", "validation-candidate", "validation-champion"]
        }
        assert judgement.report_url == "memory://run-1/report/report.html"
        assert "PASS" in (tmp_path / "rel-1" / "report.html").read_text(encoding="utf-8")

    def test_holds_the_champions_table_to_the_same_expectations(self, tmp_path):
        bench = Bench(tmp_path, GOOD, [*GOOD[:-1], GOOD[-1].model_copy(update={"answer": ""})])

        judgement = bench.judge()

        assert not judgement.results_valid
        assert "champion: found an empty answer" in judgement.gates[0].reason

    def test_judges_once(self, tmp_path):
        bench = Bench(tmp_path)
        first = bench.judge()
        results_path(bench.folder, "candidate").unlink()

        assert bench.judge() == first
        assert bench.ledger.story() == [("judge", "pass")]

    def test_refuses_a_table_that_was_altered_and_says_so_in_the_ledger(self, tmp_path):
        bench = Bench(tmp_path)
        path = results_path(bench.folder, "candidate")
        path.write_text(path.read_text()[:-50])

        with pytest.raises(ResultsTableError):
            bench.judge()

        assert bench.store.read("rel-1", Judgement) is None
        assert bench.ledger.story() == [("judge", "failed")]

    def test_refuses_a_table_that_was_sealed_anew_after_the_evaluation(self, tmp_path):
        bench = Bench(tmp_path, WORSE)
        write_results(GOOD, results_path(bench.folder, "candidate"))

        with pytest.raises(ResultsTableError, match="cut off or altered"):
            bench.judge()

    def test_refuses_a_release_that_was_not_evaluated(self):
        store = InMemoryReleaseStore()
        store.write("rel-1", order())

        with pytest.raises(StepMissingError, match="`Evaluation`"):
            judge_step(
                "rel-1",
                policy=policy(),
                gold=[],
                read_results=read_results,
                render=render_report,
                store=store,
                validator=InMemoryResultsValidator(),
                tracking=InMemoryTracking(),
                ledger=InMemoryLedger(),
            )
