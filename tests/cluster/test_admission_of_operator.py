"""Which pods the operator may make and end: such as belong to a run or an evaluation, and pass for no others."""

import pytest

from goldgate.adapters.cluster.events import Line, event_of
from goldgate.contracts.task_runs import RunEvent
from tests.cluster.bearers import Bearer, Deployed, labelled
from tests.cluster.ordered_pods import Document, pod_for_a_run, pod_for_an_evaluation
from tests.contracts.test_task_run_store_port import AT


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


class TestEventsOfTheOperator:
    def event(self, cluster: Deployed) -> Document:
        happened = RunEvent(at=AT, reason="PodLost", message="its node is gone")
        return event_of(Line(run="ask", uid="of-ask", number=1, event=happened), namespace=cluster.namespace)

    def told(self, cluster: Deployed, document: Document) -> str:
        return Bearer.unbound(cluster, "goldgate-operator").told(
            "create", "--dry-run=server", "-f", "-", document=document
        )

    def test_tell_of_runs(self, deployed):
        assert self.told(deployed, self.event(deployed)) == ""

    @pytest.mark.parametrize(
        "about",
        [{"kind": "Pod", "apiVersion": "v1"}, {"kind": "TaskRun", "apiVersion": "example.com/v1"}, {"kind": ""}],
    )
    def test_tell_of_nothing_else(self, deployed, about):
        made = self.event(deployed)
        made["involvedObject"].update(about)

        assert "the operator tells of TaskRuns only" in self.told(deployed, made)

    @pytest.mark.parametrize("fields", [{"source": {"component": "kubelet"}}, {"reportingComponent": "kubelet"}])
    def test_are_in_no_other_name(self, deployed, fields):
        assert "as goldgate-task-run" in self.told(deployed, {**self.event(deployed), **fields})
