"""What each account may do, to the last verb; and that it may do nothing else, here or anywhere."""

import json
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.deployed import account_in, overlay
from tests.cluster.stores import install_kinds

OURS = "goldgate.dev"
Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""


def rights(group: str, resources: str, verbs: str) -> set[Right]:
    return {(group, resource, verb) for resource in resources.split() for verb in verbs.split()}


MAY = {
    "goldgate-task-run": rights(OURS, "taskruns", "get create patch")
    | rights(OURS, "taskruns/status", "patch")
    | rights(OURS, "agents llms mcpservers tasks", "get")
    | rights(OURS, "parts", "get list create delete")
    | rights("", "events", "create"),
    "goldgate-evaluation": rights(OURS, "parts", "get list create"),
    "goldgate-operator": rights(OURS, "taskruns", "get list watch create patch")
    | rights(OURS, "taskruns/status", "patch")
    | rights(OURS, "agents llms mcpservers tasks", "get")
    | rights(OURS, "parts", "get list create delete")
    | rights("", "pods", "get list watch create delete")
    | rights("", "pods/log", "get")
    | rights("", "events", "create"),
    "goldgate-watcher": rights(OURS, "taskruns", "list watch"),
    "goldgate-router": rights("apps", "deployments", "list create patch delete")
    | rights("", "services", "list create patch delete")
    | rights("discovery.k8s.io", "endpointslices", "list"),
    "goldgate-arm": set(),
}

VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
MORE_VERBS = {
    ("rbac.authorization.k8s.io", "roles"): "escalate bind",
    ("rbac.authorization.k8s.io", "clusterroles"): "escalate bind",
    ("", "users"): "impersonate",
    ("", "groups"): "impersonate",
    ("", "serviceaccounts"): "impersonate",
    ("certificates.k8s.io", "signers"): "approve sign attest",
}
"""Beside those of every resource: what gives more rights than one has."""


@pytest.fixture(scope="module")
def deployed(shared_cluster: ClusterUnderTest, tmp_path_factory) -> ClusterUnderTest:
    """A namespace with the accounts and their roles."""
    install_kinds(shared_cluster)
    folder = overlay(tmp_path_factory.mktemp("rbac"), namespace=shared_cluster.namespace, bases=["rbac"])
    shared_cluster.kubectl("apply", "-k", str(folder))
    return shared_cluster


@pytest.fixture(scope="module")
def resources(deployed: ClusterUnderTest) -> set[tuple[str, str]]:
    """Every resource and subresource that the API server knows."""
    found = {("", "nodes/proxy"), ("", "serviceaccounts/token")}
    versions = ["/api/v1", *(f"/apis/{group}" for group in _groups(deployed))]
    for path in versions:
        group = path.split("/")[2] if path.startswith("/apis/") else ""
        for one in json.loads(deployed.kubectl("get", "--raw", path))["resources"]:
            found.add((group, one["name"]))
    return found


def _groups(cluster: ClusterUnderTest) -> Iterator[str]:
    for group in json.loads(cluster.kubectl("get", "--raw", "/apis"))["groups"]:
        yield group["preferredVersion"]["groupVersion"]


def rules_of(cluster: ClusterUnderTest, account: str, *, namespace: str) -> set[Right]:
    """Ask the API server for all rules of an account in a namespace."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    asked = ["create", "--validate=false", "-f", "-", "-o", "json", "--as", account_in(cluster, account)]
    told = json.loads(cluster.kubectl(*asked, stdin=json.dumps(review)))["status"]
    assert not told["incomplete"], told
    return {
        (group, resource, verb)
        for rule in told["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def verdicts(cluster: ClusterUnderTest, account: str, asked: list[Right], *, namespace: str) -> set[Right]:
    """Ask the API server one by one what an account may do, and return that."""
    reviews = [_review(cluster, account, right, namespace=namespace) for right in asked]
    create = ["create", "--validate=false", "-f", "-", "-o", "json"]
    told = cluster.kubectl(*create, stdin="\n".join(map(json.dumps, reviews)))
    answers = [one["status"]["allowed"] for one in _documents(told)]
    assert len(answers) == len(asked)
    return {right for right, is_allowed in zip(asked, answers, strict=True) if is_allowed}


def _review(cluster: ClusterUnderTest, account: str, right: Right, *, namespace: str) -> dict[str, object]:
    group, resource, verb = right
    resource, _, subresource = resource.partition("/")
    asked = {"group": group, "resource": resource, "subresource": subresource, "verb": verb, "namespace": namespace}
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{cluster.namespace}", "system:authenticated"]
    spec = {"user": account_in(cluster, account), "groups": groups, "resourceAttributes": asked}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def _documents(text: str) -> Iterator[dict]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        yield document
        while at < len(text) and text[at].isspace():
            at += 1


@pytest.mark.parametrize("account", sorted(MAY))
class TestAccount:
    def test_has_the_rights_that_it_needs_and_no_other_rule(self, deployed, account):
        """Beside what every account of a cluster may: ask who it is and what it may."""
        everybody = rules_of(deployed, "nobody-knows-me", namespace=deployed.namespace)

        found = rules_of(deployed, account, namespace=deployed.namespace)

        assert found == MAY[account] | everybody
        assert not {right for right in everybody if "review" not in right[1]}

    def test_may_do_nothing_else_to_any_resource_of_its_namespace(self, deployed, resources, account):
        asked = sorted(
            (group, resource, verb)
            for group, resource in resources | MORE_VERBS.keys()
            for verb in [*VERBS, *MORE_VERBS.get((group, resource), "").split()]
        )
        everybody = rules_of(deployed, "nobody-knows-me", namespace=deployed.namespace)

        assert verdicts(deployed, account, asked, namespace=deployed.namespace) - everybody == MAY[account]
        assert ("", "secrets", "get") in asked
        assert ("", "pods/exec", "create") in asked

    @pytest.mark.parametrize("elsewhere", ["default", "kube-system", ""])
    def test_may_do_nothing_outside_of_its_namespace(self, deployed, account, elsewhere):
        """An empty namespace is the whole cluster."""
        asked = [*MAY[account], ("", "nodes", "get"), ("", "namespaces", "list"), ("", "secrets", "get")]

        assert verdicts(deployed, account, asked, namespace=elsewhere) == set()

    def test_gives_no_token_to_a_pod_that_does_not_ask_for_it(self, deployed, account):
        told = deployed.kubectl("get", "serviceaccount", account, "-o", "jsonpath={.automountServiceAccountToken}")

        assert told == "false"


class TestAccounts:
    def test_are_all_told_here(self, deployed):
        told = deployed.kubectl("get", "serviceaccounts", "-o", "jsonpath={.items[*].metadata.name}").split()

        assert set(told) - {"default"} == MAY.keys()

    def test_have_no_rights_in_the_whole_cluster(self, deployed):
        told = json.loads(deployed.kubectl("get", "clusterrolebindings", "-o", "json"))["items"]

        assert not [one["metadata"]["name"] for one in told if deployed.namespace in json.dumps(one.get("subjects"))]
