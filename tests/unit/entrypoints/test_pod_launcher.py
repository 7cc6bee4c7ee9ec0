"""Pods for runs: launched once each, followed, and removed."""

import pytest

from goldgate.contracts.cluster import AGENT_LABEL
from goldgate.contracts.task_runs import RunProgress, TaskRunSpec, TaskRunStatus, TaskSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.launching import Follow, Over
from goldgate.domain.runs.state import Phase
from goldgate.ports.pods import PodOrder
from goldgate.ports.task_runs import RunWord
from tests.fakes.in_memory_pods import UID
from tests.fakes.launched_runs import ASKING, RUN, SECRET, SPEC, Bench


class TestTend:
    def test_makes_one_pod_however_often_it_is_asked(self):
        bench = Bench()

        tended = [bench.tend() for _ in range(3)]

        assert [each.decision for each in tended] == [Follow()] * 3
        assert [each.pod for each in tended] == ["run-1"] * 3
        assert [order.name for order in bench.pods.orders] == ["run-1"]

    def test_orders_what_the_run_s_agent_needs(self):
        bench = Bench()

        bench.tend()

        order = bench.pods.orders[0]
        assert order == PodOrder(
            name="run-1",
            run="run",
            run_uid=UID,
            command=("python3", "-m", "goldgate.entrypoints.task_run", "run"),
            settings=SPEC,
            env_from=SECRET,
            labels={"goldgate.dev/agent": "main"},
            deadline_s=86_400,
        )

    def test_gives_a_pod_no_more_time_than_its_run_has(self):
        bench = Bench(run=RUN.model_copy(update={"spec": RUN.spec.model_copy(update={"deadline_seconds": 100.0})}))

        bench.tend()

        assert bench.pods.orders[0].deadline_s == 160

    def test_gives_a_pod_no_more_time_than_the_settings_grant(self):
        bench = Bench(run=RUN.model_copy(update={"spec": RUN.spec.model_copy(update={"deadline_seconds": 86_399.0})}))

        bench.tend()

        assert bench.pods.orders[0].deadline_s == 86_400

    @pytest.mark.parametrize("is_first", [True, False])
    def test_asks_for_words_unless_the_first_count_tells_of_each(self, is_first: bool):
        """Another count is written though somebody said something since it was read."""
        bench = Bench()
        bench.counts.may_have_words = False
        if not is_first:
            bench.tend()
            bench.pods.vanish("run-1")
        word = RunWord(id="w", at=bench.runs.clock.now(), by="ann", cancels=True, text="no")
        bench.runs.store.post("run", word)

        bench.tend()

        assert [order.name for order in bench.pods.orders] == ["run-1"]
        assert bench.recorded().status.phase.is_terminal is not is_first

    def test_tells_that_a_run_is_over_and_removes_the_pod_that_nobody_need_look_at(self):
        bench = Bench()
        bench.tend()
        bench.work()

        tended = bench.tend()

        assert (tended.decision, tended.run.status.phase) == (Over(), Phase.FINAL_ANSWER)
        assert bench.pods.pods == {}

    @pytest.mark.parametrize(("keep", "is_kept"), [("failed", True), ("always", True), ("never", False)])
    def test_keeps_a_pod_that_failed_for_people_to_look_at(self, keep, is_kept):
        bench = Bench(spec=SPEC.model_copy(update={"keep": keep, "max_losses": 0}))
        bench.tend()
        bench.work(dies_at=7)

        tended = bench.tend()

        assert tended.run.status.phase is Phase.FAILED
        assert ("run-1" in bench.pods.pods) is is_kept

    @pytest.mark.parametrize("is_of_task", [False, True])
    def test_gives_no_pod_the_secrets_of_an_agent_that_only_a_pod_named(self, is_of_task: bool):
        """A pod writes the status of its run, and may have been taken over."""
        asked = TaskRunSpec(task_ref="task") if is_of_task else RUN.spec
        task = TaskSpec(agent_ref="another", user_message="go")
        forged = TaskRunStatus(progress=RunProgress(task=task))
        bench = Bench(
            run=RUN.model_copy(update={"spec": asked, "status": forged}),
            find_task=lambda _: TaskSpec(agent_ref="main", user_message="go"),
        )

        bench.tend()

        assert {order.labels[AGENT_LABEL] for order in bench.pods.orders} <= {"main"}

    def test_removes_a_pod_that_another_has_followed(self):
        bench = Bench(plans=ASKING)
        bench.tend()
        bench.work()
        bench.runs.answer_all()

        bench.tend()

        assert list(bench.pods.pods) == ["run-2"]

    def test_makes_no_pod_for_a_run_that_somebody_deleted_and_that_waits_for_its_pods(self):
        bench = Bench()
        bench.tend()
        bench.pods.vanish("run-1")
        bench.counts.is_leaving = True

        with pytest.raises(PermanentError, match="`run` was deleted"):
            bench.tend()
        assert [order.name for order in bench.pods.orders] == ["run-1"]

    def test_says_so_when_there_is_no_such_run(self):
        bench = Bench()
        bench.counts.is_gone = True

        with pytest.raises(PermanentError, match="Found no TaskRun `run`"):
            bench.tend()
