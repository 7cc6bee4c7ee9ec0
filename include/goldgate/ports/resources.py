"""What people apply to a cluster: LLMs, Agents, MCPServers, Tasks, and the parts that bundles lie in."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, Protocol

Kind = Literal["LLM", "Agent", "MCPServer", "Task", "TaskRun", "Part"]

Document = dict[str, Any]
"""An object as JSON: `apiVersion`, `kind`, `metadata`, `spec`."""


class Applied(StrEnum):
    """What became of an object that was applied. The values are those of `kubectl apply`."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


class Resources(Protocol):
    """The objects of one namespace.

    Every method raises `TransientError` if the API server cannot be reached, and `PermanentError` if it refuses.
    """

    def get(self, kind: Kind, name: str) -> Document | None:
        """Read one object whole, as the server has it; None if there is none of that name."""

    def all(self, kind: Kind, *, labels: Mapping[str, str] | None = None) -> Sequence[Document]:
        """Read all objects of a kind that have these labels, by name."""

    def create(self, document: Document) -> bool:
        """Make an object; False if there is one of that name, which is left as it is."""

    def apply(self, document: Document) -> Applied:
        """Make an object, or make it say what the document says: its whole `spec`, and these labels and annotations.

        Other labels and annotations stay.
        """

    def remove(self, kind: Kind, name: str) -> None:
        """Remove an object. Does nothing if there is none of that name."""
