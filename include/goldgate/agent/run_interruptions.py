"""What happens to a run from outside while it is worked on: people's words, its deadline, the end of its process."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from goldgate.agent.lease_keeper import LeaseKeeper
from goldgate.agent.pacing import pause_s
from goldgate.agent.run_record import RunRecord
from goldgate.contracts.prediction import PredictResponse
from goldgate.contracts.run_mapping import narrowed
from goldgate.contracts.task_runs import RunLimits, TaskRun
from goldgate.domain.errors import TransientError
from goldgate.domain.runs.events import (
    AgentReady,
    Answered,
    Broke,
    Cancelled,
    DeadlinePassed,
    Event,
    ModelReplied,
    PersonSpoke,
    ToolReturned,
    ToolWaits,
)
from goldgate.domain.runs.limits import deadline_after
from goldgate.domain.runs.machine import advance
from goldgate.domain.runs.state import Call, Fate, RunState
from goldgate.domain.runs.steps import IllegalTransitionError
from goldgate.ports.agents import Work
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import RunWord, TaskRunStore

GRACE_S: Final = 0.6
"""How long calls that are under way may still come back after the process was asked to end: a call that does not has an
unknown fate. Together with a record it stays below the second within which a run has let go."""

_LONGEST_DEAF_S: Final = 5.0
"""Whoever says something to a run is heard after so long, however slowly its store answers."""

_log = logging.getLogger(__name__)


class RunInterruptedError(TransientError):
    """This process was asked to end. The run stands as it was recorded, and another process goes on with it."""


@dataclass(kw_only=True)
class Interruptions:
    """Asked between the steps of a run, and often while something runs."""

    record: RunRecord
    store: TaskRunStore
    keeper: LeaseKeeper
    clock: Clock
    stop: threading.Event
    listen_every_s: float = 0.0
    """How often at most the store is asked for words; 0: each time. In between stands what was found and is left.

    It is asked less often while it answers slowly."""
    grace_s: float = GRACE_S
    stopwatch: Callable[[], float] = time.monotonic
    calls_under_way: int = 0
    _stopping_since_s: float | None = field(default=None, init=False)
    _listens_at_s: float | None = field(default=None, init=False)
    _left: list[RunWord] = field(default_factory=list, init=False)
    """Words that were found and not acted on yet."""

    def __call__(self, state: RunState) -> Event | None:
        """Tell what happened, if something did.

        Raises:
            LeaseLostError: Another process works on the run.
            RunInterruptedError: This process is to end.
        """
        self.check()
        return self.heard(state)

    def check(self) -> None:
        """Raise if this process may not go on; see `__call__`."""
        self.keeper.check()
        self._check_stop()

    def heard(self, state: RunState) -> Event | None:
        """Tell what was said to the run, or that its time is over."""
        self._listen()
        while self._left:
            if (event := self._said(state, self._left.pop(0))) is not None:
                return event
        return self._deadline()

    def is_called(self) -> bool:
        """Whether `heard` has something to tell, or a word to drop."""
        self._listen()
        return bool(self._left) or self._deadline() is not None

    def confirm(self) -> None:
        """Raise if something new may not be begun by this process."""
        self.keeper.confirm()
        if self.stop.is_set():
            raise _interrupted(self.record.run)

    def _listen(self) -> None:
        began_s = self.stopwatch()
        if self._listens_at_s is not None and began_s < self._listens_at_s:
            return
        try:
            words = self.store.words(self.record.run.metadata.name)
        except TransientError as error:
            # What is under way goes on: a call that is left alone has an unknown fate, and nothing new is begun that is
            # not recorded first.
            _log.warning("task_run.not_listening", extra={"run": self.record.run.metadata.name, "error": str(error)})
        else:
            self._left = [word for word in words if not self.record.has_acted_on(word)]
        now_s = self.stopwatch()
        self._listens_at_s = now_s + pause_s(self.listen_every_s, took_s=now_s - began_s, longest_s=_LONGEST_DEAF_S)

    def _check_stop(self) -> None:
        if not self.stop.is_set():
            return
        now_s = self.stopwatch()
        if self._stopping_since_s is None:
            self._stopping_since_s = now_s
        if self.calls_under_way == 0 or now_s - self._stopping_since_s >= self.grace_s:
            raise _interrupted(self.record.run)

    def _said(self, state: RunState, word: RunWord) -> Event | None:
        if word.cancels:
            self.record.acted_on(word)
            return Cancelled(by=word.by or "a person", reason=word.text)
        if (problem := misfit(state.calls, word)) is not None:
            self.record.drop(word, why=problem)
            return None
        call = next(call for call in state.calls if call.key == word.call_key)
        event = PersonSpoke(call_id=call.id, word=word.word, text=word.text, by=word.by)
        try:
            advance(state, event)
        except IllegalTransitionError as error:
            self.record.drop(word, why=str(error))
            return None
        self.record.acted_on(word)
        return event

    def _deadline(self) -> DeadlinePassed | None:
        deadline = deadline_of(self.record.run)
        if deadline is None or self.clock.now() < deadline:
            return None
        return DeadlinePassed(deadline=deadline.isoformat(timespec="seconds"))


def misfit(calls: Sequence[Call], word: RunWord) -> str | None:
    """Say why a word answers nothing that is asked; None if it does."""
    call = next((call for call in calls if call.key == word.call_key), None)
    if call is None:
        return f"found a word for `{word.call_key}`, which is no call of the last reply; nothing was done"
    if call.fate is not Fate.AWAITED:
        return f"found a word for `{call.name}` ({call.id}), which is {call.fate.value} and asks nothing"
    return None


def deadline_of(run: TaskRun) -> datetime | None:
    """Tell when a run has to be over; None if it never has, or nobody noted when it was made and it was not begun.

    From its creation on: one whose process never begins has no record of a start.
    """
    return deadline_after(run.metadata.creation_timestamp or run.status.start_time, run.spec.deadline_seconds)


def _interrupted(run: TaskRun) -> RunInterruptedError:
    return RunInterruptedError(
        f"Run `{run.metadata.name}` was interrupted: its process was asked to end. Run it again."
    )


class GuardedWork:
    """A work that begins nothing once its run belongs to another process, and keeps to the limits of the run.

    Implements `goldgate.ports.agents.Work`.
    """

    def __init__(
        self,
        work: Work,
        *,
        interruptions: Interruptions,
        limits: RunLimits,
        before_asking: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._interruptions = interruptions
        self._limits = limits
        self._before_asking = before_asking
        self._lock = threading.Lock()

    @property
    def trace_id(self) -> str:
        """W3C trace id of the run."""
        return self._work.trace_id

    @property
    def span_id(self) -> str:
        """Span id of the run's root span."""
        return self._work.span_id

    def begin(self) -> AgentReady | Answered | Broke:
        """Do all that comes before the model."""
        self._interruptions.confirm()
        event = self._work.begin()
        if isinstance(event, AgentReady):
            return AgentReady(**{**vars(event), "limits": narrowed(event.limits, self._limits)})
        return event

    def ask(self, state: RunState) -> ModelReplied | Answered | Broke:
        """Ask the model once."""
        self._interruptions.confirm()
        self._before_asking()
        return self._work.ask(state)

    def call(self, state: RunState, call: Call) -> ToolReturned | ToolWaits:
        """Make one call."""
        self._interruptions.confirm()
        self._count(1)
        try:
            return self._work.call(state, call)
        finally:
            self._count(-1)

    def respond(self, state: RunState) -> PredictResponse:
        """Report on a run that is over, or waits."""
        return self._work.respond(state)

    def _count(self, change: int) -> None:
        with self._lock:
            self._interruptions.calls_under_way += change
