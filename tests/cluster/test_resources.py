from collections.abc import Iterator

import pytest

from goldgate.adapters.cluster.connection import connect
from goldgate.adapters.cluster.resources import ClusterResources
from goldgate.domain.errors import PermanentError
from goldgate.ports.resources import Resources
from tests.cluster.conftest import ClusterUnderTest
from tests.contracts.test_resources_port import ResourcesContract, llm


@pytest.fixture
def resources(cluster: ClusterUnderTest) -> Iterator[Resources]:
    opened = connect(str(cluster.kubeconfig), namespace=cluster.namespace)
    yield ClusterResources(opened)
    opened.client.close()


class TestClusterResources(ResourcesContract):
    """The rules of every implementation hold on a real API server."""


class TestRefusals:
    def test_tell_what_the_api_server_says(self, resources: Resources):
        with pytest.raises(PermanentError, match=r"would not apply LLM `model`: .*one of `provider`, `baseUrl`"):
            resources.apply({**llm(), "spec": {"model": "m-1"}})

    def test_tell_of_a_field_that_nobody_knows(self, resources: Resources):
        with pytest.raises(PermanentError, match=r"colour.*kubectl apply -k include/deploy/crds"):
            resources.apply(llm(colour="red"))

    def test_what_kubectl_applied_is_taken_over(self, resources: Resources, cluster: ClusterUnderTest):
        """Whoever runs the command means what stands in the document."""
        cluster.kubectl("apply", "-f", "-", stdin=str(llm(timeoutSeconds=12)).replace("'", '"'))

        resources.apply(llm(timeoutSeconds=13))

        assert cluster.kubectl("get", "llm", "model", "-o", "jsonpath={.spec.timeoutSeconds}") == "13"
