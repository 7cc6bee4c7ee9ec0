"""What pods say of themselves, read from documents that a Kubernetes 1.36 API server gave."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from goldgate.adapters.cluster.pod_facts import facts_of
from goldgate.domain.runs.pods import PodPhase

DOCUMENTS = Path(__file__).parent / "pod_documents"


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCUMENTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def made_at(pod: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


class TestFactsOf:
    @pytest.mark.parametrize(
        ("name", "phase", "reason", "code", "said"),
        [
            ("running", PodPhase.RUNNING, "", None, ""),
            ("succeeded", PodPhase.ENDED, "", 0, ""),
            ("failed-5", PodPhase.ENDED, "", 5, "it says why"),
            ("oom-killed", PodPhase.ENDED, "OOMKilled", 137, ""),
            ("killed-137", PodPhase.ENDED, "", 137, ""),
            ("aborted", PodPhase.ENDED, "", 139, ""),
            ("deadline-exceeded", PodPhase.ENDED, "DeadlineExceeded", 137, "longer than the specified deadline"),
            ("start-error", PodPhase.ENDED, "StartError", 128, "/no/such/program"),
            ("unschedulable", PodPhase.PENDING, "Unschedulable", None, "1 Insufficient cpu"),
            ("image-never-pull", PodPhase.PENDING, "ErrImageNeverPull", None, "is not present"),
            ("image-pull-back-off", PodPhase.PENDING, "ImagePullBackOff", None, "connection refused"),
            ("invalid-image-name", PodPhase.PENDING, "InvalidImageName", None, "must be lowercase"),
            ("secret-missing", PodPhase.PENDING, "CreateContainerConfigError", None, 'secret "model-key" not found'),
            ("ending", PodPhase.ENDING, "", None, ""),
            ("evicted-ending", PodPhase.ENDING, "EvictionByEvictionAPI", None, "evicting"),
        ],
    )
    def test_reads_the_most_telling_reason(self, name, phase, reason, code, said):
        pod = document(name)

        facts = facts_of(pod, now=made_at(pod))

        assert (facts.phase, facts.reason, facts.exit_code) == (phase, reason, code)
        assert said in facts.message

    def test_knows_a_pod_that_the_cluster_takes_away(self):
        taken, running = document("evicted-ending"), document("running")

        assert facts_of(taken, now=made_at(taken)).is_disrupted
        assert not facts_of(running, now=made_at(running)).is_disrupted

    def test_tells_how_old_it_is_and_how_long_it_should_have_been_gone(self):
        pod = document("ending")
        due = datetime.fromisoformat(pod["metadata"]["deletionTimestamp"])

        late = facts_of(pod, now=due + timedelta(seconds=70))

        assert late.overdue_s == 70
        assert facts_of(pod, now=due).overdue_s == 0
        assert facts_of(pod, now=made_at(pod) + timedelta(seconds=5)).age_s == 5

    def test_takes_a_pod_for_ended_once_its_own_container_is_whatever_runs_beside_it(self):
        pod = document("succeeded")
        beside = {"name": "mesh-proxy", "state": {"running": {"startedAt": "2026-11-21T18:00:00Z"}}}
        pod["status"]["phase"] = "Running"
        pod["status"]["containerStatuses"].insert(0, beside)

        assert facts_of(pod, now=made_at(pod)).phase is PodPhase.ENDED

    def test_tells_what_a_container_waits_for_that_was_put_beside_it(self):
        pod = document("running")
        waits = {"name": "mesh", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
        pod["status"] = {"phase": "Pending", "initContainerStatuses": [waits]}

        facts = facts_of(pod, now=made_at(pod))

        assert (facts.phase, facts.reason, facts.message) == (PodPhase.PENDING, "ImagePullBackOff", "no such image")

    def test_knows_a_pod_past_its_deadline_whatever_its_container_died_of(self):
        pod = document("deadline-exceeded")
        [container] = pod["status"]["containerStatuses"]
        container["state"]["terminated"]["reason"] = "OOMKilled"

        assert facts_of(pod, now=made_at(pod)).reason == "DeadlineExceeded"

    def test_takes_a_pod_on_a_node_that_is_silent_for_one_that_may_run(self):
        pod = document("running")
        pod["status"]["phase"] = "Unknown"

        assert facts_of(pod, now=made_at(pod)).phase is PodPhase.RUNNING

    def test_names_the_object_that_controls_it(self):
        pod = document("running")
        owners = [{"uid": "u1", "kind": "A"}, {"uid": "u2", "kind": "TaskRun", "controller": True}]
        pod["metadata"]["ownerReferences"] = owners

        assert facts_of(pod, now=made_at(pod)).owner == "u2"

    def test_reads_a_pod_that_has_only_just_been_made(self):
        facts = facts_of({"metadata": {"name": "a"}, "status": {"phase": "Pending"}}, now=datetime.now(UTC))

        assert (facts.name, facts.phase, facts.reason) == ("a", PodPhase.PENDING, "")

    def test_reads_an_eviction_by_the_node_itself(self):
        pod = deepcopy(document("running"))
        message = 'Usage of EmptyDir volume "home" exceeds the limit "1M".'
        pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": message, "conditions": []}

        facts = facts_of(pod, now=made_at(pod))

        assert (facts.phase, facts.reason, facts.message) == (PodPhase.ENDED, "Evicted", message)
