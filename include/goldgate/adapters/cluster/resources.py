"""The objects of a namespace that people apply. Implements `goldgate.ports.resources.Resources`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from goldgate.adapters.cluster.connection import Cluster
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.objects import AbsentError, Object, Objects, UnfitPatchError, expect, pointer
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.resources import Applied, Document, Kind

_PLURALS: Final[Mapping[Kind, str]] = {
    "LLM": "llms",
    "Agent": "agents",
    "MCPServer": "mcpservers",
    "Task": "tasks",
    "TaskRun": "taskruns",
    "Part": "parts",
}
_ROUNDS: Final = 5
"""So often somebody else may write an object between a look at it and a change."""


class ClusterResources:
    """Reads and writes objects, each request tried again while the API server restarts. For many threads."""

    def __init__(self, cluster: Cluster, *, patience: Patience | None = None) -> None:
        self._objects = {
            kind: Objects(cluster, kind=kind, plural=plural, patience=patience or Patience())
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
        """Have an object say what the document says. Its whole `spec`: a field that somebody else added, goes."""
        kind, name = _kind(document), str(document["metadata"]["name"])
        for _ in range(_ROUNDS):
            before = self.get(kind, name)
            if before is None:
                if self.create(document):
                    return self._kept(document, Applied.CREATED)
                continue
            changes = _changes(before, document)
            if not changes:
                return Applied.UNCHANGED
            unchanged = expect("/metadata/resourceVersion", before["metadata"]["resourceVersion"])
            try:
                self._objects[kind].patch(name, [unchanged, *changes])
            except (AbsentError, UnfitPatchError):
                continue  # somebody else was first, or it was this very change and its answer was lost
            return self._kept(document, Applied.CONFIGURED)
        raise TransientError(f"Others write {kind} `{name}` all the time; it could not be applied. Try again.")

    def remove(self, kind: Kind, name: str) -> None:
        """Remove an object."""
        self._objects[kind].delete(name)

    def _kept(self, document: Document, outcome: Applied) -> Applied:
        """Hold the server to having taken everything: it leaves out, and says nothing of, what its schema lacks."""
        kind, name = _kind(document), document["metadata"]["name"]
        found = self.get(kind, name)
        if found is not None and found["spec"] != document["spec"]:
            raise PermanentError(
                f"Found {kind} `{name}` in the cluster without all that was applied; expected it whole. Its resource "
                "definitions are older than this Goldgate: `kubectl apply -k include/deploy/crds`, then apply again."
            )
        return outcome


def _changes(before: Object, document: Document) -> list[Object]:
    """Write the JSON patch that makes an object say what a document says; empty if it does."""
    changes: list[Object] = []
    if before["spec"] != document["spec"]:
        changes.append({"op": "replace", "path": "/spec", "value": document["spec"]})
    for field in ("labels", "annotations"):
        held: Mapping[str, Any] = before["metadata"].get(field) or {}
        wanted: Mapping[str, Any] = document["metadata"].get(field) or {}
        new = {key: value for key, value in wanted.items() if held.get(key) != value}
        if new and not held:
            changes.append({"op": "add", "path": pointer("metadata", field), "value": {}})
        changes += [{"op": "add", "path": pointer("metadata", field, key), "value": new[key]} for key in sorted(new)]
    return changes


def _kind(document: Document) -> Kind:
    kind: Kind = document["kind"]
    return kind
