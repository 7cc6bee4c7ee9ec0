"""What is done on one run under one lease, from where its record stands to where it stops."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from goldgate.agent.loop import drive
from goldgate.agent.meanwhile import Meanwhile
from goldgate.agent.recorded_delegate import (
    BUNDLE,
    LOOK_EVERY_S,
    PARENT_SPAN,
    RecordedDelegate,
    sub_run_name,
    sub_runs,
)
from goldgate.agent.run_interruptions import GuardedWork, Interruptions, RunInterruptedError, deadline_of, misfit
from goldgate.agent.run_record import RunRecord
from goldgate.contracts.prediction import PredictRequest
from goldgate.contracts.run_mapping import state_of
from goldgate.contracts.task_runs import TaskRun, TaskSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.events import Abandoned, AgentFound, AgentUnavailable, Broke, TakenUp, Validated
from goldgate.domain.runs.machine import advance
from goldgate.domain.runs.state import Fate, Phase, RunState, Spent
from goldgate.domain.runs.steps import Effect, Happening, Step
from goldgate.ports.agents import Agent
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import LeaseLostError, RecordTooLargeError, RunHeldError, TaskRunStore

OpenAgent = Callable[[str, str], Agent]
"""Opens an agent by its name and its bundle; an empty bundle: as it is now.

PermanentError, TransientError: it is missing or not ready. The run waits for it: what is wrong with an agent can be put
right, and a run that failed cannot."""

FindTask = Callable[[str], TaskSpec]
"""Finds what a Task says by its name. PermanentError: there is none."""

LEASE_S: Final = 30.0
"""A process that hangs keeps its run so long. One that died gives it up at once, on the same machine."""

INTERRUPTED_REASON: Final = "Interrupted"
"""In a history: a process that was asked to end let go of the run in good order."""

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_LISTEN_EVERY_S: Final = 0.5
"""How soon a run that waits for its agent hears that it is to end."""

_LOOK_EVERY_S: Final = 0.05
_SETTLE_LOOKS: Final = 20
_SETTLE_EVERY_S: Final = 0.1
"""A sub-run in a thread of this process hears within a twentieth of a second that it is to end."""


@dataclass(frozen=True, kw_only=True)
class RunParts:
    """What work on runs needs from outside."""

    store: TaskRunStore
    open_agent: OpenAgent
    find_task: FindTask
    clock: Clock
    lease_s: float = LEASE_S
    renew_every_s: float | None = None
    """Time between renewals of a lease. None: as `LeaseKeeper` has it."""
    listen_every_s: float = 0.0
    """How often at most the store is asked for people's words while one works: one who cancels is heard so soon."""
    wait_for_agent_s: float = 0.0
    """How long to wait for an agent that is not there, before the run is left waiting."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set: this process is to end. What runs is left to the next one within a second."""
    pause: Callable[[float], object] | None = None
    """Waits so many seconds, and wakes up when it is to stop. None: by `stop`."""


def has_work(run: TaskRun, *, store: TaskRunStore, clock: Clock) -> bool:
    """Whether there is anything to do for a run now, by whoever takes it."""
    state = state_of(run.status)
    if state.phase.is_terminal:
        return False
    if not state.is_waiting_for_a_person:
        return True
    deadline = deadline_of(run)
    if deadline is not None and clock.now() >= deadline:
        return True
    return bool(store.words(run.metadata.name)) or has_sub_work(state, store=store, clock=clock)


def has_sub_work(state: RunState, *, store: TaskRunStore, clock: Clock) -> bool:
    """Whether one of the runs that a run waits for is over, or can go on."""
    parked = [call for call in state.calls if call.fate is Fate.PARKED]
    found = [store.read(sub_run_name(call.key)) for call in parked]
    return any(run is None or run.status.phase.is_terminal or has_work(run, store=store, clock=clock) for run in found)


