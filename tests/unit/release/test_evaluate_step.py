"""An evaluation is measured once, kept, logged, and recorded."""

import dataclasses
from pathlib import Path

import pytest

from goldgate.contracts.evaluation import Scorecard
from goldgate.contracts.policy import Budgets, EvaluationPlan, GoldSetPin
from goldgate.contracts.prediction import Usage
from goldgate.contracts.release import Evaluation
from goldgate.domain.digest import digest_bytes
from goldgate.domain.errors import TransientError
from goldgate.evals.results import ResultsTableError, read_results, write_results
from goldgate.evals.run import BudgetExceededError, run_gold_set
from goldgate.evals.scorecard import make_scorecard
from goldgate.release.evaluate import FOLDER, evaluate_candidate
from goldgate.release.trial import BasisError, Champion, EvaluationKit, Trial, measure_trial, results_path
from tests.fakes.evaluations import ScriptedAgent, gold_rows, response
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_ledger import InMemoryLedger
from tests.fakes.in_memory_release_store import InMemoryReleaseStore
from tests.fakes.in_memory_tracking import InMemoryTracking
from tests.fakes.judged_releases import CANDIDATE_DIGEST, CHAMPION_DIGEST, candidate, policy

ROWS = gold_rows(40)
CANDIDATE_BUNDLE, CHAMPION_BUNDLE = Path("bundles/candidate"), Path("bundles/champion")


class UnreachableTracking(InMemoryTracking):
    """Is down until told otherwise."""

    is_up = False

    def log_evaluation(self, **told):
        if not self.is_up:
            raise TransientError("MLflow does not answer.")
        return super().log_evaluation(**told)


class Bench:
    """A candidate to evaluate, and everything that it takes."""

    def __init__(self, root: Path, *, with_champion: bool = True, tracking: InMemoryTracking | None = None) -> None:
        self.store, self.ledger = InMemoryReleaseStore(root / "releases"), InMemoryLedger()
        self.tracking = tracking or InMemoryTracking()
        self.prompts = root / "prompts"
        self.prompts.mkdir()
        self.agent, self.champion_agent = ScriptedAgent(), ScriptedAgent({"What is r0?": response("No idea.")})
        self.champion = (
            Champion(version="7", bundle_digest=CHAMPION_DIGEST, bundle=CHAMPION_BUNDLE) if with_champion else None
        )
        self.policy = policy(evaluation=EvaluationPlan(concurrency=2))
        self.answering = CANDIDATE_DIGEST

    @property
    def kit(self) -> EvaluationKit:
        return EvaluationKit(
            run=self.run, scorecard=make_scorecard, write_results=write_results, read_results=read_results
        )

    def run(self, rows, *, contestants, **plan):
        agents = {CANDIDATE_BUNDLE: self.agent, CHAMPION_BUNDLE: self.champion_agent}
        return run_gold_set(rows, agents={who: agents[each.bundle] for who, each in contestants.items()}, **plan)

    @property
    def trial(self) -> Trial:
        return Trial(
            candidate=candidate(rows=40),
            policy=self.policy,
            rows=ROWS,
            bundle=CANDIDATE_BUNDLE,
            bundle_digest=self.answering,
            champion=self.champion,
        )

    @property
    def folder(self) -> Path:
        return self.store.folder("rel-1") / FOLDER

    def evaluate(self) -> Evaluation:
        return evaluate_candidate(
            self.trial,
            params={"retriever_k": "6"},
            prompts=self.prompts,
            kit=self.kit,
            store=self.store,
            tracking=self.tracking,
            ledger=self.ledger,
            clock=FrozenClock(),
            on_row=lambda *_: None,
        )


