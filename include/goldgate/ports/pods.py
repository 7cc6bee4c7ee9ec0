"""Pods that work on one thing each: made, looked at, listened to and ended; and the count of them that a run keeps."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from goldgate.contracts.pods import PodSettingsSpec
from goldgate.contracts.resource_parts import FromEnv
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.pods import Launches, PodFacts


class PodRefusedError(PermanentError):
    """The API server, or an admission policy behind it, will not have this pod. Nothing was made."""


class PodPostponedError(TransientError):
    """The pod cannot be made now, and may be later. Nothing was made."""


class QuotaExceededError(PodPostponedError):
    """The namespace has no room for another pod now. Nothing was made."""


@dataclass(frozen=True, kw_only=True)
class PodOrder:
    """One pod to be made."""

    name: str
    """At most 63 letters; the same order has the same name, and is carried out once."""
    run: str | None
    """The TaskRun that owns it, by name: the pod goes when the run does. None: it belongs to nothing."""
    run_uid: str = ""
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
        """Make a pod; one of that name and that owner that is there already is taken for it.

        Raises:
            PodRefusedError: It will never be made as it is ordered.
            PodPostponedError: It may be made later: no quota is left, or a pod of another run is still in its place.
            TransientError: The API server cannot be reached.
        """

    def look(self, name: str, *, run_uid: str) -> PodFacts | None:
        """Tell how a pod is; None if there is none of that name, or it belongs to something else than this run.

        An empty `run_uid` is that of a pod that belongs to nothing.

        Raises:
            TransientError: The API server cannot be reached. That says nothing about the pod.
        """

    def labelled(self, labels: Mapping[str, str]) -> list[PodFacts]:
        """Tell how all pods with these labels are.

        Raises:
            TransientError: The API server cannot be reached.
        """

    def log(self, name: str, *, since: datetime | None = None) -> Iterator[str]:
        """Yield what the pod has said so far, line by line; nothing if it never began or is gone."""

    def end(self, name: str) -> None:
        """Have a pod end within its grace. Does nothing if it is gone."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A run as whoever makes its pods sees it."""

    uid: str
    launches: Launches
    version: str
    """Of the object that the count was read from."""
    mark: str | None = None
    """The count as it is written there; None: there is none yet."""
    has_annotations: bool = True
    may_have_words: bool = True
    """Somebody may have said something to it that was not acted on yet."""
    is_leaving: bool = False
    """Somebody deleted it, and it goes once what it owns is gone: no pod is to keep it."""


class LaunchCounts(Protocol):
    """Counts the pods of each run, in the record that everybody sees."""

    def read(self, run: str) -> Counted | None:
        """Read the count of a run. None: there is no such run.

        Raises:
            PermanentError: What stands there is no count.
            TransientError: The API server cannot be reached.
        """

    def move(self, run: str, *, counted: Counted, to: Launches) -> Counted | None:
        """Write another count, if it is still the one that was read, and give it. None: somebody else was first.

        Raises:
            TransientError: The API server cannot be reached. It may have been written.
        """


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """What a pod said."""

    stamp: str
    """When, to the nanosecond, as the node wrote it."""
    text: str


@dataclass(frozen=True, kw_only=True)
class AppliedRun:
    """A TaskRun that somebody made and that nobody tends."""

    name: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class RunStands:
    """What whoever follows a run's pod has to know of the run."""

    is_over: bool = False
    """Or gone."""
    deadline: datetime | None = None
    """By when it has to be over. None: it never has."""


class PodWatch(Protocol):
    """Waits for what happens to runs and pods, for one event loop. Outlives every connection and the API server."""

    def facts(self, pod: str) -> AsyncGenerator[PodFacts | None, None]:
        """Yield how a pod is, at once and whenever it changes; None while there is none of that name. Never ends."""

    def lines(self, pod: str, *, since: str | None) -> AsyncGenerator[LogLine, None]:
        """Yield what a pod says after that stamp, until its container ends or it is gone."""

    async def rest(self, pod: str, *, since: str | None) -> list[LogLine] | None:
        """Read what a pod whose container has ended said after that stamp. None: it cannot be read now, or any more."""

    async def stands(self, run: str) -> RunStands:
        """Tell how a run stands.

        Raises:
            TransientError: The API server cannot be reached.
        """

    def untended(self) -> AsyncGenerator[AppliedRun, None]:
        """Yield runs that nobody tends, those that are there and those that come, each once. Never ends."""

    async def close(self) -> None:
        """Let go of all connections."""
