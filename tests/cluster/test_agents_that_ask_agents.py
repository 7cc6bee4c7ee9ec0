"""An agent in a pod asks another: that is a TaskRun of its own, worked on by the same pod, whatever becomes of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.tending import Tended, settings_of
from tests.cluster.world import AGENT, ANSWER, Place, World, bring_asking_agent, settle
from tests.waiting import until

ASKS = {"agent": "boss", "user_message": "Have the blue room booked."}


@pytest.fixture
def place(cluster: ClusterUnderTest, tmp_path: Path) -> Iterator[Place]:
    world = World(cluster.host)
    place = settle(cluster, world, tmp_path)
    bring_asking_agent(place, "boss", asks=AGENT)
    with settings_of(place):
        yield place
    world.close()


def runs_below(place: Place) -> list[Any]:
    found = json.loads(place.cluster.kubectl("get", "taskruns", "-o", "json"))["items"]
    return [run for run in found if run["spec"].get("depth")]


class TestARunThatAsksAnother:
    def test_is_answered_by_it_in_one_pod(self, place: Place):
        told = Tended(place, "r1", spec=ASKS).begin().over()

        assert (told["phase"], told["output"]) == ("FinalAnswer", ANSWER)
        [below] = runs_below(place)
        assert below["status"]["phase"] == "FinalAnswer"
        assert [owner["name"] for owner in below["metadata"]["ownerReferences"]] == ["r1"]
        assert len(place.world.booked) == 1
        assert place.world.model_calls == 4

    def test_goes_on_with_the_same_in_the_next_pod(self, place: Place):
        with place.world.booking.held():
            tended = Tended(place, "r1", spec=ASKS).begin()
            place.world.booking.await_one()
            place.cluster.kubectl("delete", "pod", "r1-1", "--grace-period=0", "--force")
            place.world.booking.await_one()

        assert tended.over()["phase"] == "FinalAnswer"
        assert len(runs_below(place)) == 1
        assert (len(place.world.booked), len(set(place.world.booked))) == (2, 1)

    def test_takes_it_along_when_it_is_deleted(self, place: Place):
        with place.world.booking.held():
            Tended(place, "r1", spec=ASKS).begin()
            place.world.booking.await_one()

            place.cluster.kubectl("delete", "taskrun", "r1")

            until(lambda: runs_below(place) == [])
