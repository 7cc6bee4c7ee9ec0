"""How runs end that no pod ends."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from goldgate.contracts.task_runs import TaskRunSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.launching import Over, WaitForPod
from goldgate.domain.runs.pods import PodPhase
from goldgate.domain.runs.state import Phase
from goldgate.ports.pods import PodRefusedError
from goldgate.ports.task_runs import RunWord
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_pods import UID
from tests.fakes.launched_runs import ASKING, RUN, Bench


def hurried(*, born: datetime | None = None) -> Bench:
    """Have a run that must be over in a minute."""
    spec = RUN.spec.model_copy(update={"deadline_seconds": 60.0})
    metadata = RUN.metadata.model_copy(update={"creation_timestamp": born})
    return Bench(run=RUN.model_copy(update={"spec": spec, "metadata": metadata}))


class TestTendToAnEnd:
    def test_fails_a_run_of_a_task_that_is_not_there(self):
        bench = Bench(run=RUN.model_copy(update={"spec": TaskRunSpec(task_ref="absent")}))

        tended = bench.tend()

        assert (tended.decision, tended.run.status.error) == (Over(), "Found no task `absent`.")

    def test_fails_at_once_what_the_cluster_refuses_with_its_words(self):
        bench = Bench()
        bench.pods.refuses = PodRefusedError("violates PodSecurity")

        tended = bench.tend()

        assert tended.decision == Over()
        assert tended.run.status.error == "pod: violates PodSecurity"

    def test_ends_a_pod_that_did_not_start_in_its_time(self):
        bench = Bench()
        bench.tend()
        bench.pods.pods["run-1"] = bench.pods.pods["run-1"].__class__(
            name="run-1", phase=PodPhase.PENDING, reason="Unschedulable", message="0/1 nodes", age_s=300, owner=UID
        )

        tended = bench.tend()

        assert "0/1 nodes" in (tended.run.status.error or "")
        assert bench.pods.ended == ["run-1"]

    def test_ends_a_run_past_its_deadline_without_a_pod(self):
        bench = Bench(
            plans=ASKING, run=RUN.model_copy(update={"spec": RUN.spec.model_copy(update={"deadline_seconds": 60.0})})
        )
        bench.tend()
        bench.work()
        bench.runs.clock.advance(timedelta(seconds=61))

        tended = bench.tend()

        assert tended.decision == Over()
        assert (tended.run.status.error or "").startswith("deadline: ")
        assert len(bench.pods.orders) == 1

    def test_ends_a_run_past_its_deadline_whose_later_pod_does_not_start(self):
        bench = hurried()
        bench.tend()
        bench.work(dies_at=12)
        bench.tend()
        bench.pods.become("run-2", PodPhase.PENDING, reason="Unschedulable")
        bench.runs.clock.advance(timedelta(seconds=61))

        tended = bench.tend()

        assert (tended.decision, tended.run.status.phase) == (Over(), Phase.FAILED)
        assert (tended.run.status.error or "").startswith("deadline: it had to be over by ")
        assert bench.pods.ended == ["run-2"]
        assert bench.reasons()[-1] == "DeadlinePassed"

    @pytest.mark.parametrize("tended_before", [True, False])
    def test_ends_a_run_past_its_deadline_that_no_pod_ever_began(self, tended_before: bool):
        """Nothing is recorded of it: its time counts from its creation."""
        bench = hurried(born=FrozenClock().now())
        if tended_before:
            bench.tend()
        bench.runs.clock.advance(timedelta(seconds=61))

        tended = bench.tend()

        assert (tended.decision, tended.run.status.phase) == (Over(), Phase.FAILED)
        assert (tended.run.status.error or "").startswith("deadline: it had to be over by ")
        assert bench.pods.ended == [pod.name for pod in bench.pods.orders]
        assert len(bench.pods.orders) == tended_before

    def test_ends_a_run_past_its_deadline_that_its_lost_pod_still_holds(self):
        bench = hurried()
        bench.tend()
        bench.work(dies_at=12)
        bench.runs.clock.advance(timedelta(seconds=31))
        bench.runs.store.take("run", owner="pod/run-1", for_s=3600)
        bench.pods.vanish("run-1")
        bench.runs.clock.advance(timedelta(seconds=61))

        tended = bench.tend()

        assert (tended.run.status.error or "").startswith("deadline: ")

    def test_leaves_a_run_past_its_deadline_to_its_pod_that_has_just_begun(self):
        """It was looked at a moment before; that pod is not taken for dead, and ends the run itself."""
        bench = hurried()
        bench.tend()
        bench.work(dies_at=12)
        bench.tend()
        bench.runs.clock.advance(timedelta(seconds=61))
        bench.runs.store.take("run", owner="pod/run-2", for_s=30)

        tended = bench.tend()

        assert isinstance(tended.decision, WaitForPod)
        assert "pod/run-2" in tended.decision.detail
        assert (bench.pods.ended, bench.runs.store.dead) == ([], {"pod/run-1"})

    def test_obeys_an_order_to_end_without_a_pod(self):
        bench = Bench()
        bench.runs.store.post("run", RunWord(id="w", at=bench.runs.clock.now(), by="ann", cancels=True, text="no"))

        tended = bench.tend()

        assert (tended.decision, tended.run.status.error) == (Over(), "cancelled by ann: no")
        assert bench.pods.orders == []

    def test_ends_a_pod_that_has_not_begun_what_is_over(self):
        bench = Bench()
        bench.tend()
        bench.launcher().recorder.abandon("run", "not needed")

        bench.tend()

        assert bench.pods.ended == ["run-1"]


class TestCancel:
    def order(self, bench: Bench) -> None:
        word = RunWord(id="w", at=bench.runs.clock.now(), by="ann", cancels=True, text="not needed")
        bench.runs.store.post("run", word)

    def test_ends_a_run_that_no_pod_works_on(self):
        bench = Bench()
        self.order(bench)

        seen = bench.launcher().cancel("run")

        assert (seen.run.status.phase, seen.run.status.error) == (Phase.FAILED, "cancelled by ann: not needed")

    def test_ends_the_pod_and_takes_the_run_from_it_if_it_does_not_let_go(self):
        bench = Bench()
        bench.tend()
        bench.pods.become("run-1", PodPhase.RUNNING)
        lease = bench.runs.store.take("run", owner="pod/run-1", for_s=30)
        self.order(bench)

        seen = bench.launcher().cancel("run")

        assert bench.pods.ended == ["run-1"]
        assert seen.run.status.phase is Phase.FAILED
        with pytest.raises(PermanentError):
            bench.runs.store.save(lease, RUN)

    def test_takes_no_run_from_a_pod_that_lets_go_of_it_in_good_order(self):
        """It records what it was doing first: a call of unknown fate is asked of a person."""
        bench = Bench()
        bench.tend()
        bench.pods.become("run-1", PodPhase.RUNNING)
        lease = bench.runs.store.take("run", owner="pod/run-1", for_s=30)
        self.order(bench)

        def let_go(_: float) -> None:
            bench.runs.store.save(lease, RUN)
            bench.runs.store.release(lease)

        seen = replace(bench.launcher(), sleep_s=let_go).cancel("run")

        assert seen.run.status.phase is Phase.FAILED
        assert bench.runs.store.dead == set()

    def test_leaves_the_order_to_a_process_elsewhere(self):
        bench = Bench()
        bench.runs.store.take("run", owner="laptop", for_s=30)
        self.order(bench)

        seen = bench.launcher().cancel("run")

        assert not seen.run.status.phase.is_terminal
        assert [word.cancels for word in bench.runs.store.words("run")] == [True]
