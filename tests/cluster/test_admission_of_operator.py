"""Which pods the operator may make and end: such as belong to a run or an evaluation, and pass for no others."""

import pytest

from tests.cluster.bearers import Bearer, Deployed, labelled
from tests.cluster.ordered_pods import pod_for_a_run, pod_for_an_evaluation


class TestOperator:
    def told(self, cluster: Deployed, document: dict) -> str:
        return Bearer.unbound(cluster, "goldgate-operator").told(
            "create", "--dry-run=server", "--validate=false", "-f", "-", document=document
        )

    def test_makes_pods_of_runs(self, deployed):
        """As its launcher orders them; on the one-node cluster, owners are checked as well."""
        assert self.told(deployed, pod_for_a_run(deployed)) == ""

    def test_makes_pods_of_evaluations(self, deployed):
        assert self.told(deployed, pod_for_an_evaluation(deployed)) == ""

    @pytest.mark.parametrize("account", ["default", "goldgate-operator", "goldgate-router"])
    def test_makes_no_pod_with_another_account(self, deployed, account):
        made = pod_for_a_run(deployed)
        made["spec"]["serviceAccountName"] = account

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
        made = pod_for_a_run(deployed)
        made["spec"]["volumes"].append({"name": "mine", **volume})

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
