"""What is recorded of a run by whoever launches its processes, and opens no agent: what became of them, and the end."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from goldgate.agent.driver import TaskRunDriver, named
from goldgate.agent.recorded_delegate import cancel_sub_runs, sub_runs
from goldgate.agent.run_record import RunRecord, preview_of
from goldgate.agent.run_work import FindTask, has_work, is_at_work
from goldgate.contracts.run_mapping import state_of
from goldgate.contracts.task_runs import TaskRun
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.events import Abandoned
from goldgate.domain.runs.machine import advance
from goldgate.domain.runs.state import Spent
from goldgate.domain.runs.steps import Effect, Step
from goldgate.ports.agents import Agent
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import RunHeldError, TaskRunStore

_LEASE_S = 15.0
"""A few writes take milliseconds."""

_LOST = "PodLost"
"""Reason, in a history, of a process that ended before its run."""

_WAITING = "PodWaiting"
"""Reason, in a history, of a process that does not begin."""


FROM_OUTSIDE = frozenset({_LOST, _WAITING})
"""Reasons that only whoever launches processes writes into a history."""


@dataclass(frozen=True, kw_only=True)
class OutsideRecorder:
    """Records what a run's own process cannot. Every method raises `RunHeldError` while another one works on it."""

    store: TaskRunStore
    clock: Clock
    find_task: FindTask
    owner: str

    def free(self, name: str, *, lost: str = "") -> None:
        """Take the lease of a process that is known to be dead and give it back, so that the next one can begin.

        What it worked since its last record, as far as its renewals tell, is counted; what was waited since is not.

        Args:
            name: Of the run.
            lost: What became of that process: one line of the history, once. Empty: nothing that has to be told.
        """
        with self._record(name) as record:
            if lost and not any(event.message == lost for event in record.run.status.events):
                record.note(_LOST, lost)
            if record.run.status.update_time is None or not is_at_work(record.state):
                record.flush()
                return
            worked = replace(record.state, spent=record.state.spent + Spent(active_s=record.kept_before_s))
            record.take(Step(state=worked, history=(), effect=Effect.STOP))

    def tell_waiting(self, run: TaskRun, detail: str, *, about: str) -> None:
        """Have history and status tell what keeps a process from beginning, once for each cause.

        Args:
            run: As it was looked at.
            detail: What a person reads.
            about: What of it tells causes apart: its words may change with every look.
        """
        if _tells(run, about):
            # Its lease is not even taken: the time since its last record would count as worked by whoever had it.
            return
        with self._record(run.metadata.name) as record:
            if not record.state.phase.is_terminal and not _tells(record.run, about):
                record.note(_WAITING, detail)
                # `kubectl get -o wide` shows it. Whatever begins after all says something else.
                record.take(Step(state=replace(record.state, detail=detail), history=(), effect=Effect.STOP))

    def abandon(self, name: str, why: str) -> None:
        """End a run without an answer, and those that it asked for. One that is over stays as it is."""
        with self._record(name) as record:
            if record.state.phase.is_terminal:
                return
            below = sub_runs(record.state, self.store)
            record.take(advance(record.state, Abandoned(reason=why)))
            for word in self.store.words(name):
                record.drop(word, why="the run is over")
            record.flush()
        for run in below:
            with contextlib.suppress(RunHeldError):
                self.settle(run.metadata.name, agent_problem=why)

    def settle(self, name: str, *, agent_problem: str) -> TaskRun:
        """Go on with a run as far as it goes without its agent.

        Orders to end and deadlines are obeyed, a wrong specification fails, and else the run is left waiting for its
        agent.

        Args:
            name: Of the run.
            agent_problem: What it waits for.
        """

        def missing(*_: str) -> Agent:
            raise TransientError(agent_problem)

        driver = TaskRunDriver(
            store=self.store,
            open_agent=missing,
            find_task=self.find_task,
            clock=self.clock,
            owner=self.owner,
            lease_s=_LEASE_S,
            stop=threading.Event(),
        )
        return driver.go_on(name)

    def has_work(self, run: TaskRun) -> bool:
        """Whether a run has anything to do but wait for a person."""
        return has_work(run, store=self.store, clock=self.clock)

    @contextlib.contextmanager
    def _record(self, name: str) -> Iterator[RunRecord]:
        lease = self.store.take(name, owner=self.owner, for_s=_LEASE_S)
        try:
            run = self.store.read(name)
            if run is None:
                raise PermanentError(f"Found no TaskRun `{name}`; expected one. Somebody deleted it.")
            yield RunRecord(
                _previewed(named(run)),
                store=self.store,
                lease=lease,
                clock=self.clock,
                before_failure=self._cancels(name),
            )
        finally:
            self.store.release(lease)

    def _cancels(self, name: str) -> Callable[..., None]:
        return lambda state: cancel_sub_runs(state, self.store, clock=self.clock, by=f"run {name}")


def _tells(run: TaskRun, about: str) -> bool:
    return any(event.reason == _WAITING and about in event.message for event in run.status.events)


def _previewed(run: TaskRun) -> TaskRun:
    """Give a run that no process ever began the line by which people know it."""
    if run.status.user_message_preview or not run.spec.user_message:
        return run
    preview = {"user_message_preview": preview_of(run.spec.user_message)}
    return run.model_copy(update={"status": run.status.model_copy(update=preview)})


def waits_for_agent(run: TaskRun, problem: str) -> bool:
    """Whether it is recorded already that a run waits for its agent, and why."""
    state = state_of(run.status)
    return state.waits_for_agent and state.detail.endswith(problem)
