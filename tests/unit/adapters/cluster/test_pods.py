"""What an API server answers when a pod is ordered, and what is made of it."""

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.launch_counts import ClusterLaunchCounts, written
from goldgate.adapters.cluster.pods import ClusterPods
from goldgate.contracts.pods import PodResources, PodSettingsSpec
from goldgate.contracts.resource_parts import FromEnv, SecretKey
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.pods import Launches, PodPhase
from goldgate.ports.pods import Counted, PodOrder, PodPostponedError, PodRefusedError, QuotaExceededError
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.scripted_api_server import Answer, as_json, cluster_that, cut, refused

ORDER = PodOrder(
    name="run-1",
    run="run",
    run_uid="u1",
    command=("program",),
    settings=PodSettingsSpec(
        image="image", resources=PodResources(requests={"cpu": "1"}, limits={"cpu": "1"}), env={"PLAIN": "a-value"}
    ),
    env_from={"API_KEY": FromEnv(env="API_KEY", secret=SecretKey(name="model-key", key="token"))},
)


def pod_of(uid: str) -> httpx2.Response:
    owner = {"uid": uid, "controller": True, "kind": "TaskRun", "name": "run", "apiVersion": "goldgate.dev/v1alpha1"}
    metadata = {"name": "run-1", "ownerReferences": [owner]}
    return httpx2.Response(200, json={"kind": "Pod", "metadata": metadata, "status": {"phase": "Running"}})


def pods(answer: Answer, *, within_s: float = 0.0) -> ClusterPods:
    patience = Patience(within_s=within_s, refused_within_s=0, first_pause_s=0.001)
    return ClusterPods(cluster_that(answer), clock=FrozenClock(), patience=patience)


def denied(said: str) -> str:
    """What the API server says for a policy."""
    return f"ValidatingAdmissionPolicy 'goldgate-pods' with binding 'goldgate-pods' denied request: {said}"


