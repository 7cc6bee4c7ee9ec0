"""What a role allows and the admission policies still refuse: writes of pods to what is another's."""

import base64
import json
from collections.abc import Iterator

import pytest

from goldgate.agent.recorded_delegate import sub_run_name
from goldgate.domain.runs.pods import pod_name
from tests.cluster.bearers import API, Bearer, Deployed
from tests.cluster.deployed import account_in

PODS = "goldgate.dev/pods"
ROOT = "goldgate.dev/root"
TENDED = "goldgate.dev/tended-by"
OWNER = {"apiVersion": API, "kind": "TaskRun", "name": "other", "uid": "of-the-other"}


def task_run(name: str, *, pod: str = "", **metadata) -> dict:
    annotations = {PODS: json.dumps({"number": 1, "pod": pod}, separators=(",", ":"))} if pod else {}
    return {
        "apiVersion": API,
        "kind": "TaskRun",
        "metadata": {"name": name, "annotations": annotations, **metadata},
        "spec": {"agentRef": "helper", "userMessage": "What is it?"},
    }


def part(name: str, **metadata) -> dict:
    spec = {"digest": "0" * 64, "index": 0, "count": 1, "text": "a"}
    return {"apiVersion": API, "kind": "Part", "metadata": {"name": name, **metadata}, "spec": spec}


@pytest.fixture(scope="module")
def pod(deployed: Deployed) -> Bearer:
    """The pod that works on the run `ask`."""
    return Bearer.of_pod(deployed, "ask-1")


@pytest.fixture(autouse=True)
def runs(deployed: Deployed) -> Iterator[None]:
    """The run `ask` that pod `ask-1` works on, one below it, and those of others."""
    own = {"labels": {ROOT: "ask", TENDED: "ask"}}
    others = {"labels": {ROOT: "other", TENDED: "other"}}
    documents = [
        task_run("ask", pod="ask-1"),
        task_run("ask-sub", **own),
        task_run("other", pod="other-1"),
        task_run("other-sub", **others),
        task_run("untended"),
        part("own-part", **own),
        part("other-part", **others),
        part("bundle"),
    ]
    bare = [{**each, "metadata": {"name": each["metadata"]["name"]}} for each in documents]
    deployed.kubectl("create", "-f", "-", stdin="\n".join(map(json.dumps, bare)))
    deployed.kubectl("replace", "-f", "-", stdin="\n".join(map(json.dumps, documents)))
    yield
    deployed.kubectl("delete", "taskruns,parts", "--all")


STATUS = {"status": {"phase": "Pending"}}
WORD = {"metadata": {"annotations": {"goldgate.dev/word-1": "{}"}}}
ANOTHERS = ["other", "other-sub", "untended"]


