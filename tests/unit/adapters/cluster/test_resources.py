import httpx2
import pytest

from goldgate.adapters.cluster.resources import ClusterResources
from goldgate.domain.errors import PermanentError
from tests.fakes.scripted_api_server import cluster_that


class TestGet:
    def test_says_of_an_object_that_it_is_too_deep_to_be_read(self):
        """An API server takes ten thousand levels."""
        extra = b'{"a":' * 9_000 + b"1" + b"}" * 9_000
        answer = httpx2.Response(200, content=b'{"metadata": {"name": "m"}, "spec": {"extra": ' + extra + b"}}")

        with pytest.raises(PermanentError, match=r"values in values, deeper than can be read, .* read LLM `m`"):
            ClusterResources(cluster_that(lambda _: answer)).get("LLM", "m")
