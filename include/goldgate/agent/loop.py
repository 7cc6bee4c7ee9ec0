"""Drive a run: do what its steps ask for, one after the other, and have each recorded before it is acted on.

The same loop answers a served request, in memory, and a TaskRun, durably.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from goldgate.domain.runs.events import (
    AgentReady,
    Answered,
    Broke,
    Cancelled,
    DeadlinePassed,
    Event,
    ModelReplied,
    ToolReturned,
    ToolWaits,
)
from goldgate.domain.runs.machine import advance
from goldgate.domain.runs.state import Call, Fate, RunState
from goldgate.domain.runs.steps import Effect, Step
from goldgate.ports.agents import Work

Record = Callable[[Step], None]
Interrupted = Callable[[RunState], Event | None]
_Outcome = AgentReady | Answered | Broke | ModelReplied | ToolReturned | ToolWaits

_LOOK_EVERY_S = 0.05
"""How soon a person who cancels is heard while a model is asked."""


def drive(
    step: Step,
    work: Work,
    *,
    record: Record = lambda _: None,
    interrupted: Interrupted | None = None,
    side_by_side: int = 8,
    stopwatch: Callable[[], float] = time.perf_counter,
) -> Step:
    """Go on from a step that is recorded already until one asks to stop, and return that one.

    Args:
        step: Where the run stands. Validating is not asked of a work.
        work: Carries out what is asked for.
        record: Called with each step before it is acted on. What it raises ends the drive, and nothing is acted on.
        interrupted: Asked between steps, and about twenty times a second while something runs, whether something
            happened from outside. Its event is taken at once. What still runs after a `Cancelled` or `DeadlinePassed`
            is left alone, and what it gives is thrown away. None: nothing comes from outside.
        side_by_side: Tool calls that run at a time.
        stopwatch: Seconds on a clock that never goes back: time worked is counted by it.
    """
    drive_ = _Drive(work=work, record=record, interrupted=interrupted, side_by_side=side_by_side, stopwatch=stopwatch)
    try:
        while step.effect is not Effect.STOP:
            step = drive_.follow(step)
    finally:
        drive_.workers.end()
    return step


_Outcomes = queue.SimpleQueue[_Outcome | BaseException]


class _Workers:
    """Threads that carry out effects, each used again for the next one.

    To start a thread takes longer than most effects: with one for each, a recorded step took 1.5 ms more
    (`benchmarks/agent_loop.py`, two cores). They are daemons: what is left alone must not keep the process from ending.
    """

    def __init__(self) -> None:
        self._idle: list[queue.SimpleQueue[tuple[Callable[[], _Outcome], _Outcomes] | None]] = []
        self._is_over = False

    def do(self, effect: Callable[[], _Outcome], outcomes: _Outcomes) -> None:
        """Carry out an effect, and put what comes of it, or what it raised, where it is waited for."""
        if self._idle:
            inbox = self._idle.pop()
        else:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name="goldgate-effect", daemon=True).start()
        inbox.put((effect, outcomes))

    def end(self) -> None:
        """Let all threads end: idle ones now, others when their effect does."""
        self._is_over = True
        while self._idle:
            self._idle.pop().put(None)

    def _work(self, inbox: "queue.SimpleQueue[tuple[Callable[[], _Outcome], _Outcomes] | None]") -> None:
        while not self._is_over and (asked := inbox.get()) is not None:
            effect, outcomes = asked
            try:
                outcome: _Outcome | BaseException = effect()
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                outcome = error
            self._idle.append(inbox)
            outcomes.put(outcome)


@dataclass(kw_only=True)
class _Drive:
    work: Work
    record: Record
    interrupted: Interrupted | None
    side_by_side: int
    stopwatch: Callable[[], float]
    outcomes: _Outcomes = field(default_factory=queue.SimpleQueue)
    workers: _Workers = field(default_factory=_Workers)
    on_way: set[str] = field(default_factory=set)
    last_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.last_s = self.stopwatch()

    def follow(self, step: Step) -> Step:
        """Carry out one effect, and take what comes of it."""
        state = step.state
        match step.effect:
            case Effect.OPEN_AGENT:
                return self._take(state, self._one(state, self.work.begin))
            case Effect.ASK_MODEL:
                return self._take(state, self._one(state, lambda: self.work.ask(state)))
            case Effect.CALL_TOOLS:
                return self._call_tools(step)
            case _:
                msg = f"Found a step that asks to {step.effect.value}; expected one that a work carries out."
                raise ValueError(msg)

    def _call_tools(self, step: Step) -> Step:
        self.on_way = set()
        while step.effect is Effect.CALL_TOOLS:
            waiting = [call for call in step.state.calls if call.fate is Fate.STARTED and call.id not in self.on_way]
            if self.interrupted is None and not self.on_way and len(waiting) == 1:
                step = self._take(step.state, self.work.call(step.state, waiting[0]))
                continue
            for call in waiting[: self.side_by_side - len(self.on_way)]:
                self.on_way.add(call.id)
                self._start_call(step.state, call)
            event = self._next(step.state)
            if isinstance(event, ToolReturned | ToolWaits):
                self.on_way.discard(event.call_id)
            step = self._take(step.state, event)
        return step

    def _start_call(self, state: RunState, call: Call) -> None:
        self._start(lambda: self.work.call(state, call))

    def _one(self, state: RunState, effect: Callable[[], _Outcome]) -> Event:
        if self.interrupted is None:
            return effect()
        if (event := self.interrupted(state)) is not None:
            return event
        self._start(effect)
        return self._next(state)

    def _start(self, effect: Callable[[], _Outcome]) -> None:
        self.workers.do(effect, self.outcomes)

    def _next(self, state: RunState) -> Event:
        """Wait for what comes first: an outcome, or something from outside."""
        while True:
            try:
                # First: to look from outside while an effect begins is to fight it for the interpreter.
                outcome = self.outcomes.get(timeout=_LOOK_EVERY_S if self.interrupted is not None else None)
            except queue.Empty:
                if self.interrupted is not None and (event := self.interrupted(state)) is not None:
                    if isinstance(event, Cancelled | DeadlinePassed):
                        self.outcomes = queue.SimpleQueue()
                    return event
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

    def _take(self, state: RunState, event: Event) -> Step:
        now_s = self.stopwatch()
        step = advance(state, _timed(event, now_s - self.last_s))
        self.last_s = now_s
        self.record(step)
        return step


def _timed(event: Event, active_s: float) -> Event:
    """Stamp the time worked since the last event. That of a sub-agent passed meanwhile, and is not added to it."""
    match event:
        case AgentReady() | ToolWaits():
            return replace(event, active_s=active_s)
        case Answered() | ModelReplied() | ToolReturned() | Broke():
            return replace(event, spent=replace(event.spent, active_s=active_s))
        case _:
            return event
