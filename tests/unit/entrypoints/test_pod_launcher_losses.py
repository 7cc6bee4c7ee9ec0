"""What follows a pod that was lost, drained, or did nothing."""

from dataclasses import replace
from datetime import timedelta

from goldgate.domain.runs.launching import Follow, Over
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.domain.runs.state import Phase
from goldgate.ports.pods import PodOrder
from tests.fakes.in_memory_pods import InMemoryPods
from tests.fakes.launched_runs import SPEC, Bench


class TestTendAfterAPod:
    def test_has_another_pod_go_on_where_one_was_lost(self):
        bench = Bench()
        bench.tend()
        bench.work(dies_at=12)
        bench.pods.vanish("run-1")

        tended = bench.tend()
        bench.work()

        assert (tended.decision, tended.pod) == (Follow(), "run-2")
        assert bench.recorded().status.phase is Phase.FINAL_ANSWER
        assert "PodLost" in bench.reasons()
        assert max(bench.runs.world.effects.values()) == 1

    def test_counts_no_loss_where_pods_are_drained_as_often_as_may_be(self):
        bench = Bench()
        for _ in range(6):
            bench.tend()
            bench.drain()

        tended = bench.tend()

        assert tended.pod == "run-7"
        assert bench.counts.counts["run"].lost == 0
        assert "PodLost" not in bench.reasons()

    def test_gives_up_on_pods_that_do_nothing_whatever_is_noted_of_them(self):
        """Taking back a lease is recorded too, and is no sign that the pod did anything."""
        bench = Bench()
        bench.counts.after_move = lambda: bench.runs.clock.advance(timedelta(milliseconds=1))
        bench.tend()
        bench.work(dies_at=12)
        for _ in range(30):
            tended = bench.tend()
            bench.runs.clock.advance(timedelta(seconds=1))
            if tended.run.status.phase.is_terminal:
                break
            bench.runs.store.release(bench.runs.store.take("run", owner="pod/run-9", for_s=5))
            bench.pods.become(tended.pod, PodPhase.ENDED, exit_code=75)

        assert "none recorded anything" in (tended.run.status.error or "")

    def test_gives_up_on_pods_that_do_nothing_though_each_was_slow_to_begin(self):
        """What keeps a pod from starting is told of each, and is no sign that it did anything."""
        bench = Bench()
        for _ in range(30):
            tended = bench.tend()
            if tended.run.status.phase.is_terminal:
                break
            bench.runs.clock.advance(timedelta(seconds=1))
            bench.pods.become(tended.pod, PodPhase.PENDING, reason="Unschedulable")
            bench.tend()
            bench.runs.clock.advance(timedelta(seconds=1))
            bench.pods.become(tended.pod, PodPhase.ENDED, exit_code=75)

        assert "none recorded anything" in (tended.run.status.error or "")

    def test_ends_the_run_after_too_many_losses_with_what_to_do(self):
        bench = Bench()
        for _ in range(4):
            bench.tend()
            bench.pods.vanish(bench.pods.orders[-1].name)

        tended = bench.tend()

        assert tended.decision == Over()
        assert (tended.run.status.error or "").startswith("pod: Pod `run-4` vanished")
        assert "maxLosses" in (tended.run.status.error or "")

    def test_takes_the_run_from_the_last_pod_that_it_may_lose(self):
        bench = Bench(spec=SPEC.model_copy(update={"max_losses": 0}))
        bench.tend()
        bench.work(dies_at=12)
        bench.pods.vanish("run-1")

        tended = bench.tend()

        assert "vanished" in (tended.run.status.error or "")

    def test_reads_the_record_after_the_pod_which_may_just_have_come_to_its_end(self):
        """The other way round a pod that ended in between is taken for lost."""
        bench = Bench()
        bench.tend()
        bench.pods.before_look = bench.work

        tended = bench.tend()

        assert tended.decision == Over()
        assert bench.counts.counts["run"].lost == 0

    def test_leaves_no_pod_that_it_made_after_another_launcher_had_seen_it_come_and_go(self):
        bench = Bench()
        slow = bench.launcher()

        class Slow(InMemoryPods):
            def launch(self, order: PodOrder) -> None:
                bench.tend()
                bench.pods.vanish("run-1")
                bench.tend()
                bench.pods.launch(order)

            def look(self, name: str, *, run_uid: str) -> PodFacts | None:
                return bench.pods.look(name, run_uid=run_uid)

            def end(self, name: str) -> None:
                bench.pods.end(name)

        tended = replace(slow, pods=Slow()).tend("run")

        assert (tended.decision, tended.pod) == (Follow(), "run-2")
        assert list(bench.pods.pods) == ["run-2"]

    def test_does_not_fail_a_run_for_which_another_launcher_has_made_a_pod_meanwhile(self):
        bench = Bench(spec=SPEC.model_copy(update={"max_losses": 0}))
        bench.tend()
        bench.pods.become("run-1", PodPhase.ENDED, exit_code=75)
        bench.pods.before_look = bench.tend

        tended = bench.tend()

        assert tended.decision == Follow()
        assert [order.name for order in bench.pods.orders] == ["run-1", "run-2"]

    def test_ends_a_run_whose_record_has_no_room_for_what_became_of_its_pod(self):
        bench = Bench()
        bench.tend()
        bench.work(dies_at=12)
        bench.pods.vanish("run-1")
        bench.runs.store.most_bytes = len(bench.recorded().status.model_dump_json())

        tended = bench.tend()

        assert (tended.decision, tended.run.status.phase) == (Over(), Phase.FAILED)
        assert (tended.run.status.error or "").startswith("record: it would take ")
