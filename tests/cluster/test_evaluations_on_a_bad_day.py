"""What becomes of gold sets that pods ask when the cluster, or somebody, is in their way."""

import json

import pytest

from goldgate.domain.errors import PermanentError
from tests.cluster.evaluating import Evaluations
from tests.cluster.line import line_to
from tests.waiting import until

_MORE_THAN_A_SHORT_PATIENCE = 12
"""Attempts, each a little later than the one before: over ten seconds."""


class TestAnEvaluation:
    def test_outlives_an_api_server_that_is_away(self, evaluations: Evaluations):
        cluster, answering = evaluations.place.cluster, evaluations.place.world.answering
        with line_to(cluster.kubeconfig, namespace=cluster.namespace) as (line, access):
            with answering.held():
                asked = evaluations.begin("cut-off", access=access)
                answering.await_one()
                with line.cut():
                    until(lambda: asked.done() or line.turned_away >= _MORE_THAN_A_SHORT_PATIENCE, within_s=120)

            assert len(asked.result(timeout=240)["champion"]) == 6

        assert evaluations.parts() == set()

    def test_is_asked_in_another_pod_when_its_node_is_drained(self, evaluations: Evaluations):
        cluster, answering = evaluations.place.cluster, evaluations.place.world.answering
        with answering.held():
            asked = evaluations.begin("drained")
            answering.await_one()
            [pod] = evaluations.pods_of("drained")
            metadata = {"name": pod.removeprefix("pod/"), "namespace": cluster.namespace}
            eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})
            where = f"/api/v1/namespaces/{cluster.namespace}/pods/{metadata['name']}/eviction"
            cluster.kubectl("create", "--raw", where, "-f", "-", stdin=eviction)
            answering.await_one()

        assert len(asked.result(timeout=240)["champion"]) == 6

    def test_without_enough_memory_says_so_and_is_not_asked_again(self, evaluations: Evaluations):
        evaluations.change_pods(resources={"requests": {"memory": "20Mi"}, "limits": {"memory": "20Mi"}})

        with pytest.raises(PermanentError, match=r"OOMKilled.*resources\.limits\.memory"):
            evaluations.begin("starved").result(timeout=240)
