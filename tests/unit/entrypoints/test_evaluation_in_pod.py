"""A gold set that a pod asks gives what it gives here, and nothing is left behind."""

import pytest

from goldgate.contracts.evaluation import GoldSetPlan
from goldgate.contracts.evaluation_pods import EvaluationOrder
from goldgate.contracts.policy import Budgets
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.evaluation_pod import carry_out
from goldgate.evals.run import run_gold_set
from tests.fakes.working_pods import (
    PLAN,
    ROWS,
    SETTINGS,
    Bench,
    WorkingPods,
    asks_one_row_twice,
    cannot_be_reached,
    cannot_start,
    finds_no_model,
    is_interrupted,
    lays_down_what_cannot_be_read,
    loses_a_row,
    mumbles,
    order_of,
    refuses,
    vanishes_since_another_worker_took_its_results,
    wants_memory,
    with_progress,
    works,
)


class TestAGoldSetInAPod:
    def test_gives_what_it_gives_here(self, tmp_path):
        bench = Bench(tmp_path)

        results = bench.ask()

        assert {who: [(row.row_id, row.repeat, row.passed) for row in rows] for who, rows in results.items()} == {
            "candidate": [(row.id, repeat, True) for row in ROWS for repeat in (0, 1)],
            "champion": [(row.id, repeat, row.id != "r0") for row in ROWS for repeat in (0, 1)],
        }

    def test_leaves_neither_pod_nor_parts_behind(self, tmp_path):
        bench = Bench(tmp_path)

        bench.ask()

        assert bench.pods.there == {}
        assert bench.parts.texts == {}

    def test_belongs_to_no_run_and_may_use_parts_only(self, tmp_path):
        bench = Bench(tmp_path)

        bench.ask()

        [made] = bench.pods.made
        assert (made.run, made.settings.service_account) == (None, "goldgate-evaluation")

    @pytest.mark.parametrize("fate", [loses_a_row, asks_one_row_twice])
    def test_decides_nothing_on_other_results_than_each_row_once(self, tmp_path, fate):
        bench = Bench(tmp_path, fates=[fate])

        with pytest.raises(PermanentError, match=r"expected 6 of each.*: each row of the gold set, each repeat, once"):
            bench.ask()

    @pytest.mark.parametrize("fate", [wants_memory, refuses, cannot_start, mumbles])
    def test_is_asked_anew_after_it_failed(self, tmp_path, fate):
        """What it was asked has not changed, nor has the name of its pod."""
        bench = Bench(tmp_path, fates=[fate])
        with pytest.raises(PermanentError):
            bench.ask()

        results = bench.ask()

        assert len(results["candidate"]) == 6
        assert len(bench.pods.made) == 2

    def test_is_asked_by_another_pod_when_its_results_are_gone(self, tmp_path):
        bench = Bench(tmp_path, fates=[lays_down_what_cannot_be_read])

        results = bench.ask()

        assert len(results["candidate"]) == 6
        assert len(bench.pods.made) == 2

    def test_says_that_its_results_are_gone_when_no_other_pod_may_be_lost(self, tmp_path):
        settings = SETTINGS.model_copy(update={"max_losses": 0})
        bench = Bench(tmp_path, fates=[lays_down_what_cannot_be_read], settings=settings)

        with pytest.raises(PermanentError, match="did not come to its end: its results are gone: Found no text"):
            bench.ask()

    def test_keeps_everything_when_the_cluster_cannot_be_reached(self, tmp_path):
        bench = Bench(tmp_path)
        reached = bench.pods.look

        bench.pods.look = cannot_be_reached
        with pytest.raises(TransientError):
            bench.ask()

        bench.pods.look = reached
        assert len(bench.ask()["candidate"]) == 6
        assert len(bench.pods.made) == 1

    def test_keeps_its_results_for_whoever_asks_again_when_they_cannot_be_read_now(self, tmp_path):
        bench = Bench(tmp_path)
        readable = bench.parts.get

        def cannot_be_read_from_now_on(pods: WorkingPods, pod):
            done = works(pods, pod)
            bench.parts.get = cannot_be_reached
            return done

        bench.fates.append(cannot_be_read_from_now_on)
        with pytest.raises(TransientError):
            bench.ask()

        bench.parts.get = readable
        assert len(bench.ask()["candidate"]) == 6
        assert len(bench.pods.made) == 1

    @pytest.mark.parametrize("what", ["end", "remove", "sweep"])
    def test_is_not_lost_because_nothing_can_be_tidied_up_after_it(self, tmp_path, what):
        bench = Bench(tmp_path)
        setattr(bench.pods if what == "end" else bench.parts, what, cannot_be_reached)

        assert len(bench.ask()["candidate"]) == 6

    def test_takes_nothing_from_another_that_asks_the_same(self, tmp_path):
        bench = Bench(tmp_path)
        # The other is done before the pod of this one has read anything.
        bench.fates.append(lambda pods, pod: bench.ask("rel-2") and works(pods, pod))

        assert len(bench.ask("rel-1")["champion"]) == 6
        assert bench.parts.texts == {}

    def test_is_laid_down_again_for_another_pod(self, tmp_path):
        bench = Bench(tmp_path, fates=[vanishes_since_another_worker_took_its_results])

        assert len(bench.ask()["candidate"]) == 6

    @pytest.mark.parametrize("what", ["image", "budget"])
    def test_takes_no_answers_of_a_pod_that_was_made_or_asked_otherwise(self, tmp_path, what):
        """It was left by a worker that was killed; nobody waits for it any more, and it may go on and spend."""
        bench = Bench(tmp_path)
        finished = bench.parts.get
        bench.fates.append(lambda pods, pod: setattr(bench.parts, "get", cannot_be_reached) or works_after(pods, pod))

        def works_after(pods: WorkingPods, pod):
            bench.parts.get = finished
            done = works(pods, pod)
            bench.parts.get = cannot_be_reached
            return done

        with pytest.raises(TransientError):
            bench.ask()
        bench.parts.get = finished
        if what == "image":
            bench.settings = SETTINGS.model_copy(update={"image": "localhost/agent@sha256:1"})
        plan = PLAN if what == "image" else PLAN.model_copy(update={"budget": Budgets(max_evaluation_s=30)})

        assert len(bench.ask(plan=plan)["candidate"]) == 6

        assert len(bench.pods.made) == 2
        assert bench.pods.there == {}

    def test_is_left_to_whoever_tries_again_when_the_model_does_not_answer(self, tmp_path):
        bench = Bench(tmp_path, fates=[finds_no_model])

        with pytest.raises(TransientError, match="could not evaluate now: The model does not answer"):
            bench.ask()

        assert len(bench.ask()["candidate"]) == 6

    def test_is_not_asked_by_an_image_that_judges_differently(self, tmp_path):
        orders: list[EvaluationOrder] = []
        bench = Bench(tmp_path, fates=[lambda pods, pod: orders.append(order_of(pods, pod)) or works(pods, pod)])
        bench.ask()
        [order] = orders

        with pytest.raises(PermanentError, match=r"Found the judge `contains-v1`.*expected `older`"):
            carry_out(
                order.model_copy(update={"judge_version": "older"}),
                parts=bench.parts,
                folder=tmp_path,
                ask=run_gold_set,
            )

    def test_is_ended_by_whoever_interrupts_it(self, tmp_path):
        bench = Bench(tmp_path, fates=[is_interrupted])

        with pytest.raises(KeyboardInterrupt):
            bench.ask()

        assert bench.parts.texts == {}


