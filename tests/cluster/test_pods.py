"""Each way in which a pod can fail, really provoked, and what becomes of its run."""

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from goldgate.contracts.pods import PodResources
from goldgate.contracts.resource_parts import FromEnv, SecretKey
from goldgate.domain.runs.launching import Follow, WaitForPod
from goldgate.domain.runs.pods import Launches, PodPhase
from goldgate.domain.runs.state import Phase
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.pod_bench import PodBench, benched
from tests.waiting import until

AT_ONCE = {"start_within_seconds": 0.001}
"""For a pod whose trouble was seen: how long a node takes to tell it is the machine's business."""


@pytest.fixture(scope="module")
def shared(shared_cluster: ClusterUnderTest) -> Iterator[PodBench]:
    with benched(shared_cluster) as bench:
        yield bench


@pytest.fixture
def bench(shared: PodBench) -> PodBench:
    shared.env_from = {}
    return shared


@pytest.fixture
def alone(cluster: ClusterUnderTest) -> Iterator[PodBench]:
    """In a namespace of its own, for what holds for all pods of a namespace."""
    with benched(cluster) as bench:
        yield bench


class TestAPodThatDoesNotStart:
    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            (
                {"resources": PodResources(requests={"cpu": "999"}, limits={"cpu": "999", "memory": "64Mi"})},
                ["Unschedulable", "Insufficient cpu", "resources.requests", "startWithinSeconds"],
            ),
            (
                {"image": "localhost/nowhere:1"},
                ["ErrImageNeverPull", "is not present", "Load the image on the node"],
            ),
            (
                {"image": "127.0.0.1:9/nowhere:1", "image_pull_policy": "IfNotPresent"},
                ["127.0.0.1:9/nowhere:1", "Push the image"],
            ),
        ],
        ids=["no node", "no image on the node", "no image to pull"],
    )
    def test_has_the_run_wait_and_then_fail_with_the_cluster_s_words(self, bench, settings, told):
        patient, hasty, name = bench.launcher(**settings), bench.launcher(**settings, **AT_ONCE), bench.make()

        waiting = bench.tend_until(patient, name, lambda tended: isinstance(tended.decision, WaitForPod))
        run = bench.tend_to_the_end(hasty, name)

        assert isinstance(waiting.decision, WaitForPod)
        assert told[0] in waiting.decision.detail or "ErrImagePull" in waiting.decision.detail
        for text in told:
            assert text in (run.status.error or "")
        bench.await_pod(f"{name}-1", lambda facts: facts is None)

    def test_fails_at_once_where_no_time_can_help(self, bench):
        launcher, name = bench.launcher(image="Not A Name", image_pull_policy="IfNotPresent"), bench.make()

        run = bench.tend_to_the_end(launcher, name)

        assert "InvalidImageName" in (run.status.error or "")

    def test_names_the_secret_that_is_missing_and_starts_once_it_is_there(self, bench):
        bench.env_from = {"API_KEY": FromEnv(env="API_KEY", secret=SecretKey(name="model-key", key="token"))}
        launcher = bench.launcher("import os, sys; sys.exit(5 if os.environ['API_KEY'] == 'hush' else 0)")
        name = bench.make()
        waiting = bench.tend_until(launcher, name, lambda tended: isinstance(tended.decision, WaitForPod))

        bench.cluster.kubectl("create", "secret", "generic", "model-key", "--from-literal=token=hush")
        run = bench.tend_to_the_end(launcher, name)

        assert isinstance(waiting.decision, WaitForPod)
        assert 'secret "model-key" not found' in waiting.decision.detail
        assert "exit code 5" in (run.status.error or "")

    def test_fails_with_the_secret_s_name_if_it_never_comes(self, bench):
        bench.env_from = {"API_KEY": FromEnv(env="API_KEY", secret=SecretKey(name="no-such", key="token"))}
        name = bench.make()
        bench.tend_until(bench.launcher(), name, lambda tended: isinstance(tended.decision, WaitForPod))

        run = bench.tend_to_the_end(bench.launcher(**AT_ONCE), name)

        assert 'secret "no-such" not found' in (run.status.error or "")
        assert "Create the Secret" in (run.status.error or "")

    def test_fails_if_the_image_cannot_run_the_program(self, bench):
        launcher, name = bench.launcher(("/no/such/program",)), bench.make()

        run = bench.tend_to_the_end(launcher, name)

        assert "/no/such/program" in (run.status.error or "")
        assert "Correct `image`" in (run.status.error or "")


