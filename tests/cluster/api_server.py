"""The API server's own verdict on documents, asked as a client would that changes nothing."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

from tests.cluster.conftest import ClusterUnderTest

Document = dict[str, Any]

PLURALS = {
    "LLM": "llms",
    "Agent": "agents",
    "MCPServer": "mcpservers",
    "Task": "tasks",
    "TaskRun": "taskruns",
    "Part": "parts",
}
_VERDICTS = (400, 422)
"""Unknown fields, and everything else. Another code says nothing of the document."""
_FORBIDDEN = 403
_POLICY = "ValidatingAdmissionPolicy 'goldgate-secrets'"
"""It is asked once the schema has taken a document, and says which Secrets the namespace lists."""
_STRICT = "dryRun=All&fieldValidation=Strict"


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    """The API server, behind a proxy that says who asks."""

    address: str
    namespace: str

    def refusal_of(self, document: Document) -> str:
        """Say why it would not take a new document; empty: it would."""
        return self._refusal("POST", f"{PLURALS[document['kind']]}?{_STRICT}", document)

    def refusal_of_status(self, document: Document) -> str:
        """Say why it would not take the status of a document that it holds; empty: it would."""
        path = f"{PLURALS[document['kind']]}/{document['metadata']['name']}/status?{_STRICT}"
        return self._refusal("PUT", path, document)

    def _refusal(self, verb: str, path: str, document: Document) -> str:
        request = urllib.request.Request(
            f"{self.address}/apis/goldgate.dev/v1alpha1/namespaces/{self.namespace}/{path}",
            data=json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
            method=verb,
        )
        try:
            with urllib.request.urlopen(request):
                return ""
        except HTTPError as error:
            told = str(json.loads(error.read())["message"])
            if error.code == _FORBIDDEN and _POLICY in told:
                return ""
            if error.code not in _VERDICTS:
                raise
            return told


@contextmanager
def api_server(cluster: ClusterUnderTest) -> Iterator[ApiServer]:
    """Reach the API server whatever the kubeconfig says."""
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            told = proxy.stdout.readline()
            served = re.search(r"127\.0\.0\.1:\d+", told)
            assert served, f"kubectl proxy said: {told}"
            yield ApiServer(address=f"http://{served[0]}", namespace=cluster.namespace)
        finally:
            proxy.terminate()