@dataclass(kw_only=True)
class RunWork:
    """What is done on one run under one lease."""

    parts: RunParts
    record: RunRecord
    interruptions: Interruptions
    run_below: Callable[[TaskRun], TaskRun]
    """Works on the run of another agent that this one asks."""

    _agent: Agent | None = field(default=None, init=False)

    def close(self) -> None:
        """Close the agent: after the lease was given back, because a tool server may take seconds to end."""
        if self._agent is not None:
            self._agent.close()

    def do(self) -> None:
        """Work until the run is over, waits, or this process is to end."""
        record = self.record
        try:
            self._go_on()
            record.flush()
        except RecordTooLargeError as error:
            # What stood before fits, and so it does with an end.
            self._take(advance(record.state, Abandoned(reason=str(error))))
        if record.state.phase is Phase.FAILED:
            self._end_sub_runs()
        if record.state.phase.is_terminal:
            for word in self.parts.store.words(record.run.metadata.name):
                if not record.has_acted_on(word):
                    record.drop(word, why="the run is over")
        record.flush()

    def _go_on(self) -> None:
        try:
            step = self._heard(self._entry())
            if step.effect is Effect.VALIDATE:
                step = self._heard(self._validated())
            if step.effect is not Effect.STOP or self._waits_for_agent():
                self._with_agent(step)
        except RunInterruptedError as error:
            self._interrupted(str(error))

    def _entry(self) -> Step:
        """Find where the run stands; a run that was cut off in the middle of its work is taken up."""
        if self.record.run.status.start_time is None:
            # It has no calls that a word could answer: the first look for words finds and drops them.
            return Step(state=self.record.state, history=(), effect=Effect.VALIDATE)
        self._drop_stale_words()
        state = self.record.state
        if self._waits_for_agent():
            return Step(state=state, history=(), effect=Effect.STOP)
        if state.is_waiting_for_a_person and not self._has_sub_work(state):
            return Step(state=state, history=(), effect=Effect.STOP)
        lost_s = self.record.kept_before_s if is_at_work(state) else 0.0
        return self._take(advance(state, TakenUp(lost_s=lost_s)))

    def _drop_stale_words(self) -> None:
        """Forget words for calls that ask nothing, before taking the run up makes some of them ask.

        A call may have been approved, started, and lost: that approval is no answer to whether it acted.
        """
        state = self.record.state
        for word in self.parts.store.words(self.record.run.metadata.name):
            if not word.cancels and (problem := misfit(state.calls, word)) is not None:
                self.record.drop(word, why=problem)
        self.record.flush()

    def _heard(self, step: Step) -> Step:
        while not step.state.phase.is_terminal and (event := self.interruptions(step.state)) is not None:
            step = self._take(advance(step.state, event))
        return step

    def _validated(self) -> Step:
        record, spec = self.record, self.record.run.spec
        try:
            task = self._task()
        except PermanentError as error:
            return self._take(advance(record.state, Broke(reason=str(error))))
        step = advance(record.state, Validated())
        record.begin(step, task=task, is_of_task=spec.task_ref is not None)
        return step

    def _task(self) -> TaskSpec:
        run = self.record.run
        if run.status.progress.task is not None:
            return run.status.progress.task
        if run.spec.agent_ref is not None and run.spec.user_message is not None:
            return TaskSpec(agent_ref=run.spec.agent_ref, user_message=run.spec.user_message)
        return self.parts.find_task(run.spec.task_ref or "")

    def _with_agent(self, step: Step) -> None:
        self._agent = self._opened()
        if self._agent is None:
            return
        if self._waits_for_agent():
            step = self._take(advance(self.record.state, AgentFound()))
        elif is_at_work(self.record.state):
            # Taken up: to open the agent, which may take seconds, was no work.
            self.record.stamp()
        self._drive(step, self._agent)

    def _opened(self) -> Agent | None:
        """Open the agent, waiting for it as long as is allowed. None: the run is over, or left waiting."""
        task, waited_s, pause_s = self._task(), 0.0, _FIRST_PAUSE_S
        while True:
            try:
                return self._open(task.agent_ref)
            except (LeaseLostError, RunInterruptedError):
                raise
            except (PermanentError, TransientError) as error:
                # Its folder, its LLM, a variable or a pin may be put right while the run waits.
                self._note_unavailable(AgentUnavailable(reason=str(error)))
            if self._heard(Step(state=self.record.state, history=(), effect=Effect.STOP)).state.phase.is_terminal:
                return None
            if waited_s >= self.parts.wait_for_agent_s:
                return None
            pause_s = min(pause_s, self.parts.wait_for_agent_s - waited_s)
            self._listen(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(pause_s * 1.5, _LONGEST_PAUSE_S)

    def _listen(self, seconds: float) -> None:
        """Wait so long, or until somebody says something or the run's time is over."""
        while seconds > 0 and not self.parts.stop.is_set() and not self.interruptions.is_called():
            self._pause(min(seconds, _LISTEN_EVERY_S))
            seconds -= _LISTEN_EVERY_S

    def _note_unavailable(self, event: AgentUnavailable) -> None:
        step = advance(self.record.state, event)
        if step.state != self.record.state:
            self._take(step)

    def _open(self, name: str) -> Agent:
        """Open the agent from a thread of its own, so that the end of this process need not wait for it."""
        opened: queue.SimpleQueue[Agent | BaseException] = queue.SimpleQueue()
        bundle, is_given_up = self._bundle(), threading.Event()

        def run() -> None:
            try:
                agent = self.parts.open_agent(name, bundle)
                if is_given_up.is_set():
                    agent.close()
                opened.put(agent)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                opened.put(error)

        threading.Thread(target=run, name="goldgate-open", daemon=True).start()
        while True:
            try:
                outcome = opened.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                self._check_or_give_up(is_given_up)
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

    def _check_or_give_up(self, is_given_up: threading.Event) -> None:
        try:
            self.interruptions.check()
        except BaseException:
            is_given_up.set()
            raise

    def _drive(self, step: Step, agent: Agent) -> None:
        run = self.record.run
        work = agent.work(
            PredictRequest(question=self._task().user_message, trace_id=run.status.trace_id),
            span_id=run.status.span_id,
            parent_span_id=run.metadata.annotations.get(PARENT_SPAN) or None,
            depth=run.spec.depth,
            started_ns=self._started_ns(),
            limits=run.spec.limits,
            delegate=self._delegate(),
        )
        guarded = GuardedWork(
            work,
            interruptions=self.interruptions,
            limits=run.spec.limits,
            # What speaks to tool servers takes half a second to import.
            before_asking=Meanwhile(agent.prepare_tools),
        )
        while step.effect is not Effect.STOP:
            step = drive(step, guarded, record=self.record.take, interrupted=self.interruptions)
            step = self._heard(step)
        work.respond(self.record.state)

    def _started_ns(self) -> int | None:
        started = self.record.run.status.start_time
        return None if started is None else round(started.timestamp() * 1_000_000_000)

    def _delegate(self) -> RecordedDelegate:
        return RecordedDelegate(
            parent=self.record.run,
            store=self.parts.store,
            clock=self.parts.clock,
            run=self.run_below,
            check=self.interruptions.confirm,
            pause=self._pause,
            bundle=self._bundle,
            look_every_s=max(LOOK_EVERY_S, self.parts.listen_every_s),
        )

    def _has_sub_work(self, state: RunState) -> bool:
        return has_sub_work(state, store=self.parts.store, clock=self.parts.clock)

    def _end_sub_runs(self) -> None:
        """Have the runs of other agents, which were told to end with this one, end before this process may."""
        for run in sub_runs(self.record.state, self.parts.store):
            for _ in range(_SETTLE_LOOKS):
                try:
                    self.run_below(run)
                    break
                except RunHeldError:
                    self._pause(_SETTLE_EVERY_S)

    def _interrupted(self, why: str) -> None:
        """Record how far the run came, and the time it took, so that whoever goes on knows."""
        state = self.record.state
        if state.phase.is_terminal or state.has_paused:
            return
        worked_s = self.record.unrecorded_s if is_at_work(state) else 0.0
        worked = replace(state, spent=state.spent + Spent(active_s=worked_s))
        told = Happening(reason=INTERRUPTED_REASON, message=why)
        self._take(Step(state=worked, history=(told,), effect=Effect.STOP))

    def _take(self, step: Step) -> Step:
        self.record.take(step)
        return step

    def _bundle(self) -> str:
        run = self.record.run
        return run.metadata.annotations.get(BUNDLE) or self.record.state.bundle

    def _waits_for_agent(self) -> bool:
        return self.record.state.waits_for_agent

    def _pause(self, seconds: float) -> None:
        if self.parts.pause is not None:
            self.parts.pause(seconds)
        else:
            self.parts.stop.wait(seconds)


def is_at_work(state: RunState) -> bool:
    """Whether time passes that counts: the agent was opened, and nobody else has the word."""
    return state.phase in {Phase.READY_FOR_LLM, Phase.TOOL_CALLS_PENDING} and not state.has_paused