class TestAPodThatIsNotMade:
    def test_waits_for_room_in_the_quota_and_is_made_when_there_is(self, alone):
        alone.cluster.kubectl("create", "quota", "none", "--hard=pods=0")
        # The server counts a quota a moment after it was made.
        alone.cluster.kubectl("wait", "--for=jsonpath={.status.hard.pods}=0", "quota/none", "--timeout=60s")
        launcher, name = alone.launcher(), alone.make()
        waiting = launcher.tend(name)

        alone.cluster.kubectl("delete", "quota", "none")
        made = alone.tend_until(launcher, name, lambda tended: isinstance(tended.decision, Follow))

        assert isinstance(waiting.decision, WaitForPod)
        assert "exceeded quota: none" in waiting.decision.detail
        assert made.pod == f"{name}-1"

    def test_fails_after_a_while_without_room(self, alone):
        alone.cluster.kubectl("create", "quota", "none", "--hard=pods=0")
        alone.cluster.kubectl("wait", "--for=jsonpath={.status.hard.pods}=0", "quota/none", "--timeout=60s")
        launcher, name = alone.launcher(start_within_seconds=1), alone.make()

        run = alone.tend_to_the_end(launcher, name)

        assert "exceeded quota: none" in (run.status.error or "")
        assert "Raise the quota" in (run.status.error or "")

    def test_fails_at_once_where_a_limit_of_the_namespace_refuses_it(self, alone):
        limit = {"type": "Container", "max": {"memory": "32Mi"}}
        limits = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": [limit]}}
        alone.cluster.kubectl("create", "-f", "-", stdin=json.dumps(limits))
        launcher, name = alone.launcher(), alone.make()

        run = launcher.tend(name).run

        assert "maximum memory usage per Container is 32Mi" in (run.status.error or "")

    def test_fails_at_once_where_admission_refuses_it(self, bench):
        launcher, name = bench.launcher(runtime_class="no-such-class"), bench.make()

        run = launcher.tend(name).run

        assert "The cluster refuses pod" in (run.status.error or "")
        assert 'RuntimeClass "no-such-class" not found. Correct `runtimeClass`' in (run.status.error or "")

    def test_waits_for_a_service_account_that_is_missing(self, bench):
        launcher, name = bench.launcher(service_account="no-such-account"), bench.make()

        tended = launcher.tend(name)

        assert isinstance(tended.decision, WaitForPod)
        assert "no-such-account" in tended.decision.detail

    def test_waits_until_the_pod_of_an_older_run_of_that_name_has_gone(self, bench):
        launcher, name = bench.launcher(), bench.make()
        pod = bench.running(launcher, name)
        bench.cluster.kubectl("patch", "pod", pod, "--type=json", "-p", KEPT)
        bench.cluster.kubectl("delete", "taskrun", name)
        again = bench.make_named(name)

        waiting = launcher.tend(again)
        bench.cluster.kubectl("patch", "pod", pod, "--type=json", "-p", LET_GO)
        made = bench.tend_until(launcher, again, lambda tended: isinstance(tended.decision, Follow))

        assert isinstance(waiting.decision, WaitForPod)
        assert "another run of that name" in waiting.decision.detail
        assert made.pod == pod


KEPT = json.dumps([{"op": "add", "path": "/metadata/finalizers", "value": ["goldgate.dev/kept-by-a-test"]}])
LET_GO = json.dumps([{"op": "remove", "path": "/metadata/finalizers"}])


class TestAPodThatIsLost:
    def test_by_force_is_followed_by_another(self, bench):
        launcher, name = bench.launcher(), bench.make()
        pod = bench.running(launcher, name)

        bench.cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        tended = bench.tend_until(launcher, name, lambda tended: tended.pod != pod)

        assert tended.pod == f"{name}-2"
        assert bench.reasons(name) == ["PodLost"]

    def test_by_eviction_is_followed_by_another(self, bench):
        launcher, name = bench.launcher(), bench.make()
        pod = bench.running(launcher, name)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = f"/api/v1/namespaces/{bench.cluster.namespace}/pods/{pod}/eviction"

        bench.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
        tended = bench.tend_until(launcher, name, lambda tended: tended.pod != pod)

        assert tended.pod == f"{name}-2"
        assert bench.counts.read(name).launches.lost == 1

    def test_for_writing_too_much_says_what_to_raise(self, bench):
        """The node looks every ten seconds or so what a pod wrote."""
        writes = "import time\nopen('/tmp/much', 'wb').write(bytes(4_000_000))\ntime.sleep(600)"
        launcher, name = bench.launcher(writes, scratch_bytes=1_000_000, max_losses=0), bench.make()

        run = bench.tend_to_the_end(launcher, name)

        assert "Evicted" in (run.status.error or "")
        assert "scratchBytes" in (run.status.error or "")

    def test_for_want_of_memory_is_resumed_once_and_then_says_what_to_raise(self, bench):
        """The kernel tells the node a moment later; a process that dies at once is sometimes only known as killed."""
        launcher, name = bench.launcher("import time; time.sleep(2); bytearray(300_000_000)"), bench.make()

        run = bench.tend_to_the_end(launcher, name)

        assert "memory" in (run.status.error or "")
        assert "PodLost" in bench.reasons(name)

    def test_again_and_again_ends_its_run(self, bench):
        launcher, name = bench.launcher("import os; os.abort()", max_losses=1), bench.make()

        run = bench.tend_to_the_end(launcher, name)

        assert bench.counts.read(name).launches.launched == 2
        assert "maxLosses" in (run.status.error or "")


