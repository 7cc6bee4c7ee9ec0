"""The steps of TaskRuns that work as pods, with an agent, a model and a tool that acts."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints import pod_tasks
from goldgate.entrypoints.run_tasks import look_at_task
from tests.cluster.tending import Tended
from tests.cluster.world import AGENT, ANSWER, Place
from tests.waiting import until

SPEC: dict[str, Any] = {"agent": AGENT, "user_message": "Book the blue room."}


def tend(place: Place, name: str, spec: dict[str, Any] | None = SPEC) -> dict[str, Any]:
    return pod_tasks.tend_task(name, spec, place.access)


def tended_until(place: Place, name: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    told: list[dict[str, Any]] = []

    def now() -> bool:
        told.append(tend(place, name))
        return is_so(told[-1])

    until(now, within_s=120)
    return told[-1]


def pods_of(place: Place, name: str) -> list[str]:
    return place.cluster.kubectl("get", "pods", "-l", f"goldgate.dev/task-run={name}", "-o", "name").split()


class TestTendTask:
    def test_takes_a_run_to_its_end_and_tells_what_its_record_says(self, place: Place):
        first = tend(place, "r1")

        over = tended_until(place, "r1", lambda told: told["waits_for"] == "")

        assert (first["waits_for"], first["pod"]) == ("pod", "r1-1")
        assert (over["phase"], over["output"], over["name"]) == ("FinalAnswer", ANSWER, "r1")
        assert len(place.world.booked) == 1
        assert json.loads(json.dumps(over)) == over
        label = "jsonpath={.metadata.labels.goldgate\\.dev/tended-by}"
        assert place.cluster.kubectl("get", "taskrun", "r1", "-o", label) == "airflow"

    def test_waits_for_an_agent_without_a_pod_and_goes_on_when_it_is_there(self, place: Place):
        llm = place.cluster.kubectl("get", "llm", "model", "-o", "json")
        place.cluster.kubectl("delete", "llm", "model")

        waiting = tend(place, "r1")
        before = pods_of(place, "r1")
        place.cluster.kubectl("apply", "-f", "-", stdin=llm)
        over = tended_until(place, "r1", lambda told: told["waits_for"] == "")

        assert (waiting["waits_for"], waiting["phase"]) == ("agent", "Pending")
        assert "LLM `model`" in waiting["reason"]
        assert before == []
        assert over["output"] == ANSWER

    def test_works_on_a_run_that_somebody_applied(self, place: Place):
        run = {
            "apiVersion": "goldgate.dev/v1alpha1",
            "kind": "TaskRun",
            "metadata": {"name": "applied"},
            "spec": {"agentRef": AGENT, "userMessage": "Book the blue room."},
        }
        place.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(run))
        untended = pod_tasks.applied_now(place.access)

        tend(place, "applied", None)

        assert [each["name"] for each in untended] == ["applied"]
        assert pod_tasks.applied_now(place.access) == []
        assert Tended(place, "applied", spec=SPEC).begin().over()["output"] == ANSWER

    def test_says_that_the_server_cannot_be_reached_and_loses_nothing(self, place: Place):
        access = place.access.__class__(server="https://127.0.0.1:9", token="t", namespace=place.cluster.namespace)

        with pytest.raises(TransientError, match="refused the connection"):
            pod_tasks.tend_task("r1", SPEC, access)

        assert tend(place, "r1")["pod"] == "r1-1"

    @pytest.mark.parametrize("asked", [[], ["r1-0"]])
    def test_makes_no_run_anew_that_was_deleted_while_it_waited(self, place: Place, asked: list[str]):
        """Woken, not failed: Airflow would try a task that failed again from its beginning, which makes the run."""
        woken = look_at_task("r1", asked, access=place.access)

        assert (woken["decision"], woken["is_over"]) == ("go_on", True)
        with pytest.raises(PermanentError, match="Found no TaskRun `r1`"):
            tend(place, "r1", None)


class TestCancelTask:
    def test_ends_a_run_in_the_middle_of_a_call_and_its_pod(self, place: Place):
        with place.world.booking.held():
            tend(place, "r1")
            place.world.booking.await_one()

            told = pod_tasks.cancel_task("r1", "not needed", "ann", place.access)

            assert (told["phase"], told["reason"]) == ("Failed", "cancelled by ann: not needed")
            assert tend(place, "r1")["waits_for"] == ""
            until(lambda: pods_of(place, "r1") == [], within_s=60)

    def test_ends_a_run_beside_whose_order_to_end_nonsense_stands(self, place: Place):
        with place.world.booking.held():
            tend(place, "r1")
            place.world.booking.await_one()
            word = "goldgate.dev/word-"
            for nonsense in ("1={", f"2={'x' * 100_001}"):
                place.cluster.kubectl("annotate", "taskrun", "r1", word + nonsense)

            told = pod_tasks.cancel_task("r1", "not needed", "ann", place.access)

        assert (told["phase"], told["reason"]) == ("Failed", "cancelled by ann: not needed")
        reasons = ("get", "events", "-o", "jsonpath={.items[*].reason}")
        until(lambda: place.cluster.kubectl(*reasons).split().count("WordSetAside") == 2)

    def test_leaves_a_run_that_is_over_as_it_is(self, place: Place):
        Tended(place, "r1", spec=SPEC).begin().over()

        told = pod_tasks.cancel_task("r1", "not needed", "ann", place.access)

        assert (told["phase"], told["output"]) == ("FinalAnswer", ANSWER)

    def test_ends_a_run_that_has_no_pod_yet(self, place: Place):
        place.cluster.kubectl("delete", "agent", AGENT)
        tend(place, "r1")

        told = pod_tasks.cancel_task("r1", "not needed", "ann", place.access)

        assert told["phase"] == "Failed"
        assert pods_of(place, "r1") == []


class TestTwoLaunchers:
    def test_beside_each_other_have_one_pod_work_and_its_tool_act_once(self, place: Place):
        told: list[dict[str, Any]] = []
        threads = [threading.Thread(target=lambda: told.append(tend(place, "r1"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        over = Tended(place, "r1", spec=SPEC).begin().over()

        assert len(told) == 4
        assert over["output"] == ANSWER
        assert len(place.world.booked) == 1
        assert over["pod"] == "r1-1"
