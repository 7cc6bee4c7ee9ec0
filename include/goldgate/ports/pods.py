"""Pods that work on one thing each: made, looked at, listened to and ended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from goldgate.contracts.pods import PodSettingsSpec
from goldgate.contracts.resource_parts import FromEnv
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.pods import PodFacts


class PodRefusedError(PermanentError):
    """The API server, or an admission policy behind it, will not have this pod. Nothing was made."""


class QuotaExceededError(TransientError):
    """The namespace has no room for another pod now. Nothing was made."""


@dataclass(frozen=True, kw_only=True)
class PodOrder:
    """One pod to be made."""

    name: str
    """At most 63 letters; the same order has the same name, and is carried out once."""
    run: str
    """The TaskRun that owns it, by name: the pod goes when the run does."""
    command: tuple[str, ...]
    """Program and arguments in the image."""
    settings: PodSettingsSpec
    env: Mapping[str, str] = field(default_factory=dict)
    env_from: Mapping[str, FromEnv] = field(default_factory=dict)
    """Secrets that this pod needs beside those of the settings."""
    labels: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float | None = None
    """The cluster ends the pod after so many seconds, whatever it does."""


class Pods(Protocol):
    """The pods of one namespace."""

    def launch(self, order: PodOrder) -> None:
        """Make a pod; one of that name that is there already is taken for it.

        Raises:
            PodRefusedError: It will never be made as it is ordered.
            QuotaExceededError: It may be made later.
            TransientError: The API server cannot be reached.
        """

    def look(self, name: str) -> PodFacts | None:
        """Tell how a pod is; None if there is none of that name.

        Raises:
            TransientError: The API server cannot be reached. That says nothing about the pod.
        """

    def log(self, name: str, *, since: datetime | None = None) -> Iterator[str]:
        """Yield what the pod has said so far, line by line; nothing if it never began or is gone."""

    def end(self, name: str) -> None:
        """Have a pod end within its grace. Does nothing if it is gone."""