class TestAPodThatEnds:
    def test_past_its_deadline_ends_its_run(self, bench):
        launcher, name = bench.launcher(deadline_seconds=2), bench.make()

        run = bench.tend_to_the_end(launcher, name)

        assert (run.status.error or "").startswith("deadline: ")
        assert "deadlineSeconds" in (run.status.error or "")

    def test_as_impossible_ends_its_run_with_its_last_words(self, bench):
        program = "import sys; print('Found no such model.', file=sys.stderr); sys.exit(5)"
        launcher, name = bench.launcher(program), bench.make()

        run = bench.tend_to_the_end(launcher, name)

        assert run.status.error == "pod: Found no such model."

    def test_in_good_order_is_followed_without_a_loss(self, bench):
        launcher, name = bench.launcher("import sys; sys.exit(75)"), bench.make()

        tended = bench.tend_until(launcher, name, lambda tended: tended.pod == f"{name}-3")

        assert tended.run.status.events == []
        assert bench.counts.read(name).launches.lost == 0

    def test_without_a_recorded_end_is_lost(self, bench):
        launcher, name = bench.launcher("pass", max_losses=0), bench.make()

        run = bench.tend_to_the_end(launcher, name)

        assert "recorded no end" in (run.status.error or "")


LOOKS = """
import os, pathlib
def writes(folder):
    try:
        pathlib.Path(folder, "x").write_text("x")
        return True
    except OSError:
        return False
token = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
print("user", os.getuid(), os.getgid())
print("writes", *(folder for folder in ("/", "/etc", "/tmp", os.environ["GOLDGATE_HOME"]) if writes(folder)))
print("token", *sorted(each.name for each in token.iterdir() if not each.name.startswith("..")))
print("reads", len((token / "token").read_text()) > 100, (token / "namespace").read_text())
print("capable", [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0])
print("known", os.environ["GOLDGATE_POD"], os.environ["GOLDGATE_NAMESPACE"], os.environ["GOLDGATE_CLUSTER"])
import time; time.sleep(600)
"""


class TestAPodThatRuns:
    def test_is_of_least_privilege_and_knows_its_place(self, bench):
        launcher, name = bench.launcher(LOOKS), bench.make()
        pod = bench.running(launcher, name)

        said = until(lambda: found if len(found := list(bench.pods.log(pod))) >= 6 else None)

        assert said == [
            "user 10001 10001",
            "writes /tmp /var/lib/goldgate",
            "token ca.crt namespace token",
            f"reads True {bench.cluster.namespace}",
            "capable 0000000000000000",
            f"known {pod} {bench.cluster.namespace} in-cluster",
        ]

    def test_is_made_once_by_any_number_of_launchers(self, bench):
        name = bench.make()
        launchers = [bench.launcher() for _ in range(6)]

        with ThreadPoolExecutor(6) as threads:
            told = list(threads.map(lambda launcher: launcher.tend(name), launchers))

        assert {tended.pod for tended in told} <= {f"{name}-1", ""}
        listed = bench.cluster.kubectl("get", "pods", "-l", f"goldgate.dev/task-run={name}", "-o", "name").split()
        assert listed == [f"pod/{name}-1"]

    def test_goes_with_its_run(self, bench):
        launcher, name = bench.launcher(), bench.make()
        pod = bench.running(launcher, name)

        bench.cluster.kubectl("delete", "taskrun", name)

        bench.cluster.kubectl("wait", "--for=delete", f"pod/{pod}", "--timeout=90s")

    def test_ends_when_its_run_is_cancelled_whatever_it_does(self, bench):
        stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        launcher, name = bench.launcher(stubborn), bench.make()
        pod = bench.running(launcher, name)
        bench.store.take(name, owner=f"pod/{pod}", for_s=30)
        bench.order_to_end(name, "not needed")

        seen = launcher.cancel(name, within_s=1)

        assert (seen.run.status.phase, seen.run.status.error) == (Phase.FAILED, "cancelled by ann: not needed")
        bench.await_pod(pod, lambda facts: facts is None or facts.phase is not PodPhase.RUNNING)


class TestTheCount:
    def test_is_moved_by_one_of_several_who_read_the_same(self, bench):
        name = bench.make()
        counted = bench.counts.read(name)
        now = bench.clock.now()

        moved = [bench.counts.move(name, counted=counted, to=Launches().next(name, now=now, lost=n)) for n in range(3)]

        assert [each is not None for each in moved] == [True, False, False]
        assert bench.counts.read(name).launches.lost == 0

    def test_is_moved_on_from_what_was_read(self, bench):
        name = bench.make()
        for _ in range(3):
            counted = bench.counts.read(name)
            assert bench.counts.move(name, counted=counted, to=counted.launches.next(name, now=bench.clock.now()))

        assert bench.counts.read(name).launches.launched == 3
        text = bench.cluster.kubectl(
            "get", "taskrun", name, "-o", "jsonpath={.metadata.annotations.goldgate\\.dev/pods}"
        )
        assert f'"pod":"{name}-3"' in text

    def test_knows_no_run_that_is_not_there(self, bench):
        assert bench.counts.read(f"run-{secrets.token_hex(4)}") is None
