"""A TaskRun as a pod answers as it does here, by an agent whose bundle came out of the cluster."""

import pytest

from goldgate.domain.errors import PermanentError
from tests.cluster.tending import Tended
from tests.cluster.world import ANSWER, Place


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
