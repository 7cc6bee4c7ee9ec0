"""The store of TaskRuns in a cluster, where no API server is needed; `tests/cluster` has the rest."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.task_runs import ClusterTaskRunStore
from goldgate.contracts.cluster import ROOT_LABEL, WORD_ANNOTATION
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.task_runs import Lease
from tests.contracts.test_task_run_store_port import run
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.scripted_api_server import as_json, cluster_that, cut, refused


class Waiting:
    """A patience of a minute that costs no time."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.patience = Patience(within_s=60, sleep_s=self.wait, monotonic_s=lambda: self.waited_s)

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def store(waiting: Waiting) -> ClusterTaskRunStore:
    return ClusterTaskRunStore(cluster_that(cut), clock=FrozenClock(), patience=waiting.patience)


class TestWhoWorksOnARun:
    def test_does_not_listen_long_to_an_api_server_that_is_away(self, store: ClusterTaskRunStore, waiting: Waiting):
        with pytest.raises(TransientError):
            store.words("run")

        assert waiting.waited_s <= 5

    def test_holds_a_run_that_it_took_though_the_answer_was_lost(self, waiting: Waiting):
        before = FrozenClock().now() - timedelta(seconds=100)
        stands: dict[str, Any] = {"held": {"holder": "", "epoch": 4, "renewTime": before.isoformat()}}

        def answers(request: httpx2.Request) -> httpx2.Response:
            if request.method == "GET":
                metadata = {"name": "run", "uid": "u", "resourceVersion": "7"}
                return as_json({"metadata": metadata, "status": stands})
            if stands["held"]["holder"]:
                return refused(422, "the server rejected our request due to an error in our request")
            stands["held"] = json.loads(request.content)[-1]["value"]
            return cut(request)

        store = ClusterTaskRunStore(cluster_that(answers), clock=FrozenClock(), patience=waiting.patience)

        lease = store.take("run", owner="pod/run-1", for_s=30)

        assert lease == Lease(run="run", owner="pod/run-1", epoch=5)
        assert lease.last_renewed == before

    def test_waits_for_one_that_restarts_with_all_else(self, store: ClusterTaskRunStore, waiting: Waiting):
        with pytest.raises(TransientError):
            store.read("run")

        assert waiting.waited_s > 50


class TestWhatIsNoWord:
    def test_is_told_once_however_often_the_run_is_looked_at(self):
        posted: list[dict[str, Any]] = []

        def answers(request: httpx2.Request) -> httpx2.Response:
            if request.method == "POST":
                posted.append(json.loads(request.content))
                return as_json({"metadata": {"name": "told"}})
            annotations = {f"{WORD_ANNOTATION}1": "{", f"{WORD_ANNOTATION}2": "x" * 200_000}
            return as_json({"metadata": {"name": "run", "uid": "u", "annotations": annotations}})

        store = ClusterTaskRunStore(cluster_that(answers), clock=FrozenClock())

        heard = [store.words("run") for _ in range(3)]
        store.close()

        assert heard == [[]] * 3
        assert [event["reason"] for event in posted] == ["WordSetAside"] * 2
        assert [event["type"] for event in posted] == ["Warning"] * 2
        assert {event["involvedObject"]["uid"] for event in posted} == {"u"}
        assert len({event["metadata"]["name"] for event in posted}) == 2
        assert "remove the annotation" in posted[0]["message"]


def has_one_of_a_pod_of_ask(request: httpx2.Request) -> httpx2.Response:
    """Answer as a server that has run `r1`, which a pod of run `ask` made and answered."""
    if request.method == "POST":
        return refused(409, 'taskruns.goldgate.dev "r1" already exists')
    made = run(detail="forged").model_dump(mode="json", by_alias=True, exclude_none=True)
    return as_json({**made, "metadata": {"name": "r1", "uid": "u", "labels": {ROOT_LABEL: "ask"}}})


class TestARunThatAPodMade:
    """Whoever knows how a run will be called could else have its answer ready before it is asked."""

    def test_is_taken_for_its_own_by_that_pod(self):
        pod = replace(cluster_that(has_one_of_a_pod_of_ask), labels={ROOT_LABEL: "ask"})

        found = ClusterTaskRunStore(pod, clock=FrozenClock()).create(run())

        assert found.status.status_detail == "forged"

    @pytest.mark.parametrize("labels", [{}, {ROOT_LABEL: "other"}])
    def test_is_taken_for_its_own_by_nobody_else(self, labels: dict[str, str]):
        another = replace(cluster_that(has_one_of_a_pod_of_ask), labels=labels)

        with pytest.raises(PermanentError, match="a pod of run `ask`"):
            ClusterTaskRunStore(another, clock=FrozenClock()).create(run())
