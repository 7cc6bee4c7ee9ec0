"""Who asks an API server that holds to the admission policies: with the token of a pod, or of an account."""

import base64
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from goldgate.adapters.cluster.connection import Access
from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.deployed import DEPLOY, await_policies, overlay
from tests.cluster.stores import install_kinds

API = "goldgate.dev/v1alpha1"


@dataclass(frozen=True, kw_only=True)
class Deployed(ClusterUnderTest):
    """A namespace with accounts, their roles, and the policies."""

    nobody: Path
    """A kubeconfig that knows the server and nobody to ask as: a certificate would win over a token."""


def deployed_in(cluster: ClusterUnderTest, folder: Path) -> Deployed:
    """Bring accounts and policies into a namespace, and wait until they hold."""
    install_kinds(cluster)
    overlay(folder, namespace=cluster.namespace, bases=["rbac", "admission"])
    cluster.kubectl("apply", "-k", str(folder))
    await_policies(cluster, *policies())
    known = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json"))
    nobody = folder / "nobody.json"
    nobody.write_text(json.dumps({**known, "users": [{"name": one["name"], "user": {}} for one in known["users"]]}))
    return Deployed(**vars(cluster), nobody=nobody)


def access_of(cluster: Deployed, account: str) -> Access:
    """Reach the namespace with the token of an account, and by nothing else."""
    known = json.loads(cluster.nobody.read_text())
    user = {"token": cluster.kubectl("create", "token", account).strip()}
    known["users"] = [{"name": one["name"], "user": user} for one in known["users"]]
    return Access(kubeconfig=json.dumps(known), namespace=cluster.namespace)


def policies() -> list[str]:
    """Name the policies that we ship."""
    found = (one for path in (DEPLOY / "admission").glob("*.yaml") for one in yaml.safe_load_all(path.read_text()))
    return [one["metadata"]["name"] for one in found if one["kind"] == "ValidatingAdmissionPolicy"]


class Bearer:
    """Who asks with the token of a pod."""

    def __init__(self, cluster: Deployed, token: str) -> None:
        self._cluster = cluster
        self._token = token

    @classmethod
    def of_pod(cls, cluster: Deployed, pod: str, *, account: str = "goldgate-task-run") -> "Bearer":
        """Make the pod, which never runs, and the token that its node would give it."""
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(sleeping_pod(cluster, pod, account=account)))
        bound = ["--bound-object-kind", "Pod", "--bound-object-name", pod]
        return cls(cluster, cluster.kubectl("create", "token", account, *bound).strip())

    @classmethod
    def unbound(cls, cluster: Deployed, account: str = "goldgate-task-run") -> "Bearer":
        return cls(cluster, cluster.kubectl("create", "token", account).strip())

    def told(self, *arguments: str, document: object = None) -> str:
        """Ask the API server, and return what it refused with; empty if it did as asked."""
        given = None if document is None else json.dumps(document)
        identity = ["--kubeconfig", str(self._cluster.nobody), "--token", self._token]
        ran = self._cluster.try_kubectl(*identity, *arguments, stdin=given)
        return "" if ran.returncode == 0 else ran.stderr

    def patch(self, run: str, change: object, *, is_of_status: bool = False) -> str:
        """Patch a TaskRun, as `told`: kubectl reads before it patches, which a pod may not do with a status."""
        known = json.loads(self._cluster.nobody.read_text())["clusters"][0]["cluster"]
        path = f"/apis/{API}/namespaces/{self._cluster.namespace}/taskruns/{run}{'/status' * is_of_status}"
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/merge-patch+json"}
        asked = Request(known["server"] + path, json.dumps(change).encode(), headers, method="PATCH")
        trusted = ssl.create_default_context(cadata=base64.b64decode(known["certificate-authority-data"]).decode())
        try:
            with urlopen(asked, context=trusted, timeout=60):
                return ""
        except HTTPError as refused:
            with refused:
                return json.loads(refused.read())["message"]

    def create(self, document: object) -> str:
        return self.told("create", "--validate=false", "-f", "-", document=document)


def sleeping_pod(cluster: ClusterUnderTest, name: str, *, account: str) -> dict:
    """A pod that no node takes."""
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {}},
        "spec": {
            "serviceAccountName": account,
            "nodeSelector": {"goldgate.dev/nowhere": "true"},
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "run", "image": cluster.image, "securityContext": restricted}],
        },
    }


def labelled(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "goldgate"}
