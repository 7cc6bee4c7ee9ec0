"""The objects of a namespace that people apply. Implements `goldgate.ports.resources.Resources`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import FAILURES, Patience, refusal
from goldgate.adapters.cluster.objects import Objects
from goldgate.contracts.cluster import GROUP, VERSION
from goldgate.domain.errors import PermanentError, first_line
from goldgate.ports.resources import Applied, Document, Kind

_PLURALS: Final[Mapping[Kind, str]] = {
    "LLM": "llms",
    "Agent": "agents",
    "MCPServer": "mcpservers",
    "Task": "tasks",
    "TaskRun": "taskruns",
    "Part": "parts",
}
_UNKNOWN_FIELD: Final = "failed to create typed patch object"
"""What a server that applies says of fields that no schema knows, with the code of a fault of its own."""


class ClusterResources:
    """Reads and writes objects, each request tried again while the API server restarts. For many threads."""

    def __init__(self, cluster: Cluster, *, patience: Patience | None = None) -> None:
        self._client = cluster.client
        self._patience = patience or Patience()
        self._objects = {
            kind: Objects(cluster, kind=kind, plural=plural, patience=self._patience)
            for kind, plural in _PLURALS.items()
        }

    def get(self, kind: Kind, name: str) -> Document | None:
        """Read one object whole."""
        return self._objects[kind].get(name)

    def all(self, kind: Kind, *, labels: Mapping[str, str] | None = None) -> Sequence[Document]:
        """Read all objects of a kind."""
        return sorted(self._objects[kind].all(labels), key=lambda each: str(each["metadata"]["name"]))

    def create(self, document: Document) -> bool:
        """Make an object, unless there is one of that name."""
        return self._objects[_kind(document)].create(document) is not None

    def apply(self, document: Document) -> Applied:
        """Apply an object from the server's side: fields that were applied before and are left out now, go."""
        kind, name = _kind(document), document["metadata"]["name"]
        before = self.get(kind, name)
        try:
            after = self._patience.ask(lambda: self._sent(kind, name, document))
        except FAILURES as error:
            raise refusal(error, doing=f"apply {kind} `{name}`") from error
        if before is None:
            return Applied.CREATED
        is_same = after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        return Applied.UNCHANGED if is_same else Applied.CONFIGURED

    def remove(self, kind: Kind, name: str) -> None:
        """Remove an object."""
        self._objects[kind].delete(name)

    def _sent(self, kind: Kind, name: str, document: Document) -> dict[str, Any]:
        resource = create_namespaced_resource(GROUP, VERSION, kind, _PLURALS[kind])
        try:
            # By force: whoever runs the command means what stands in the document, also where `kubectl apply` wrote.
            return dict(self._client.patch(resource, name, document, patch_type=PatchType.APPLY, force=True))
        except ApiError as error:
            if _UNKNOWN_FIELD not in str(error):
                raise
            raise PermanentError(
                f"The API server would not apply {kind} `{name}`: {first_line(error)}. Its resource definitions are "
                "older than this Goldgate: `kubectl apply -k include/deploy/crds`."
            ) from error


def _kind(document: Document) -> Kind:
    kind: Kind = document["kind"]
    return kind