class TestEvaluateCandidate:
    def test_evaluates_the_champion_beside_the_candidate(self, tmp_path):
        evaluation = Bench(tmp_path).evaluate()

        assert evaluation.candidate.figures["quality"].value == 1
        assert evaluation.champion.figures["quality"].value == pytest.approx(39 / 40)
        assert evaluation.champion_version == "7"
        assert evaluation.champion.bundle_digest == CHAMPION_DIGEST
        assert evaluation.candidate.basis == evaluation.champion.basis

    def test_names_the_bundle_that_answered_whatever_the_candidate_is_recorded_as(self, tmp_path):
        bench = Bench(tmp_path)
        bench.answering = "e" * 64

        assert bench.evaluate().candidate.bundle_digest == "e" * 64

    def test_evaluates_a_first_candidate_alone(self, tmp_path):
        evaluation = Bench(tmp_path, with_champion=False).evaluate()

        assert (evaluation.champion, evaluation.champion_version) == (None, None)

    def test_logs_params_metrics_and_artifacts(self, tmp_path):
        bench = Bench(tmp_path)

        evaluation = bench.evaluate()

        run = bench.tracking.runs[evaluation.run_id]
        assert (run["experiment"], run["name"]) == ("a", "rel-1")
        assert run["params"]["retriever_k"] == "6"
        assert (run["params"]["prompt"], run["params"]["model"], run["params"]["seed"]) == ("a@1", "m", "0")
        assert run["metrics"]["quality"] == 1
        assert run["metrics"]["champion_quality"] == pytest.approx(39 / 40)
        assert {"latency_p50_ms", "quality_low", "quality_high", "tokens_in", "total_cost_usd"} <= run["metrics"].keys()
        assert {"retriever_k", "champion_retriever_k"} <= run["metrics"].keys()
        assert "| `hit_at_k` |" in (bench.folder / "metrics.md").read_text()
        assert run["artifacts"] == ["evaluation", "prompts"]
        assert sorted(path.name for path in bench.folder.iterdir()) == [
            "metrics.md",
            "results-candidate.jsonl",
            "results-candidate.jsonl.sha256",
            "results-champion.jsonl",
            "results-champion.jsonl.sha256",
            "scorecard-candidate.json",
            "scorecard-champion.json",
        ]

    def test_logs_no_figure_that_is_unmeasured(self, tmp_path):
        """40 rows cannot bound p95, and these agents report no tokens."""
        bench = Bench(tmp_path)

        evaluation = bench.evaluate()

        assert {"latency_p95_ms", "cost_usd"}.isdisjoint(bench.tracking.runs[evaluation.run_id]["metrics"])

    def test_records_the_evaluation_and_tells_the_ledger(self, tmp_path):
        bench = Bench(tmp_path)

        evaluation = bench.evaluate()

        assert bench.store.read("rel-1", Evaluation) == evaluation
        assert evaluation.results_digests == {
            who: digest_bytes(results_path(bench.folder, who).read_bytes()) for who in ("candidate", "champion")
        }
        assert bench.ledger.story() == [("evaluate", "evaluated")]
        assert bench.ledger.entries()[0].evidence["champion_version"] == "7"

    def test_evaluates_once(self, tmp_path):
        bench = Bench(tmp_path)
        first = bench.evaluate()

        assert bench.evaluate() == first
        assert len(bench.agent.asked) == 40
        assert bench.ledger.story() == [("evaluate", "evaluated")]

    def test_asks_nothing_again_when_only_the_tracker_was_down(self, tmp_path):
        tracking = UnreachableTracking()
        bench = Bench(tmp_path, tracking=tracking)
        with pytest.raises(TransientError):
            bench.evaluate()
        tracking.is_up = True

        evaluation = bench.evaluate()

        assert len(bench.agent.asked) == len(bench.champion_agent.asked) == 40
        assert evaluation.candidate.figures["quality"].value == 1

    def test_notes_why_it_could_not_be_done(self, tmp_path):
        bench = Bench(tmp_path)
        bench.policy = policy(budgets=Budgets(max_evaluation_cost_usd=0.001))
        bench.agent = ScriptedAgent({row.question: response(usage=Usage(cost_usd=1)) for row in ROWS})

        with pytest.raises(BudgetExceededError):
            bench.evaluate()

        assert bench.ledger.story() == [("evaluate", "failed")]
        assert bench.store.read("rel-1", Evaluation) is None


class TestMeasureTrial:
    def measure(self, bench: Bench) -> dict[str, Scorecard]:
        return measure_trial(
            bench.trial, kit=bench.kit, clock=FrozenClock(), folder=bench.folder, on_row=lambda *_: None
        )

    def test_measures_again_when_another_champion_serves(self, tmp_path):
        bench = Bench(tmp_path)
        self.measure(bench)
        bench.champion = Champion(version="8", bundle_digest="d" * 64, bundle=CHAMPION_BUNDLE)

        cards = self.measure(bench)

        assert cards["champion"].bundle_digest == "d" * 64
        assert len(bench.champion_agent.asked) == 80

    def test_measures_again_on_another_plan(self, tmp_path):
        bench = Bench(tmp_path)
        self.measure(bench)
        bench.policy = policy(evaluation=EvaluationPlan(repeats=2))

        assert self.measure(bench)["candidate"].basis.repeats == 2

    def test_refuses_a_kept_table_that_was_altered(self, tmp_path):
        bench = Bench(tmp_path)
        self.measure(bench)
        path = results_path(bench.folder, "champion")
        path.write_text(path.read_text().replace('"passed":false', '"passed":true'))

        with pytest.raises(ResultsTableError):
            self.measure(bench)

    def test_refuses_another_gold_set_than_the_policy_pins(self, tmp_path):
        bench = Bench(tmp_path)
        bench.policy = policy(gold_set=GoldSetPin(digest="d" * 64))

        with pytest.raises(BasisError, match=r"expected dddddddddddd, which `gold_set\.digest`"):
            self.measure(bench)

        assert bench.agent.asked == []

    def test_refuses_other_rows_than_were_checked(self, tmp_path):
        bench = Bench(tmp_path)
        trial = dataclasses.replace(bench.trial, candidate=candidate(rows=39), champion=None)

        with pytest.raises(BasisError, match=r"40 rows; expected .* and 39 rows"):
            measure_trial(trial, kit=bench.kit, clock=FrozenClock(), folder=bench.folder, on_row=lambda *_: None)
