"""Other agents, asked by a TaskRun: each asking is a TaskRun of its own, named by the call's key."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from goldgate.agent.delegation import reply_of
from goldgate.contracts.cluster import PARENT_ANNOTATION
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.run_mapping import run_limits, state_of
from goldgate.contracts.task_runs import TaskRun, TaskRunSpec
from goldgate.domain.digest import digest_bytes, short
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.state import Fate, Limits, RunState, Spent
from goldgate.ports.agents import DelegateReply
from goldgate.ports.delivery import Clock
from goldgate.ports.task_runs import RunHeldError, RunWord, TaskRunStore

PARENT: Final = PARENT_ANNOTATION
"""Annotation of a sub-run: the run that asked for it."""

PARENT_SPAN: Final = "goldgate.dev/parent-span"
"""Annotation of a sub-run: the span under which its own stands."""

BUNDLE: Final = "goldgate.dev/bundle"
"""Annotation of a sub-run: the bundle of its agent, which lies in that of the asking one."""

_LONGEST_NAME: Final = 63
LOOK_EVERY_S: Final = 0.2
"""At a sub-run that somebody else works on, unless the store is to be asked less often."""


@dataclass(frozen=True, kw_only=True)
class RecordedDelegate:
    """Implements `goldgate.ports.agents.Delegate`."""

    parent: TaskRun
    store: TaskRunStore
    clock: Clock
    run: Callable[[TaskRun], TaskRun]
    """Works on a sub-run until it is over, waits, or may not go on."""
    check: Callable[[], None]
    """Raises if the asking run may not go on."""
    pause: Callable[[float], None]
    bundle: Callable[[], str]
    """The bundle of the asking agent; empty if it is none."""
    look_every_s: float = LOOK_EVERY_S
    """How long to wait for a sub-run that somebody else works on before it is tried again."""

    def ask(self, agent: str, message: str, *, key: str, limits: Limits, depth: int) -> DelegateReply:
        """Ask once for a key; see `goldgate.ports.agents.Delegate`."""
        try:
            asked = self._sub_run(agent, message, key=key, limits=limits, depth=depth)
            done = self._finished(asked)
        except (PermanentError, ValueError) as error:
            return DelegateReply(content=f"Agent `{agent}` could not be asked: {error}", is_error=True, spent=Spent())
        state = state_of(done.status)
        if not state.phase.is_terminal:
            self.check()
            waits = f"{state.detail} (run `{done.metadata.name}`)"
            return DelegateReply(content="", is_error=False, spent=Spent(), waits=waits)
        reply = reply_of(agent, state)
        return replace(reply, spent=replace(reply.spent, take_ups=0))

    def _sub_run(self, agent: str, message: str, *, key: str, limits: Limits, depth: int) -> TaskRun:
        name = sub_run_name(key)
        found = self.store.read(name)
        if found is not None:
            # What is left of the limits was written down when it was first asked, and may be less by now.
            if (found.spec.agent_ref, found.spec.user_message) != (agent, message):
                raise PermanentError(f"Found run `{name}`, which asks something else; expected that of call `{key}`.")
            return found
        bundle = self.bundle()
        annotations = {
            PARENT: self.parent.metadata.name,
            PARENT_SPAN: self.parent.status.span_id or "",
            **({BUNDLE: f"{bundle}/agents/{agent}"} if bundle else {}),
        }
        spec = TaskRunSpec(agent_ref=agent, user_message=message, limits=run_limits(limits), depth=depth)
        return TaskRun(kind="TaskRun", metadata=Metadata(name=name, annotations=annotations), spec=spec)

    def _finished(self, asked: TaskRun) -> TaskRun:
        while True:
            try:
                return self.run(asked)
            except RunHeldError:
                # A former owner's lease that has not ended yet, or a person who runs it by hand.
                self.check()
                self.pause(self.look_every_s)


def sub_run_name(key: str) -> str:
    """Name the run of a call by the call's key: a DNS label, the same for the same key, another for another."""
    label = re.sub(r"[^a-z0-9-]+", "-", key.lower()).strip("-")
    if label == key and len(label) <= _LONGEST_NAME:
        return label
    digest = short(digest_bytes(key.encode()))
    return f"{label[: _LONGEST_NAME - len(digest) - 1].strip('-') or 'run'}-{digest}"


def sub_runs(state: RunState, store: TaskRunStore) -> list[TaskRun]:
    """List the runs that calls of the last reply wait for and that are not over."""
    open_calls = [call for call in state.calls if call.fate in {Fate.STARTED, Fate.PARKED}]
    found = [store.read(sub_run_name(call.key)) for call in open_calls if call.key]
    return [run for run in found if run is not None and not run.status.phase.is_terminal]


def cancel_sub_runs(state: RunState, store: TaskRunStore, *, clock: Clock, by: str) -> None:
    """Leave an order to end with every sub-run that is not over."""
    for run in sub_runs(state, store):
        order = RunWord(
            id="cancelled-with-its-parent", at=clock.now(), by=by, cancels=True, text="the run that asked for it ended"
        )
        store.post(run.metadata.name, order)
