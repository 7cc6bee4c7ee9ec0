"""What happens to a pod, from a script, for an event loop."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from goldgate.domain.errors import TransientError
from goldgate.domain.runs.pods import PodFacts
from goldgate.ports.pods import AppliedRun, LogLine, RunStands


@dataclass
class ScriptedPodWatch:
    """Implements `goldgate.ports.pods.PodWatch`: tells the facts one after the other, then nothing more."""

    found: Sequence[PodFacts | None] = ()
    said: Sequence[LogLine] = ()
    said_after_s: float = 0.0
    """So long each line of a pod's log lags behind what became of it, and behind the line before."""
    is_cut: bool = False
    """After the lines the connection is dead, and nobody says so."""
    has_rest: bool = False
    """The log of what has ended can be read at once."""
    failure: Exception | None = None
    """What is raised once all was told."""
    overs: list[bool | TransientError] = field(default_factory=list)
    """What each look at the run says; the last one again and again."""
    deadline: datetime | None = None
    """Of the run, as each look says."""
    looks: int = 0
    """At the run."""
    asked_since: str | None = None
    listened: int = 0
    """How often somebody began to listen."""
    is_closed: bool = False

    async def facts(self, pod: str) -> AsyncGenerator[PodFacts | None, None]:
        for facts in self.found:
            assert facts is None or facts.name == pod
            yield facts
            await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        await asyncio.Event().wait()

    async def lines(self, pod: str, *, since: str | None) -> AsyncGenerator[LogLine, None]:  # noqa: ARG002 - the port's
        self.asked_since = since
        self.listened += 1
        for line in self.said:
            await asyncio.sleep(self.said_after_s)
            yield line
        if self.is_cut:
            await asyncio.Event().wait()

    async def rest(self, pod: str, *, since: str | None) -> list[LogLine] | None:  # noqa: ARG002 - the port's
        self.asked_since = since
        await asyncio.sleep(0)
        if not self.has_rest:
            return None
        return [line for line in self.said if since is None or line.stamp > since]

    async def stands(self, run: str) -> RunStands:  # noqa: ARG002 - the port's signature
        self.looks += 1
        said = self.overs.pop(0) if len(self.overs) > 1 else (self.overs or [False])[0]
        if isinstance(said, TransientError):
            raise said
        return RunStands(is_over=said, deadline=self.deadline)

    async def untended(self) -> AsyncGenerator[AppliedRun, None]:
        for each in ():
            yield each

    async def close(self) -> None:
        self.is_closed = True
