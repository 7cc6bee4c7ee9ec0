import json
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
        with pytest.raises(PermanentError, match=r"would not create LLM `model`: .*one of `provider`, `baseUrl`"):
            resources.apply({**llm(), "spec": {"model": "m-1"}})

    def test_tell_of_a_field_that_nobody_knows(self, resources: Resources):
        with pytest.raises(PermanentError, match=r"without all that was applied.*kubectl apply -k include/deploy/crds"):
            resources.apply(llm(colour="red"))

    def test_tell_when_the_object_is_there_already(self, resources: Resources):
        resources.apply(llm())

        with pytest.raises(PermanentError, match=r"would not write LLM `model`: .*one of `provider`, `baseUrl`"):
            resources.apply({**llm(), "spec": {"model": "m-1"}})


class TestApply:
    def test_takes_away_what_kubectl_added(self, resources: Resources, cluster: ClusterUnderTest):
        """Else whoever is told to apply again would be told so for ever."""
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(llm(timeoutSeconds=12, maxRetries=1)))

        resources.apply(llm(timeoutSeconds=13))

        spec = json.loads(cluster.kubectl("get", "llm", "model", "-o", "jsonpath={.spec}"))
        assert spec == {"model": "m-1", "provider": "openai", "timeoutSeconds": 13}
