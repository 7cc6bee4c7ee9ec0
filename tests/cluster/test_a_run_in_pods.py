"""A TaskRun as a pod answers as it does here, by an agent whose bundle came out of the cluster."""

import pytest
import yaml
from pydantic import JsonValue

from goldgate.domain.errors import PermanentError
from tests.cluster.tending import Tended
from tests.cluster.world import AGENT, ANSWER, Place, pod_settings
from tests.waiting import until


class TestARun:
    @pytest.mark.parametrize("name", ["r1", "r1-" + "long" * 15], ids=["short", "long"])
    def test_is_answered_by_one_pod_that_acts_once(self, place: Place, name: str):
        told = Tended(place, name).begin().over()

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

    def test_ends_by_its_deadline_though_its_pod_may_yet_start(self, place: Place):
        """By what the pods of this test may take to start, it would be five minutes late."""
        spec = pod_settings(place.cluster, place.world)
        spec["spec"]["resources"]["requests"]["cpu"] = "1000"
        place.settings_file.write_text(yaml.safe_dump(spec))
        asked: dict[str, JsonValue] = {"agent": AGENT, "user_message": "Book the blue room.", "deadline_s": 5}

        told = Tended(place, "r1", spec=asked).begin().over(within_s=120)

        assert told["phase"] == "Failed"
        assert told["reason"].startswith("deadline: it had to be over by ")
        until(lambda: place.cluster.kubectl("get", "pods", "-o", "name") == "")
