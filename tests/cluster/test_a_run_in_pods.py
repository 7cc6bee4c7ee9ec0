"""A TaskRun as a pod answers as it does here, by an agent whose bundle came out of the cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.tending import Tended, settings_of
from tests.cluster.world import ANSWER, Place, World, settle


@pytest.fixture
def place(cluster: ClusterUnderTest, tmp_path: Path) -> Iterator[Place]:
    world = World(cluster.host)
    place = settle(cluster, world, tmp_path)
    with settings_of(place):
        yield place
    world.close()


class TestARun:
    def test_is_answered_by_one_pod_that_acts_once(self, place: Place):
        told = Tended(place, "r1").begin().over()

        assert (told["phase"], told["output"]) == ("FinalAnswer", ANSWER)
        assert len(place.world.booked) == 1
