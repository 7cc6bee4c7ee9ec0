"""What a run waits for without a pod at work."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.runs.launching import AskPerson, Follow, Over, WaitForAgent, WaitForPod
from goldgate.domain.runs.state import Phase
from goldgate.ports.pods import QuotaExceededError
from tests.fakes.launched_runs import ASKING, Bench
from tests.fakes.mortal_runs import Life


class TestTendOfARunThatWaits:
    def test_asks_nothing_of_the_cluster_while_a_person_has_the_word(self):
        bench = Bench(plans=ASKING)
        bench.tend()
        bench.work()

        first, second = bench.tend(), bench.tend()

        assert (first.decision, second.decision) == (AskPerson(), AskPerson())
        assert bench.pods.pods == {}
        assert len(bench.pods.orders) == 1

    def test_goes_on_in_another_pod_once_the_person_has_spoken_and_counts_no_loss(self):
        bench = Bench(plans=ASKING)
        bench.tend()
        bench.work()
        bench.tend()
        bench.runs.answer_all()

        tended = bench.tend()
        bench.work()

        assert tended.pod == "run-2"
        assert bench.counts.counts["run"].lost == 0
        assert bench.recorded().status.phase is Phase.FINAL_ANSWER

    def test_makes_no_pod_that_another_launcher_has_counted_made_and_removed_meanwhile(self):
        bench = Bench(plans=ASKING)
        bench.tend()
        bench.pods.vanish("run-1")
        others = iter([True])

        def needs(agent: str, run: TaskRun) -> Mapping[EnvName, FromEnv]:
            if next(others, False):
                bench.tend()
                bench.work()
                bench.tend()
            return bench.needs(agent, run)

        tended = replace(bench.launcher(), needs=needs).tend("run")

        assert tended.decision == AskPerson()
        assert [order.name for order in bench.pods.orders] == ["run-1", "run-2"]

    def test_waits_for_an_agent_that_is_missing_without_a_pod_and_goes_on_by_itself(self):
        bench = Bench()
        bench.missing = "Found no Agent"

        waiting = [bench.tend() for _ in range(3)]

        assert [each.decision for each in waiting] == [WaitForAgent()] * 3
        assert waiting[0].run.status.phase is Phase.PENDING
        assert waiting[0].run.status.status_detail == "Waiting for the agent: Found no Agent `main`"
        assert bench.reasons().count("Waiting") == 1
        assert bench.pods.orders == []
        known = Life("launcher")
        bench.launcher(known).tend("run")
        assert known.points == 0, "what is recorded already is written again"
        bench.missing = None
        assert bench.tend().decision == Follow()

    def test_waits_for_room_and_then_fails(self):
        bench = Bench()
        bench.pods.refuses = QuotaExceededError("exceeded quota: pods")

        waiting = bench.tend()
        bench.runs.clock.advance(timedelta(seconds=300))
        failed = bench.tend()

        assert isinstance(waiting.decision, WaitForPod)
        assert "exceeded quota: pods" in waiting.decision.detail
        assert bench.reasons() == ["PodWaiting", "Abandoned"]
        assert (failed.decision, failed.run.status.phase) == (Over(), Phase.FAILED)
        assert "exceeded quota: pods" in (failed.run.status.error or "")

    def test_takes_no_pod_for_dead_that_another_launcher_found_room_for(self):
        """It is told that there is no room, and while it gives up the other one's pod begins."""
        bench = Bench()
        bench.pods.refuses = QuotaExceededError("exceeded quota: pods")
        bench.tend()
        bench.runs.clock.advance(timedelta(seconds=300))
        bench.runs.store.take("run", owner="pod/run-1", for_s=30)

        tended = bench.tend()

        assert isinstance(tended.decision, Follow)
        assert not tended.run.status.phase.is_terminal
        assert "pod/run-1" not in bench.runs.store.dead

    def test_makes_the_pod_once_there_is_room(self):
        bench = Bench()
        bench.pods.refuses = QuotaExceededError("exceeded quota: pods")
        bench.tend()
        bench.pods.refuses = None

        tended = bench.tend()

        assert (tended.decision, tended.pod) == (Follow(), "run-1")

    def test_leaves_a_run_to_a_process_elsewhere_that_works_on_it(self):
        bench = Bench()
        bench.tend()
        bench.pods.vanish("run-1")
        bench.runs.store.take("run", owner="laptop", for_s=30)

        tended = bench.tend()

        assert isinstance(tended.decision, WaitForPod)
        assert "laptop" in tended.decision.detail
        assert len(bench.pods.orders) == 1
