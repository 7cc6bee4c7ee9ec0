import json
from datetime import UTC, datetime

import httpx2
import pytest

from goldgate.adapters.cluster.launch_counts import ClusterLaunchCounts, launches_in, written
from goldgate.contracts.cluster import POD_ANNOTATION, PODS_ANNOTATION, WORD_ANNOTATION
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.pods import Launches
from goldgate.ports.pods import Counted
from tests.fakes.scripted_api_server import as_json, cluster_that, refused

AT = datetime(2026, 1, 1, tzinfo=UTC)
WRITTEN = {"uid": "u", "resourceVersion": "8"}


class TestMove:
    @pytest.mark.parametrize("is_first", [True, False])
    def test_shows_people_the_latest_pod(self, is_first: bool):
        """A column of `kubectl get` cannot look into JSON."""
        before, asked = Launches() if is_first else Launches().next("ask", now=AT), []

        def answer(request: httpx2.Request) -> httpx2.Response:
            asked.extend(json.loads(request.content))
            return httpx2.Response(200, json={"metadata": WRITTEN})

        mark = None if is_first else written(before)
        counted = Counted(uid="u", launches=before, version="1", mark=mark, has_annotations=not is_first)
        ClusterLaunchCounts(cluster_that(answer)).move("ask", counted=counted, to=before.next("ask", now=AT))

        pod = "ask-1" if is_first else "ask-2"
        assert {"op": "add", "path": "/metadata/annotations/goldgate.dev~1pod", "value": pod} in asked

    def test_of_a_run_without_a_count_fails_after_anything_else_was_written(self):
        """There is no count yet to compare: two launchers would both write the first."""
        asked: list[dict[str, object]] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            asked.extend(json.loads(request.content))
            return httpx2.Response(200, json={"metadata": WRITTEN})

        counted = Counted(uid="u", launches=Launches(), version="7", mark=None, has_annotations=False)
        ClusterLaunchCounts(cluster_that(answer)).move("ask", counted=counted, to=Launches().next("ask", now=AT))

        assert asked[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}

    @pytest.mark.parametrize("is_ours", [True, False])
    def test_knows_its_own_count_though_the_answer_was_lost(self, is_ours: bool):
        to = Launches().next("ask", now=AT)
        stands = written(to if is_ours else Launches().next("ask", now=AT, lost=1))

        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.method == "PATCH":
                return refused(422, "the server rejected our request due to an error in our request")
            return as_json({"metadata": {"uid": "u", "resourceVersion": "8", "annotations": {PODS_ANNOTATION: stands}}})

        counted = Counted(uid="u", launches=Launches(), version="7", mark=None, has_annotations=False)

        moved = ClusterLaunchCounts(cluster_that(answer)).move("ask", counted=counted, to=to)

        assert (moved is not None and moved.launches == to) is is_ours

    def test_gives_what_the_server_then_holds(self):
        to = Launches().next("ask", now=AT)
        held = {"uid": "u", "resourceVersion": "8", "annotations": {PODS_ANNOTATION: written(to)}}
        counted = Counted(uid="u", launches=Launches(), version="7", mark=None, has_annotations=False)

        moved = ClusterLaunchCounts(cluster_that(lambda _: as_json({"metadata": held}))).move(
            "ask", counted=counted, to=to
        )

        assert moved == Counted(uid="u", launches=to, version="8", mark=written(to), may_have_words=False)


class TestRead:
    @pytest.mark.parametrize(
        ("annotations", "may"),
        [({}, False), ({POD_ANNOTATION: "ask-1"}, False), ({f"{WORD_ANNOTATION}w1": "{}"}, True)],
    )
    def test_tells_whether_somebody_said_something(self, annotations: dict[str, str], may: bool):
        metadata = {"uid": "u", "resourceVersion": "8", "annotations": annotations}

        counted = ClusterLaunchCounts(cluster_that(lambda _: as_json({"metadata": metadata}))).read("ask")

        assert counted is not None
        assert counted.may_have_words is may


class TestLaunchesIn:
    def test_reads_what_was_written(self):
        count = Launches().next("ask", now=AT).next("ask", now=AT, lost=1)

        assert launches_in(written(count), run="ask") == count

    @pytest.mark.parametrize(
        "made_up",
        [
            {"launched": 2_000_000_000, "pod": "ask-2000000000"},
            {"launched": -1, "pod": "ask--1"},
            {"launched": 1, "pod": "goldgate-router-7d9f"},
            {"launched": 1, "pod": "../../services/goldgate-router"},
            {"pod": "other-1"},
        ],
    )
    def test_refuses_a_count_that_somebody_made_up(self, made_up: dict[str, object]):
        """Whoever applies a TaskRun may write its annotations."""
        with pytest.raises(PermanentError, match="expected the count of its pods"):
            launches_in(json.dumps(made_up), run="ask")