class TestLaunch:
    def test_asks_for_one_pod_that_names_secrets_and_holds_none(self):
        asked: list[Any] = []

        def made(request: httpx2.Request) -> httpx2.Response:
            asked.append((request.method, request.url.path, json.loads(request.content)))
            return httpx2.Response(201, json=asked[-1][2])

        pods(made).launch(ORDER)

        [(method, path, body)] = asked
        assert (method, path) == ("POST", "/api/v1/namespaces/agents/pods")
        assert body["kind"] == "Pod"
        assert body["metadata"]["name"] == "run-1"

    @pytest.mark.parametrize(
        ("code", "message", "error"),
        [
            (403, 'pods "run-1" is forbidden: exceeded quota: few, requested: pods=1', QuotaExceededError),
            (500, 'Internal error occurred: failed calling webhook "a.b": timeout', PodPostponedError),
            (403, 'pods is forbidden: User "x" cannot create resource "pods" in API group ""', PodPostponedError),
            (403, 'error looking up service account agents/x: serviceaccount "x" not found', PodPostponedError),
            (403, denied("image a:1 may not run: its annotation goldgate.dev/images"), PodPostponedError),
            (403, denied("Secret a may not be read: its annotation goldgate.dev/secrets"), PodPostponedError),
            (403, denied("pods of the operator mount no Secrets"), PodRefusedError),
            (403, 'pods "run-1" is forbidden: violates PodSecurity "restricted:latest": host ports', PodRefusedError),
            (403, "maximum memory usage per Container is 32Mi, but limit is 64Mi", PodRefusedError),
            (400, 'admission webhook "a.b" denied the request: no such registry', PodRefusedError),
            (422, 'Pod "run-1" is invalid: spec.containers[0].image: Required value', PodRefusedError),
            (409, 'Operation cannot be fulfilled on resourcequotas "few": it has been modified', PodPostponedError),
            (503, "the server is currently unable to handle the request", TransientError),
            (429, "too many requests", TransientError),
            (401, "Unauthorized", TransientError),
            (404, 'namespaces "agents" not found', PermanentError),
        ],
    )
    def test_tells_what_time_can_put_right_from_what_it_cannot(self, code, message, error):
        with pytest.raises((PermanentError, TransientError)) as raised:
            pods(lambda _: refused(code, message)).launch(ORDER)

        assert type(raised.value) is error
        assert message.rpartition("denied request: ")[2].partition("(")[0][:60] in str(raised.value)

    @pytest.mark.parametrize(
        ("message", "advice"),
        [
            ("exceeded quota: few, requested: pods=1", "Raise the quota, end other pods, or ask for less"),
            ('error looking up service account agents/x: serviceaccount "x" not found', "correct `serviceAccount`"),
            ('User "x" cannot create resource "pods" in API group ""', "Give this account the right"),
            ("no PriorityClass with name x was found", "Correct `priorityClass`"),
            ('pod rejected: RuntimeClass "x" not found', "Correct `runtimeClass`"),
            ("maximum memory usage per Container is 32Mi, but limit is 64Mi", "what the LimitRange"),
            ("failed quota: few: must specify limits.cpu for: run", "Say in `resources`"),
            ('violates PodSecurity "restricted:latest": host ports', "what changes pods on their way"),
            ("unable to create new content in namespace a because it is being terminated", "is being deleted"),
            (denied("pods of the operator mount no Secrets."), "mount no Secrets. Correct the PodSettings, or the"),
        ],
    )
    def test_says_what_to_do_by_the_cause_and_of_no_other(self, message: str, advice: str):
        others = {"Raise the quota", "Give this account", "Correct `", "LimitRange", "Say in", "webhook", "Correct the"}

        with pytest.raises((PermanentError, TransientError)) as raised:
            pods(lambda _: refused(403, f'pods "run-1" is forbidden: {message}')).launch(ORDER)

        assert advice in str(raised.value)
        assert sum(each in str(raised.value) for each in others) <= 1

    def test_takes_the_pod_that_is_there_for_the_one_that_was_ordered(self):
        asked: list[str] = []

        def there(request: httpx2.Request) -> httpx2.Response:
            asked.append(request.method)
            return refused(409, "already exists") if request.method == "POST" else pod_of("u1")

        pods(there).launch(ORDER)

        assert asked == ["POST", "GET"]

    def test_does_not_take_the_pod_of_another_run_for_it(self):
        def there(request: httpx2.Request) -> httpx2.Response:
            return refused(409, "already exists") if request.method == "POST" else pod_of("another")

        with pytest.raises(PodPostponedError, match="another run of that name"):
            pods(there).launch(ORDER)

    def test_asks_again_where_no_answer_came(self):
        """The first one may have arrived: then the second finds the pod there, which is as good."""
        answers = iter([cut, lambda _: refused(409, "already exists"), lambda _: pod_of("u1")])

        def answer(request: httpx2.Request) -> httpx2.Response:
            return next(answers)(request)

        pods(answer, within_s=5).launch(ORDER)

        assert next(answers, None) is None

    def test_says_that_the_server_cannot_be_reached(self):
        with pytest.raises(TransientError, match="could not make pod `run-1`"):
            pods(cut).launch(ORDER)

    def test_tells_no_value_of_a_variable(self):
        with pytest.raises(PodRefusedError) as raised:
            pods(lambda _: refused(422, "invalid")).launch(ORDER)

        assert "a-value" not in str(raised.value)


class TestLook:
    def test_finds_the_pod_of_its_run_only(self):
        ours = pods(lambda _: pod_of("u1")).look("run-1", run_uid="u1")

        assert ours is not None
        assert ours.phase is PodPhase.RUNNING
        assert pods(lambda _: pod_of("u2")).look("run-1", run_uid="u1") is None

    def test_knows_a_pod_that_is_not_there_from_a_server_that_is_not(self):
        assert pods(lambda _: refused(404, 'pods "run-1" not found')).look("run-1", run_uid="u1") is None
        with pytest.raises(TransientError):
            pods(cut).look("run-1", run_uid="u1")


