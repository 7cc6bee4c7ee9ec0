"""Follows the pod of a run without a thread: says what it says, and tells as soon as there is something to do."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from goldgate.domain.errors import TransientError
from goldgate.domain.runs.launching import Expire, Follow, RunFacts, WaitForPod, decide
from goldgate.domain.runs.pods import Launches, LaunchPolicy, PodFacts, PodPhase
from goldgate.ports.delivery import Clock
from goldgate.ports.pods import LogLine, PodWatch, RunStands

LOOK_EVERY_S: Final = 15.0
"""Time passes for pods that do not start, and a run may end elsewhere."""

_LAST_WORDS_S: Final = 10.0
"""A container that ended has its log whole within a moment: for so long no line comes only if something is wrong."""

_NO_WORDS_S: Final = 0.1

_READS: Final = 3
"""So often a log may go on while its end is read."""

_STARTS_WITHIN_S: Final = 2.0
"""A pod that has not begun by then may be one whose run's time is over first: the run is looked at."""

_MARGIN_S: Final = 0.05
"""So much after a deadline it has passed, by any rounding."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Why there is something to do, and up to where the log was said."""

    reason: str
    log_until: str | None


@dataclass(kw_only=True)
class PodFollower:
    """Follows one pod."""

    watch: PodWatch
    run: str
    pod: str
    policy: LaunchPolicy
    clock: Clock
    say: Callable[[str], None]
    log_until: str | None = None
    look_every_s: float = LOOK_EVERY_S
    last_words_s: float = _LAST_WORDS_S
    _told: str = field(default="", init=False)
    _facts: PodFacts | None = field(default=None, init=False)
    _heard: int = field(default=0, init=False)
    _has_begun: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """A pod that has not has no log, and to ask for one again and again costs more than all the rest."""
    _stands: RunStands | None = field(default=None, init=False)
    _looks: int = field(default=0, init=False)
    _began: datetime = field(init=False)

    async def follow(self) -> Watched:
        """Wait until the run is over, or its pod ended, is gone, or cannot start."""
        self._began = self.clock.now()
        if not self.pod:
            await asyncio.sleep(self.look_every_s)
            return Watched(reason="It is time to try again.", log_until=self.log_until)
        changes: asyncio.Queue[PodFacts | None] = asyncio.Queue()
        looking = asyncio.ensure_future(self._look(changes))
        listening = asyncio.ensure_future(self._listen())
        try:
            reason = await self._reason(changes, looking)
            await self._hear_out(listening)
        finally:
            await _ended(looking, listening)
        return Watched(reason=reason, log_until=self.log_until)

    async def _reason(self, changes: "asyncio.Queue[PodFacts | None]", looking: "asyncio.Future[None]") -> str:
        loop = asyncio.get_running_loop()
        facts, seen_s, was_there = None, loop.time(), False
        while True:
            pause_s = self._pause_s(facts)
            try:
                # Not `wait_for`: in Python 3.11 it swallows a cancellation that comes together with a change.
                async with asyncio.timeout(pause_s):
                    facts = await changes.get()
                seen_s, is_time = loop.time(), False
            except TimeoutError:
                is_time = True
            if looking.done():
                looking.result()
            was_there = was_there or facts is not None
            aged = None if facts is None else replace(facts, age_s=facts.age_s + loop.time() - seen_s)
            if is_time:
                await self._look_at_run()
            if (reason := self._due(aged, is_new=not was_there, is_time=is_time)) is not None:
                return reason

    def _pause_s(self, facts: PodFacts | None) -> float:
        """Tell for how long nothing but a change of the pod can matter."""
        if facts is None or facts.phase is not PodPhase.PENDING:
            return self.look_every_s
        if self._stands is None:
            return min(_STARTS_WITHIN_S, self.look_every_s)
        if (deadline := self._deadline()) is None:
            return self.look_every_s
        left_s = (deadline - self.clock.now()).total_seconds()
        return min(max(left_s, 0.0) + _MARGIN_S, self.look_every_s)

    def _deadline(self) -> datetime | None:
        """Tell by when the run has to be over.

        One that had passed before is in no hurry: whoever tended the run could not end it, and looks again.
        """
        deadline = None if self._stands is None else self._stands.deadline
        is_new = deadline is not None and deadline > self._began
        return deadline if is_new or self._looks > 1 else None

    def _due(self, facts: PodFacts | None, *, is_new: bool, is_time: bool) -> str | None:
        """Say what there is to do; None: nothing yet."""
        if is_time and self._stands is not None and self._stands.is_over:
            return "The run is over."
        if facts is None:
            # A pod that could not be made has to be tried again, only not at once.
            return None if is_new and not is_time else f"Pod `{self.pod}` is not there."
        self._facts = facts
        if facts.phase is not PodPhase.PENDING:
            self._has_begun.set()
        count = Launches(launched=1, pod=self.pod, is_made=True)
        run = RunFacts(name=self.run, deadline=self._deadline() if is_time else None)
        match decide(run, pod=facts, count=count, policy=self.policy, now=self.clock.now()):
            case Follow(detail=detail) | WaitForPod(detail=detail):
                self._tell(detail)
                return None
            case Expire():
                return "The time of the run is over."
        return f"Pod `{self.pod}`: {facts.phase.value} {facts.reason}".rstrip()

    def _tell(self, detail: str) -> None:
        if detail and detail != self._told:
            self._told = detail
            self.say(detail)

    async def _hear_out(self, listening: "asyncio.Future[None]") -> None:
        """Wait until all is said: what is said last is the reason, more often than not. However long it takes.

        A pod that never began has no log to wait for.
        """
        has_said = self._facts is not None and self._facts.phase is not PodPhase.PENDING
        has_ended = self._facts is not None and self._facts.phase is PodPhase.ENDED
        if has_ended and await self._read_rest(listening):
            return
        heard = -1
        while heard != self._heard and not listening.done():
            heard = self._heard
            await asyncio.wait([listening], timeout=self.last_words_s if has_said else _NO_WORDS_S)
        if listening.done():
            listening.result()
        elif has_ended:
            self.say(f"The log of pod `{self.pod}` stopped short of its end. The rest: kubectl logs {self.pod}")

    async def _read_rest(self, listening: "asyncio.Future[None]") -> bool:
        """Read the end of the log of a container that ended, and tell whether that was all.

        A node looks once a second whether a log that is followed is at its end: whoever asks anew is told at once.
        """
        for _ in range(_READS):
            heard = self._heard
            reading = asyncio.ensure_future(self.watch.rest(self.pod, since=self.log_until))
            either: set[asyncio.Future[Any]] = {listening, reading}
            try:
                await asyncio.wait(either, timeout=self.last_words_s, return_when=asyncio.FIRST_COMPLETED)
                rest = reading.result() if reading.done() else None
            finally:
                await _ended(reading)
            if rest is None or listening.done():
                return False
            if self._heard == heard:
                await _ended(listening)
                for line in rest:
                    self._hear(line)
                return True
        return False  # it goes on and on: what is followed comes to its end as well

    async def _look_at_run(self) -> None:
        self._looks += 1
        with suppress(TransientError):
            self._stands = await self.watch.stands(self.run)

    async def _look(self, changes: "asyncio.Queue[PodFacts | None]") -> None:
        async with aclosing(self.watch.facts(self.pod)) as found:
            async for facts in found:
                await changes.put(facts)

    async def _listen(self) -> None:
        await self._has_begun.wait()
        async with aclosing(self.watch.lines(self.pod, since=self.log_until)) as lines:
            async for line in lines:
                self._hear(line)

    def _hear(self, line: LogLine) -> None:
        self.log_until = line.stamp
        self._heard += 1
        self.say(line.text)


async def _ended(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel what is not over, and wait until it is."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
