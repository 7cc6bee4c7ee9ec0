"""What a role allows and the admission policies still refuse: writes to what is another's, and pods of any kind."""

import base64
import json
import ssl
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from goldgate.adapters.cluster.pod_manifest import manifest_of
from goldgate.agent.recorded_delegate import sub_run_name
from goldgate.contracts.documents import read_yaml
from goldgate.contracts.pods import PodSettings
from goldgate.domain.runs.pods import pod_name
from goldgate.ports.pods import PodOrder
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.deployed import DEPLOY, account_in, await_policies, overlay
from tests.cluster.stores import install_kinds

API = "goldgate.dev/v1alpha1"
PODS = "goldgate.dev/pods"
ROOT = "goldgate.dev/root"
TENDED = "goldgate.dev/tended-by"
OWNER = {"apiVersion": API, "kind": "TaskRun", "name": "other", "uid": "of-the-other"}


@dataclass(frozen=True, kw_only=True)
class Deployed(ClusterUnderTest):
    """A namespace with accounts, their roles, and the policies."""

    nobody: Path
    """A kubeconfig that knows the server and nobody to ask as: a certificate would win over a token."""


@pytest.fixture(scope="module")
def deployed(shared_cluster: ClusterUnderTest, tmp_path_factory) -> Deployed:
    install_kinds(shared_cluster)
    folder = tmp_path_factory.mktemp("admission")
    overlay(folder, namespace=shared_cluster.namespace, bases=["rbac", "admission"])
    shared_cluster.kubectl("apply", "-k", str(folder))
    names = (
        "task-run",
        "task-run-events",
        "evaluation",
        "operator",
        "operator-ends",
        "router",
        "router-services",
    )
    await_policies(shared_cluster, *(f"goldgate-{name}" for name in names))
    known = json.loads(shared_cluster.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json"))
    nobody = folder / "nobody.json"
    nobody.write_text(json.dumps({**known, "users": [{"name": one["name"], "user": {}} for one in known["users"]]}))
    return Deployed(**vars(shared_cluster), nobody=nobody)


class Bearer:
    """Who asks with the token of a pod."""

    def __init__(self, cluster: Deployed, token: str) -> None:
        self._cluster = cluster
        self._token = token

    @classmethod
    def of_pod(cls, cluster: Deployed, pod: str, *, account: str = "goldgate-task-run") -> "Bearer":
        """Make the pod, which never runs, and the token that its node would give it."""
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(sleeping_pod(cluster, pod, account=account)))
        bound = ["--bound-object-kind", "Pod", "--bound-object-name", pod]
        return cls(cluster, cluster.kubectl("create", "token", account, *bound).strip())

    @classmethod
    def unbound(cls, cluster: Deployed, account: str = "goldgate-task-run") -> "Bearer":
        return cls(cluster, cluster.kubectl("create", "token", account).strip())

    def told(self, *arguments: str, document: object = None) -> str:
        """Ask the API server, and return what it refused with; empty if it did as asked."""
        given = None if document is None else json.dumps(document)
        identity = ["--kubeconfig", str(self._cluster.nobody), "--token", self._token]
        ran = self._cluster.try_kubectl(*identity, *arguments, stdin=given)
        return "" if ran.returncode == 0 else ran.stderr

    def patch(self, run: str, change: object, *, is_of_status: bool = False) -> str:
        """Patch a TaskRun, as `told`: kubectl reads before it patches, which a pod may not do with a status."""
        known = json.loads(self._cluster.nobody.read_text())["clusters"][0]["cluster"]
        path = f"/apis/{API}/namespaces/{self._cluster.namespace}/taskruns/{run}{'/status' * is_of_status}"
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/merge-patch+json"}
        asked = Request(known["server"] + path, json.dumps(change).encode(), headers, method="PATCH")
        trusted = ssl.create_default_context(cadata=base64.b64decode(known["certificate-authority-data"]).decode())
        try:
            with urlopen(asked, context=trusted, timeout=60):
                return ""
        except HTTPError as refused:
            with refused:
                return json.loads(refused.read())["message"]

    def create(self, document: object) -> str:
        return self.told("create", "--validate=false", "-f", "-", document=document)


def sleeping_pod(cluster: ClusterUnderTest, name: str, *, account: str) -> dict:
    """A pod that no node takes."""
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {}},
        "spec": {
            "serviceAccountName": account,
            "nodeSelector": {"goldgate.dev/nowhere": "true"},
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "run", "image": cluster.image, "securityContext": restricted}],
        },
    }


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
    deployed.kubectl("create", "-f", "-", stdin="\n".join(map(json.dumps, documents)))
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


