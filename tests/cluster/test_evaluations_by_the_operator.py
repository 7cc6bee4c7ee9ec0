"""Gold sets that pods ask for whoever has the token of Airflow, where the admission policies hold."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from goldgate.domain.errors import TransientError
from tests.cluster.bearers import Deployed, access_of
from tests.cluster.evaluating import Evaluations
from tests.cluster.tending import settings_of
from tests.cluster.world import World, settle
from tests.waiting import until


@pytest.fixture
def evaluations(deployed: Deployed, tmp_path: Path) -> Iterator[Evaluations]:
    """What asks gold sets as the operator, and asks the API server for nothing as anybody else."""
    world = World(deployed.host)
    settled = settle(deployed, world, tmp_path)
    with settings_of(settled), ThreadPoolExecutor(1) as threads:
        yield Evaluations(replace(settled, access=access_of(deployed, "goldgate-operator")), threads)
    world.close()


class TestEvaluationsByTheOperator:
    def test_have_every_answer_and_leave_nothing_behind(self, evaluations: Evaluations):
        found = evaluations.begin("whole").result(timeout=240)["champion"]

        assert len(found) == 6
        assert {row.error for row in found} == {None}
        assert evaluations.parts() == set()
        until(lambda: not evaluations.pods_of("whole"))

    def test_are_asked_again_when_their_pod_and_what_it_was_given_are_gone(self, evaluations: Evaluations):
        asked = evaluations.begin_and_lose("lost")

        assert len(asked.result(timeout=240)["champion"]) == 6

    def test_say_which_image_the_namespace_does_not_list(self, evaluations: Evaluations):
        evaluations.change_pods(image="registry.example.com/another", startWithinSeconds=1)

        with pytest.raises(TransientError, match=r"image registry\.example\.com/another may not run in namespace"):
            evaluations.begin("foreign").result(timeout=120)
