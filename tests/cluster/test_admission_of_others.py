"""Pods that are none of Goldgate's, made by tasks of one Airflow: where the namespace says so, and nowhere else."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.bearers import Bearer, Deployed, sleeping_pod
from tests.cluster.ordered_pods import pod_for_a_run
from tests.waiting import until

LABEL = "goldgate.dev/other-pods"
OTHER = "other"


@pytest.fixture(scope="module")
def cluster(deployed: Deployed) -> Deployed:
    """With a pod of others."""
    deployed.kubectl("create", "-f", "-", stdin=json.dumps(sleeping_pod(deployed, OTHER, account="default")))
    return deployed


@pytest.fixture
def label(cluster: Deployed) -> Iterator[Callable[[str], None]]:
    """Label the namespace, until the end of the test."""

    def write(value: str) -> None:
        cluster.kubectl("label", "--overwrite", "namespace", cluster.namespace, f"{LABEL}={value}")

    yield write
    cluster.kubectl("label", "namespace", cluster.namespace, f"{LABEL}-")


def refused_creation(cluster: Deployed) -> str:
    made = sleeping_pod(cluster, "another", account="default")
    return _operator(cluster).told("create", "--dry-run=server", "-f", "-", document=made)


def refused_end(cluster: Deployed) -> str:
    return _operator(cluster).told("delete", "--dry-run=server", "pod", OTHER)


def _operator(cluster: Deployed) -> Bearer:
    return Bearer.unbound(cluster, "goldgate-operator")


class TestPodsOfOthers:
    def test_are_made_and_ended_where_the_namespace_allows_them(self, cluster, label):
        label("allowed")

        until(lambda: refused_creation(cluster) == "" and refused_end(cluster) == "")

    @pytest.mark.parametrize("value", ["", "denied"])
    def test_are_not_by_another_word(self, cluster, label, value):
        label("allowed")
        until(lambda: refused_creation(cluster) == "")
        label(value)

        until(lambda: "denied request" in refused_creation(cluster))
        assert "ends pods of TaskRuns and of evaluations only" in refused_end(cluster)

    def test_are_not_where_nothing_is_said(self, cluster):
        until(lambda: "denied request" in refused_creation(cluster))
        made = pod_for_a_run(cluster)
        made["spec"]["containers"][0]["image"] = "registry.example/mine:1"

        told = _operator(cluster).told("create", "--dry-run=server", "--validate=false", "-f", "-", document=made)

        assert "may not run in namespace" in told