def labelled(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "goldgate"}


def pod_for_a_run(cluster: ClusterUnderTest, **changes) -> dict:
    """What the operator makes."""
    uid = cluster.kubectl("get", "taskrun", "ask", "-o", "jsonpath={.metadata.uid}")
    made = sleeping_pod(cluster, "made-1", account="goldgate-task-run")
    made["metadata"] |= {
        "labels": {"goldgate.dev/task-run": "ask", **labelled("goldgate-task-run")},
        "ownerReferences": [{"apiVersion": API, "kind": "TaskRun", "name": "ask", "uid": uid}],
    }
    made["spec"] |= changes
    return made


class TestOperator:
    def told(self, cluster: Deployed, document: dict) -> str:
        return Bearer.unbound(cluster, "goldgate-operator").told(
            "create", "--dry-run=server", "--validate=false", "-f", "-", document=document
        )

    def test_makes_pods_of_runs(self, deployed):
        """As its launcher orders them; on the one-node cluster, owners are checked as well."""
        uid = deployed.kubectl("get", "taskrun", "ask", "-o", "jsonpath={.metadata.uid}")
        settings = read_yaml(DEPLOY / "pod-settings.yaml", PodSettings).spec
        order = PodOrder(name="made-1", run="ask", run_uid=uid, command=("run",), settings=settings)

        assert self.told(deployed, pod_for_a_run(deployed)) == ""
        assert self.told(deployed, manifest_of(order, namespace=deployed.namespace)) == ""

    def test_makes_pods_of_evaluations(self, deployed):
        made = sleeping_pod(deployed, "evaluation-made", account="goldgate-evaluation")
        made["metadata"]["labels"] = labelled("goldgate-evaluation")

        assert self.told(deployed, made) == ""

    @pytest.mark.parametrize("account", ["default", "goldgate-operator", "goldgate-router"])
    def test_makes_no_pod_with_another_account(self, deployed, account):
        made = pod_for_a_run(deployed, serviceAccountName=account)

        assert "run as goldgate-task-run or goldgate-evaluation" in self.told(deployed, made)

    def test_makes_no_pod_that_belongs_to_no_run(self, deployed):
        made = pod_for_a_run(deployed)
        del made["metadata"]["ownerReferences"]

        assert "belong to a TaskRun" in self.told(deployed, made)

    @pytest.mark.parametrize(
        "volume",
        [
            {"secret": {"secretName": "openai"}},
            {"projected": {"sources": [{"secret": {"name": "openai"}}]}},
            {"configMap": {"name": "settings"}},
            {"projected": {"sources": [{"configMap": {"name": "settings"}}]}},
            {"persistentVolumeClaim": {"claimName": "goldgate-home"}},
        ],
    )
    def test_mounts_nothing_of_others(self, deployed, volume):
        made = pod_for_a_run(deployed, volumes=[{"name": "mine", **volume}])

        assert "no Secrets and no other volumes" in self.told(deployed, made)

    def test_takes_no_whole_secret(self, deployed):
        made = pod_for_a_run(deployed)
        made["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "openai"}}]

        assert "name each variable" in self.told(deployed, made)

    @pytest.mark.parametrize(
        "labels",
        [
            labelled("goldgate-router"),
            labelled("goldgate-evaluation"),
            {"app.kubernetes.io/name": "goldgate-task-run"},
            {**labelled("goldgate-task-run"), "goldgate.dev/arm": "arm-helper-7"},
        ],
    )
    def test_makes_no_pod_that_passes_for_another(self, deployed, labels):
        """A Service would send it questions, or the network policies would not bound it."""
        made = pod_for_a_run(deployed)
        made["metadata"]["labels"] = {"goldgate.dev/task-run": "ask", **labels}

        assert "and are no arms" in self.told(deployed, made)

    def test_ends_no_pod_of_others(self, deployed):
        operator = Bearer.unbound(deployed, "goldgate-operator")
        Bearer.of_pod(deployed, "router-1", account="goldgate-router")
        Bearer.of_pod(deployed, "done-1")

        assert "pods of TaskRuns and of evaluations only" in operator.told("delete", "pod", "router-1", "--wait=false")
        assert operator.told("delete", "pod", "done-1", "--wait=false") == ""


ARM = {"goldgate.dev/arm": "arm-helper-7", **labelled("goldgate-arm")}


def arm(cluster: ClusterUnderTest) -> dict:
    """What the router makes."""
    spec = deepcopy(sleeping_pod(cluster, "x", account="goldgate-arm")["spec"]) | {
        "automountServiceAccountToken": False
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "arm-helper-7", "labels": ARM},
        "spec": {"selector": {"matchLabels": ARM}, "template": {"metadata": {"labels": ARM}, "spec": spec}},
    }


