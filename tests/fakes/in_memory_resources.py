"""Objects of a namespace that stand nowhere."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from goldgate.domain.errors import TransientError
from goldgate.ports.resources import Applied, Document, Kind


class InMemoryResources:
    """Implements `goldgate.ports.resources.Resources`."""

    def __init__(self, *documents: Document) -> None:
        self.is_down = False
        self.read: list[tuple[str, str]] = []
        """Every object that was asked for, in order."""
        self._held: dict[tuple[str, str], Document] = {}
        self._made = 0
        for document in documents:
            self.apply(document)

    def get(self, kind: Kind, name: str) -> Document | None:
        self._refuse_if_down()
        self.read.append((kind, name))
        found = self._held.get((kind, name))
        return deepcopy(found)

    def all(self, kind: Kind, *, labels: Mapping[str, str] | None = None) -> Sequence[Document]:
        self._refuse_if_down()
        found = [self._held[key] for key in sorted(self._held) if key[0] == kind]
        wanted = (labels or {}).items()
        return [deepcopy(each) for each in found if wanted <= each["metadata"].get("labels", {}).items()]

    def create(self, document: Document) -> bool:
        self._refuse_if_down()
        key = _key(document)
        if key in self._held:
            return False
        self._put(document)
        return True

    def apply(self, document: Document) -> Applied:
        self._refuse_if_down()
        key = _key(document)
        before = self._held.get(key)
        if before is None:
            self._put(document)
            return Applied.CREATED
        merged = _merged(before, document)
        if merged == before:
            return Applied.UNCHANGED
        self._held[key] = merged
        return Applied.CONFIGURED

    def remove(self, kind: Kind, name: str) -> None:
        self._refuse_if_down()
        self._held.pop((kind, name), None)

    def _put(self, document: Document) -> None:
        self._made += 1
        held = deepcopy(document)
        held["metadata"] |= {"uid": f"uid-{self._made}", "namespace": "test", "resourceVersion": "1"}
        self._held[_key(document)] = held

    def _refuse_if_down(self) -> None:
        if self.is_down:
            raise TransientError("The API server cannot be reached.")


def _key(document: Document) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def _merged(before: Document, document: Document) -> Document:
    """What one manager applies: its `spec` is the whole `spec`, its labels stand beside those of others."""
    metadata: dict[str, Any] = deepcopy(before["metadata"])
    for field in ("labels", "annotations"):
        if field in document["metadata"]:
            metadata[field] = {**metadata.get(field, {}), **document["metadata"][field]}
    return {**before, "spec": deepcopy(document["spec"]), "metadata": metadata}
