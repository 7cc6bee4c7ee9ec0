"""An API server that answers as a test says, behind lightkube's own client."""

from collections.abc import Callable
from typing import Any

import httpx2
from lightkube import AsyncClient, Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster as Server
from lightkube.config.models import User

from goldgate.adapters.cluster.connection import Cluster

Answer = Callable[[httpx2.Request], httpx2.Response]


def cluster_that(answers: Answer) -> Cluster:
    """Reach the namespace `agents` of a server that answers so."""
    config = KubeConfig.from_one(cluster=Server(server="http://api.invalid"), user=User(token="t")).get()
    client = Client(config, namespace="agents", transport=httpx2.MockTransport(answers))
    return Cluster(client=client, new_async_client=_no_loop, namespace="agents")


def refused(code: int, message: str) -> httpx2.Response:
    """Refuse as an API server does."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    return httpx2.Response(code, json=status)


def cut(_: httpx2.Request) -> httpx2.Response:
    """Answer nothing."""
    raise httpx2.ConnectError("Connection refused")


def as_json(thing: dict[str, Any]) -> httpx2.Response:
    """Answer with an object."""
    return httpx2.Response(200, json=thing)


def _no_loop() -> AsyncClient:
    raise AssertionError("nothing here watches")