class TestRouter:
    def told(self, cluster: Deployed, document: dict) -> str:
        return Bearer.unbound(cluster, "goldgate-router").told(
            "create", "--dry-run=server", "--validate=false", "-f", "-", document=document
        )

    def test_makes_arms(self, deployed):
        assert self.told(deployed, arm(deployed)) == ""

    def test_makes_no_other_deployment(self, deployed):
        made = arm(deployed)
        made["metadata"]["labels"] = {"app": "mine"}

        assert "makes arms only" in self.told(deployed, made)

    @pytest.mark.parametrize("label", sorted(ARM))
    def test_makes_no_pod_that_passes_for_another(self, deployed, label):
        made = arm(deployed)
        bears = {**ARM, "app": "mine", label: "goldgate-router"}
        if label == "goldgate.dev/arm":
            del bears[label]
        made["spec"]["template"]["metadata"]["labels"] = bears
        made["spec"]["selector"] = {"matchLabels": {"app": "mine"}}

        assert "pods of arms bear the labels" in self.told(deployed, made)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"serviceAccountName": "goldgate-operator"}, "arms run as goldgate-arm"),
            ({"automountServiceAccountToken": True}, "without a token"),
            ({"volumes": [{"name": "a", "secret": {"secretName": "openai"}}]}, "empty folders only"),
        ],
    )
    def test_makes_no_arm_with_rights(self, deployed, change, why):
        made = arm(deployed)
        made["spec"]["template"]["spec"] |= change

        assert why in self.told(deployed, made)

    def test_ends_no_other_deployment(self, deployed):
        made = arm(deployed)
        made["metadata"] = {"name": "mine", "labels": {"app": "mine"}}
        deployed.kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(made))

        told = Bearer.unbound(deployed, "goldgate-router").told("delete", "deployment", "mine", "--wait=false")

        assert "changes and ends arms only" in told

    @pytest.mark.parametrize(
        ("spec", "why"),
        [
            ({"selector": ARM, "type": "LoadBalancer"}, "outside the cluster"),
            ({"selector": ARM, "externalIPs": ["192.0.2.1"]}, "outside the cluster"),
            ({"selector": {"app": "airflow"}}, "stand before arms"),
        ],
    )
    def test_opens_nothing_but_arms_and_not_to_the_outside(self, deployed, spec, why):
        made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "arm-helper-7", "labels": ARM}}
        made["spec"] = {"ports": [{"port": 8080}], **spec}

        assert why in self.told(deployed, made)

    def test_ends_the_service_of_an_arm_and_no_other(self, deployed):
        ports = {"ports": [{"port": 8080}]}
        for name, labels in (("arm-helper-7", ARM), ("mine", {})):
            made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": ports}
            deployed.kubectl("create", "-f", "-", stdin=json.dumps(made))
        router = Bearer.unbound(deployed, "goldgate-router")

        assert router.told("delete", "service", "arm-helper-7", "--wait=false") == ""
        assert "changes and ends Services of arms only" in router.told("delete", "service", "mine", "--wait=false")

    def test_gives_the_service_of_an_arm_its_next_owner(self, deployed):
        """One that an arm of the same name left behind; the one-node cluster asks for the right to delete it."""
        router = Bearer.unbound(deployed, "goldgate-router")
        told = []
        for name in ("before", "after"):
            owner = {**arm(deployed), "metadata": {"name": name}}
            uid = deployed.kubectl("create", "-f", "-", "-o", "jsonpath={.metadata.uid}", stdin=json.dumps(owner))
            made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "arm-helper-8", "labels": ARM}}
            made["metadata"]["ownerReferences"] = [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid}
            ]
            made["spec"] = {"ports": [{"port": 8080}], "selector": ARM}
            told.append(router.told("apply", "--server-side", "--validate=false", "-f", "-", document=made))

        assert told == ["", ""]


def test_tokens_of_pods_say_in_which_pod_they_are(deployed):
    """What the policies rest on: the API server knows the pod of a bound token."""
    token = Bearer.of_pod(deployed, "ask-1")._token
    claims = token.split(".")[1]

    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))

    assert told["kubernetes.io"]["pod"]["name"] == "ask-1"
    assert told["sub"] == account_in(deployed, "goldgate-task-run")