class TestTheBudget:
    def test_of_another_pod_is_what_the_lost_ones_left(self, tmp_path):
        bench = Bench(tmp_path, fates=[with_progress(done=5, of=12, spent_usd=0.25)])

        bench.ask()

        first, second = bench.pods.made
        assert "--spent" not in first.command
        assert second.command[-2:] == ("--spent", '{"usd":0.25,"seconds":3.0}')
        assert (first.name, first.deadline_s) == (second.name, second.deadline_s + 3)

    @pytest.mark.parametrize(
        ("budget", "told"),
        [
            (Budgets(max_evaluation_cost_usd=0.25), r"used USD 0\.2500 and 3 s, and `budgets` grants USD 0\.25"),
            (Budgets(max_evaluation_s=2), r"used USD 0\.2500 and 3 s, and `budgets` grants USD 10 and 2 s"),
        ],
    )
    def test_that_lost_pods_used_up_pays_for_no_other(self, tmp_path, budget, told):
        bench = Bench(tmp_path, fates=[with_progress(done=5, of=12, spent_usd=0.25)])
        plan = GoldSetPlan(repeats=2, concurrency=2, seed=7, budget=budget)

        with pytest.raises(PermanentError, match=told):
            bench.ask(plan=plan)

        assert len(bench.pods.made) == 1
        assert bench.parts.texts == {}
