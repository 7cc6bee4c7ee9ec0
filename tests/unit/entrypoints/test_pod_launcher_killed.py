"""Launchers and pods that are killed anywhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldgate.domain.runs.state import Phase
from tests.fakes.launched_runs import Bench
from tests.fakes.mortal_runs import KilledError, Life


def assert_ends_well(bench: Bench) -> None:
    for _ in range(10):
        tended = bench.tend()
        if tended.run.status.phase.is_terminal:
            break
        assert sum(pod.is_alive for pod in bench.pods.pods.values()) == 1
        bench.work()
    assert bench.recorded().status.phase is Phase.FINAL_ANSWER
    assert max(bench.runs.world.effects.values()) == 1


class TestALauncherThatIsKilled:
    """It dies before and after everything that it writes; the next one knows only what stands in the cluster."""

    @pytest.mark.parametrize("point", range(20))
    def test_makes_no_second_pod_and_loses_nothing(self, point):
        bench = Bench()

        self.killed(bench, point)

        assert_ends_well(bench)
        assert len(bench.pods.orders) == 1

    @pytest.mark.parametrize("point", range(30))
    def test_replaces_a_lost_pod_once(self, point):
        bench = Bench()
        bench.tend()
        bench.work(dies_at=12)
        bench.pods.vanish("run-1")

        self.killed(bench, point)

        assert_ends_well(bench)
        assert [order.name for order in bench.pods.orders] == ["run-1", "run-2"]
        assert bench.counts.counts["run"].lost == 1
        assert bench.reasons().count("PodLost") == 1

    def test_leaves_a_pod_to_the_next_that_knows_by_then_that_it_was_there(self):
        """Made, and not noted: if the next one did not note it either, a pod that vanished would be made again."""
        bench = Bench()
        self.killed(bench, 3)
        seen = list(bench.pods.pods)
        bench.tend()
        bench.pods.vanish("run-1")

        tended = bench.tend()

        assert seen == ["run-1"]
        assert tended.pod == "run-2"

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, 25), max_size=5), st.lists(st.integers(0, 25), max_size=3))
    def test_beside_pods_that_are_killed_still_comes_to_the_same_end(self, launcher_deaths, pod_deaths):
        bench = Bench()
        for dies_at in launcher_deaths:
            self.killed(bench, dies_at)
        for dies_at in pod_deaths:
            bench.tend()
            if not bench.recorded().status.phase.is_terminal:
                bench.work(dies_at=dies_at)

        assert_ends_well(bench)

    def killed(self, bench: Bench, point: int) -> None:
        life = Life("doomed", dies_at=point)
        try:
            bench.launcher(life).tend("run")
        except KilledError:
            bench.runs.store.dead.add(life.owner)