class TestLabelled:
    def test_tells_of_the_pods_that_have_these_labels(self):
        asked: list[str] = []

        def listed(request: httpx2.Request) -> httpx2.Response:
            asked.append(request.url.params["labelSelector"])
            pods = [json.loads(pod_of(uid).content) for uid in ("u-1", "u-2")]
            return httpx2.Response(200, json={"kind": "PodList", "metadata": {}, "items": pods})

        found = pods(listed).labelled({"a": "b"})

        assert asked == ["a=b"]
        assert [(pod.owner, pod.is_alive) for pod in found] == [("u-1", True), ("u-2", True)]

    def test_says_that_the_server_cannot_be_reached(self):
        with pytest.raises(TransientError, match="list pods"):
            pods(cut).labelled({"a": "b"})


class TestLog:
    def test_is_nothing_before_a_pod_began(self):
        assert list(pods(lambda _: refused(400, "container is waiting to start")).log("run-1")) == []

    def test_is_asked_for_from_a_moment_on(self):
        asked: list[httpx2.Request] = []

        def said(request: httpx2.Request) -> httpx2.Response:
            asked.append(request)
            return httpx2.Response(200, text="one\ntwo\n")

        lines = list(pods(said).log("run-1", since=FrozenClock().now() - timedelta(seconds=9)))

        assert lines == ["one", "two"]
        assert asked[0].url.params["sinceSeconds"] == "10"


class TestEnd:
    def test_asks_once_if_it_is_gone(self):
        asked: list[str] = []

        def gone(request: httpx2.Request) -> httpx2.Response:
            asked.append(f"{request.method} {request.url.path}")
            return refused(404, 'pods "run-1" not found')

        pods(gone).end("run-1")

        assert asked == ["DELETE /api/v1/namespaces/agents/pods/run-1"]


class TestTheCount:
    def test_refuses_what_is_no_count(self):
        metadata = {"name": "run", "uid": "u1", "resourceVersion": "1", "annotations": {"goldgate.dev/pods": "two"}}

        with pytest.raises(PermanentError, match=r"`two` in annotation `goldgate\.dev/pods` of TaskRun `run`"):
            ClusterLaunchCounts(cluster_that(lambda _: as_json({"metadata": metadata}))).read("run")

    @pytest.mark.parametrize(
        ("more", "is_leaving"), [({}, False), ({"deletionTimestamp": "2026-11-21T18:00:00Z"}, True)]
    )
    def test_tells_of_a_run_that_was_deleted_and_is_not_gone(self, more, is_leaving):
        metadata = {"name": "run", "uid": "u1", "resourceVersion": "1", **more}

        counted = ClusterLaunchCounts(cluster_that(lambda _: as_json({"metadata": metadata}))).read("run")

        assert counted is not None
        assert counted.is_leaving is is_leaving

    @pytest.mark.parametrize(("stands", "is_moved"), [("ours", True), ("another", False)])
    def test_knows_its_own_move_whose_answer_was_lost_from_that_of_somebody_else(self, stands, is_moved):
        to = Launches().next("run", now=FrozenClock().now())
        mark = written(to if stands == "ours" else to.made())
        answers = iter([cut, lambda _: refused(422, "the server rejected our request")])

        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.method == "PATCH":
                return next(answers)(request)
            annotations = {"goldgate.dev/pods": mark}
            metadata = {"name": "run", "uid": "u1", "resourceVersion": "2", "annotations": annotations}
            return httpx2.Response(200, json={"metadata": metadata})

        counts = ClusterLaunchCounts(cluster_that(answer), patience=Patience(within_s=5, first_pause_s=0.001))
        counted = Counted(uid="u1", launches=Launches(), version="1")

        assert (counts.move("run", counted=counted, to=to) is not None) is is_moved
