"""A TaskRun as a pod answers as it does here, by an agent whose bundle came out of the cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from goldgate.domain.errors import PermanentError
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

    @pytest.mark.parametrize("how", ["background", "foreground"])
    def test_that_is_deleted_while_it_acts_acts_in_no_other_pod(self, place: Place, how: str):
        with place.world.booking.held():
            tended = Tended(place, "r1").begin()
            place.world.booking.await_one()
            place.cluster.kubectl("delete", "taskrun", "r1", f"--cascade={how}")

            with pytest.raises(PermanentError, match=r"`r1`"):
                tended.over()

        assert len(place.world.booked) == 1
        assert place.cluster.kubectl("get", "taskruns", "-o", "name") == ""
