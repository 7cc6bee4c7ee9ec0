"""What evaluations in pods leave behind goes, and what somebody may wait for stays."""

from datetime import timedelta
from pathlib import Path

import pytest

from goldgate.domain.errors import TransientError
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.entrypoints.evaluation_leftovers import LEFT_AFTER
from goldgate.ports.pods import PodOrder
from tests.fakes.working_pods import Bench, WorkingPods, cannot_be_reached


class TestLeftovers:
    def left(self, tmp_path: Path, *, phase: PodPhase, after: timedelta) -> Bench:
        """Leave an evaluation behind whose worker was killed."""

        def is_made_and_seen_no_more(pods: WorkingPods, pod: PodOrder) -> PodFacts:
            pods.there[pod.name] = PodFacts(name=pod.name, phase=phase, age_s=after.total_seconds())
            raise TransientError("The API server does not answer.")

        bench = Bench(tmp_path, fates=[is_made_and_seen_no_more])
        with pytest.raises(TransientError):
            bench.ask("killed")
        bench.clock.advance(after)
        return bench

    def test_of_a_worker_that_never_came_back_go_with_the_next_evaluation_a_day_later(self, tmp_path):
        bench = self.left(tmp_path, phase=PodPhase.ENDED, after=LEFT_AFTER + timedelta(seconds=1))

        bench.ask("another")

        assert bench.pods.there == {}
        assert bench.parts.texts == {}

    @pytest.mark.parametrize(
        ("phase", "after"),
        [(PodPhase.ENDED, timedelta(hours=23)), (PodPhase.RUNNING, LEFT_AFTER + timedelta(seconds=1))],
    )
    def test_stay_while_somebody_may_wait_for_them(self, tmp_path, phase, after):
        bench = self.left(tmp_path, phase=phase, after=after)
        uses = bench.parts.uses()

        bench.ask("another")

        assert len(bench.pods.there) == 1
        assert bench.parts.uses() == uses

    def test_of_one_that_nobody_wants_go_at_once_and_no_other(self, tmp_path):
        bench = self.left(tmp_path, phase=PodPhase.RUNNING, after=timedelta())

        bench.leftovers.forget("another")
        kept = len(bench.pods.there), len(bench.parts.texts)
        bench.leftovers.forget("killed")

        assert kept == (1, 4)
        assert bench.pods.there == {}
        assert bench.parts.texts == {}

    def test_that_cannot_be_removed_keep_nobody_from_evaluating(self, tmp_path):
        bench = Bench(tmp_path)
        bench.pods.labelled = cannot_be_reached

        assert len(bench.ask()["candidate"]) == 6
