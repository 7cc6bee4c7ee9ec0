"""The record of a run that is being worked on: each step is written, with its time, before it is acted on."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from goldgate.agent.safety.personal_data import redact
from goldgate.contracts.run_mapping import state_of, status_fields
from goldgate.contracts.task_runs import RunEvent, TaskRun, TaskSpec
from goldgate.domain.runs.state import Phase, RunState
from goldgate.domain.runs.steps import Happening, Step
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import Lease, RunWord, TaskRunStore

_log = logging.getLogger(__name__)

MOST_EVENTS: Final = 500
"""Kept with a run: a run of 100 model calls, the most an agent may make, has about 500. Older ones are counted."""

PREVIEW_CHARS: Final = 60


def preview_of(message: str) -> str:
    """Write the beginning of a message in one line, as lists and pages show it: without personal data."""
    # Of a long one only as much is looked at as a number at the end of the preview may take.
    shown, _ = redact(" ".join(message.split())[: 10 * PREVIEW_CHARS])
    return shown if len(shown) <= PREVIEW_CHARS else f"{shown[:PREVIEW_CHARS]}…"


class RunRecord:
    """One run, in the hands of the one process that may write it. For one thread."""

    def __init__(
        self,
        run: TaskRun,
        *,
        store: TaskRunStore,
        lease: Lease,
        clock: Clock,
        before_failure: Callable[[RunState], None] = lambda _: None,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over a run as it was read under its lease.

        Args:
            run: As it was last recorded.
            store: Where it is recorded.
            lease: The right to do so.
            clock: The time of every event.
            before_failure: Called with the state that a failing run leaves, before that is recorded.
            stopwatch: Seconds on a clock that nobody sets.
        """
        self.run = run
        self.state = state_of(run.status)
        self._store = store
        self._lease = lease
        self._clock = clock
        self._before_failure = before_failure
        self._stopwatch = stopwatch
        self._written_s = stopwatch()
        renewed, updated = lease.last_renewed, run.status.update_time
        kept = renewed - updated if renewed is not None and updated is not None else timedelta()
        self.kept_before_s = max(kept.total_seconds(), 0.0)
        """For how long the owner before held the run after its last record, as far as its renewals tell."""
        self._notes: list[Happening] = []
        self._acted_on: list[RunWord] = []

    @property
    def unrecorded_s(self) -> float:
        """How long ago the last record was written."""
        return self._stopwatch() - self._written_s

    def stamp(self) -> None:
        """Record that work begins now: what comes before is no time that a killed process worked."""
        self._write(self.state, tuple(self._notes))

    def take(self, step: Step) -> None:
        """Record a step, and then forget the words that led to it."""
        if step.state.phase is Phase.FAILED:
            self._before_failure(self.state)
        self._write(step.state, (*self._notes, *step.history))

    def begin(self, step: Step, *, task: TaskSpec, is_of_task: bool) -> None:
        """Record the first step, and with it what is asked."""
        more: dict[str, Any] = {"user_message_preview": preview_of(task.user_message)}
        progress = self.run.status.progress.model_copy(update={"task": task if is_of_task else None})
        self.run = self._with({"progress": progress})
        self._write(step.state, (*self._notes, *step.history), more)

    def note(self, reason: str, message: str) -> None:
        """Have something told with the next record."""
        self._notes.append(Happening(reason=reason, message=message))

    def acted_on(self, word: RunWord) -> None:
        """Forget a word once what it led to is recorded."""
        self._acted_on.append(word)

    def has_acted_on(self, word: RunWord) -> bool:
        """Whether what a word leads to is about to be recorded."""
        return any(each.id == word.id for each in self._acted_on)

    def drop(self, word: RunWord, *, why: str) -> None:
        """Forget a word that fits nothing, and have that told."""
        self.note("WordDropped", f"{word.by or 'a person'}: {why}")
        self.acted_on(word)

    def flush(self) -> None:
        """Record what was noted since the last step, if anything was."""
        if self._notes or self._acted_on:
            self._write(self.state, tuple(self._notes))

    def _write(self, state: RunState, history: tuple[Happening, ...], more: Mapping[str, Any] = {}) -> None:
        now = self._clock.now()
        known = (self.state, self.run.status)
        fields = {**status_fields(state, recorded=known), **self._history(history, now), **more, "update_time": now}
        task = self.run.status.progress.task
        if task is not None:
            fields["progress"] = fields["progress"].model_copy(update={"task": task})
        if self.run.status.start_time is None:
            fields["start_time"] = now
        if state.phase.is_terminal and self.run.status.completion_time is None:
            fields["completion_time"] = now
        written = self._with(fields)
        self._store.save(self._lease, written)
        self.run, self.state, self._written_s = written, state, self._stopwatch()
        words, self._acted_on, self._notes = self._acted_on, [], []
        for word in words:
            # Only now: a process that dies before has the word again, and finds that it was acted on.
            self._store.drop(self._lease, word)
        for happening in history:
            phase = state.phase.value
            _log.info("task_run.event", extra={"run": self._lease.run, "phase": phase, "reason": happening.reason})

    def _history(self, history: tuple[Happening, ...], now: datetime) -> dict[str, Any]:
        new = [RunEvent.model_construct(at=now, reason=each.reason, message=each.message) for each in history]
        events = [*self.run.status.events, *new]
        return {
            "events": events[-MOST_EVENTS:],
            "events_dropped": self.run.status.events_dropped + max(len(events) - MOST_EVENTS, 0),
        }

    def _with(self, fields: Mapping[str, Any]) -> TaskRun:
        return self.run.model_copy(update={"status": self.run.status.model_copy(update=fields)})