class TestPodOfATaskRun:
    @pytest.mark.parametrize("name", ["ask", "ask-sub"])
    def test_records_its_run_and_those_below_it(self, pod, name):
        assert pod.patch(name, STATUS, is_of_status=True) == ""

    @pytest.mark.parametrize("name", ANOTHERS)
    def test_records_no_other(self, pod, name):
        assert f"pod ask-1 does not work on taskruns {name}" in pod.patch(name, STATUS, is_of_status=True)

    @pytest.mark.parametrize("name", ANOTHERS)
    def test_says_nothing_to_another(self, pod, name):
        assert f"pod ask-1 does not work on taskruns {name}" in pod.patch(name, WORD)

    def test_records_nothing_once_another_pod_took_over(self, deployed, pod):
        moved = {"metadata": {"annotations": {PODS: '{"number":2,"pod":"ask-2"}'}}}
        deployed.kubectl("patch", "taskrun", "ask", "--type", "merge", "-p", json.dumps(moved))

        assert "another pod took it over" in pod.patch("ask", STATUS, is_of_status=True)

    def test_goes_on_with_what_the_pod_before_it_made(self, deployed):
        successor = Bearer.of_pod(deployed, "ask-2")

        assert successor.patch("ask-sub", STATUS, is_of_status=True) == ""
        assert successor.told("delete", "part", "own-part") == ""

    def test_is_not_taken_for_that_of_a_run_whose_name_begins_alike(self, deployed):
        alike = Bearer.of_pod(deployed, "ask-1-1")

        assert "does not work on" in alike.patch("ask-sub", STATUS, is_of_status=True)
        assert "does not work on" in alike.patch("ask", STATUS, is_of_status=True)

    def test_takes_a_word_from_its_run(self, deployed, pod):
        deployed.kubectl("patch", "taskrun", "ask", "--type", "merge", "-p", json.dumps(WORD))

        assert pod.patch("ask", {"metadata": {"annotations": {"goldgate.dev/word-1": None}}}) == ""

    def test_approves_nothing_for_itself(self, pod):
        assert "a pod takes words from its run" in pod.patch("ask", WORD)

    def test_speaks_to_a_run_below_it(self, pod):
        assert pod.patch("ask-sub", WORD) == ""

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"metadata": {"annotations": {PODS: '{"number":9,"pod":"ask-1"}'}}}, PODS),
            ({"metadata": {"labels": {ROOT: "ask"}}}, "does not change labels"),
            ({"metadata": {"finalizers": ["goldgate.dev/mine"]}}, "finalizers"),
            (
                {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}]}},
                "owner",
            ),
        ],
    )
    def test_changes_nothing_that_others_go_by(self, pod, change, why):
        assert why in pod.patch("ask", change)

    def test_does_not_change_what_was_asked(self, pod):
        """The schema refuses it as well."""
        assert pod.patch("ask", {"spec": {"userMessage": "Something else"}}) != ""

    def test_makes_runs_below_its_own(self, pod):
        assert pod.create(task_run("made", labels={ROOT: "ask", TENDED: "ask"})) == ""

    @pytest.mark.parametrize(
        ("metadata", "why"),
        [
            ({}, "does not work on"),
            ({"labels": {ROOT: "other", TENDED: "other"}}, "does not work on"),
            ({"labels": {ROOT: "ask"}}, "another pod would be made for it"),
            ({"labels": {ROOT: "ask", TENDED: "ask"}, "annotations": {PODS: '{"pod":"ask-1"}'}}, PODS),
        ],
    )
    def test_makes_no_other_run(self, pod, metadata, why):
        assert why in pod.create(task_run("made", **metadata))

    def test_stores_and_forgets_what_is_its_own(self, pod):
        assert pod.create(part("made", labels={ROOT: "ask"})) == ""
        assert pod.told("delete", "part", "made") == ""

    @pytest.mark.parametrize("name", ["other-part", "bundle"])
    def test_forgets_nothing_of_others(self, pod, name):
        assert f"does not work on parts {name}" in pod.told("delete", "part", name)

    @pytest.mark.parametrize("labels", [{}, {ROOT: "other"}])
    def test_stores_nothing_for_others(self, pod, labels):
        assert "does not work on parts" in pod.create(part("made", labels=labels))

    @pytest.mark.parametrize("index", [0, 12])
    def test_lays_down_no_bundle_that_others_find_by_its_digest(self, pod, index):
        told = pod.create(part(f"bundle-{'a' * 40}-{index}", labels={ROOT: "ask"}))

        assert "laid down by whoever applies agents" in told

    @pytest.mark.parametrize("document", [task_run, part])
    @pytest.mark.parametrize(
        ("keeps", "why"),
        [
            ({"finalizers": ["goldgate.dev/mine"]}, "keeps nothing from being removed"),
            ({"ownerReferences": [{**OWNER, "blockOwnerDeletion": True}]}, "blockOwnerDeletion"),
        ],
        ids=["finalizer", "owner"],
    )
    def test_keeps_nothing_from_being_removed(self, pod, document, keeps, why):
        made = document("made", labels={ROOT: "ask", TENDED: "ask"}, **keeps)

        assert why in pod.create(made)

    def event(self, cluster: Deployed, run: str = "ask", *, by: str = "goldgate-task-run", **about) -> dict:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "told-", "namespace": cluster.namespace},
            "involvedObject": {
                "kind": "TaskRun",
                "apiVersion": API,
                "name": run,
                "namespace": cluster.namespace,
                **about,
            },
            "source": {"component": by},
            "reportingComponent": by,
        }

    @pytest.mark.parametrize("run", ["ask", sub_run_name("ask-0123abcd-7"), sub_run_name("ask-0123abcd-7-89abcdef-1")])
    def test_tells_of_its_run_and_those_below_it(self, deployed, pod, run):
        assert pod.create(self.event(deployed, run)) == ""

    @pytest.mark.parametrize("letters", [40, 41, 47, 56, 57, 63])
    def test_tells_of_its_run_and_those_below_it_however_long_their_names(self, deployed, letters):
        run = ("a-" + "long" * 16)[:letters]
        teller = Bearer.of_pod(deployed, pod_name(run, 1))

        for told in (run, sub_run_name(f"{run}-0123abcd-7"), sub_run_name(f"{run}-0123abcd-7-89abcdef-1")):
            assert teller.create(self.event(deployed, told)) == ""

    def test_tells_of_nobody_else(self, deployed, pod):
        assert "tells of TaskRuns only" in pod.create(self.event(deployed, kind="Pod", apiVersion="v1"))
        for run in ("other", "asking", "ask-other", "ask-0123abcd"):
            assert f"and not of {run}" in pod.create(self.event(deployed, run))

    def test_tells_as_itself(self, deployed, pod):
        assert "tells as goldgate-task-run" in pod.create(self.event(deployed, by="kubelet"))

    def test_is_believed_only_with_a_token_of_its_own(self, deployed):
        """One that was made for the account, and not for a pod, may read and not write."""
        stranger = Bearer.unbound(deployed)

        assert "is not bound to a pod" in stranger.patch("ask", STATUS, is_of_status=True)
        assert stranger.told("get", "taskrun", "ask") == ""

    def test_may_have_an_account_of_its_own(self, deployed):
        """One whose name begins with `goldgate-task-run-` has the same bounds."""
        binding = ["--role", "goldgate-task-run", "--serviceaccount", f"{deployed.namespace}:goldgate-task-run-own"]
        deployed.kubectl("create", "serviceaccount", "goldgate-task-run-own")
        deployed.kubectl("create", "rolebinding", "goldgate-task-run-own", *binding)

        own = Bearer.of_pod(deployed, "own-1", account="goldgate-task-run-own")

        assert "does not work on" in own.patch("ask", STATUS, is_of_status=True)


class TestPodOfAnEvaluation:
    def test_lays_down_results_and_nothing_else(self, deployed):
        pod = Bearer.of_pod(deployed, "evaluation-1", account="goldgate-evaluation")

        assert pod.create(part("results-0", labels={"goldgate.dev/use": "results"})) == ""
        assert "lays down results" in pod.create(part("bundle-of-mine", labels={"goldgate.dev/use": "bundle"}))
        assert "lays down results" in pod.create(part("run-of-mine", labels={"goldgate.dev/use": "results"}))

    def test_is_believed_only_with_a_token_of_its_own(self, deployed):
        stranger = Bearer.unbound(deployed, "goldgate-evaluation")

        assert "is not bound to a pod" in stranger.create(part("results", labels={"goldgate.dev/use": "results"}))


def test_tokens_of_pods_say_in_which_pod_they_are(deployed):
    """What the policies rest on: the API server knows the pod of a bound token."""
    token = Bearer.of_pod(deployed, "ask-1")._token
    claims = token.split(".")[1]

    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))

    assert told["kubernetes.io"]["pod"]["name"] == "ask-1"
    assert told["sub"] == account_in(deployed, "goldgate-task-run")
