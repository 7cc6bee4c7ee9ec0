"""Run an agent on one message, as a local process, every transition recorded before it is acted on.

A run that was killed while it worked is not taken up again: a tool may have acted, so it ends as Failed and says so.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from goldgate.adapters.file_locks import FileLocks
from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.episode import Episode
from goldgate.agent.runtime import AgentRuntime
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.documents import read_json, read_yaml
from goldgate.contracts.durable import write_durably
from goldgate.contracts.prediction import PredictRequest
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import ContextMessage, Task, TaskRun, TaskRunSpec, TaskRunStatus, TaskSpec
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.task_run import (
    AgentReady,
    AgentUnavailable,
    Answered,
    Broke,
    Effect,
    Event,
    Phase,
    RunState,
    Step,
    ToolsDone,
    ToolsRequested,
    Validated,
    advance,
)
from goldgate.entrypoints.agents import load_agent
from goldgate.entrypoints.freezing import freeze_agent
from goldgate.entrypoints.settings import Settings
from goldgate.ports.delivery import Clock

_PREVIEW_CHARS = 60
_LONGEST_NAME = 63

OpenAgent = Callable[[str], AgentRuntime]
"""Opens an agent by its name. TransientError: not there yet. PermanentError: a person must act."""


def run_task(spec: TaskRunSpec | TaskRun, *, settings: Settings, env: Mapping[str, str]) -> TaskRun:
    """Run a TaskRun until it has answered, failed, or waits for an agent that is not there.

    The record is `<home>/taskruns/<name>.json`. A run that is over is returned as it was recorded; one that waits goes
    on when it is run again.

    Args:
        spec: What to run; a specification alone gets a name of its own.
        settings: Where agents and records are.
        env: The environment that the agent's resources refer to.

    Raises:
        PermanentError: Another run has that name, or the record cannot be read.
        TransientError: Another process is working on that run.
    """
    run = spec if isinstance(spec, TaskRun) else _named(spec)
    driver = TaskRunDriver(
        records=settings.home / "taskruns",
        agents=settings.agents,
        open_agent=lambda name: _open_agent(name, settings=settings, env=env),
        clock=SystemClock(),
    )
    with FileLocks(settings.home / "locks").hold(f"taskrun-{run.metadata.name}", within_s=0):
        return driver.run(run)


@dataclass(frozen=True, kw_only=True)
class TaskRunDriver:
    """Does what a run's states ask for, one after the other."""

    records: Path
    agents: Path
    open_agent: OpenAgent
    clock: Clock

    def run(self, run: TaskRun) -> TaskRun:
        """Take up a run where its record leaves it."""
        found = self._found(run)
        if found is not None and found.status.phase.is_terminal:
            return found
        recorder = _Recorder(path=self._path(run), run=found or run, clock=self.clock)
        recorder.begin()
        state = recorder.state
        if state.phase not in {Phase.INITIALIZING, Phase.PENDING}:
            reason = f"interrupted in phase {state.phase.value}: a tool may have acted. Start a new run."
            recorder.take(advance(state, Broke(reason=reason)))
            return recorder.run
        try:
            task = self._task(run.spec)
        except PermanentError as error:
            recorder.take(advance(state, Broke(reason=str(error))))
            return recorder.run
        recorder.describe(task)
        recorder.take(advance(state, Validated()))
        self._answer(task, recorder)
        return recorder.run

    def _answer(self, task: TaskSpec, recorder: "_Recorder") -> None:
        try:
            agent = self.open_agent(task.agent_ref)
        except TransientError as error:
            recorder.take(advance(recorder.state, AgentUnavailable(reason=str(error))))
            return
        except PermanentError as error:
            recorder.take(advance(recorder.state, Broke(reason=str(error))))
            return
        try:
            self._converse(agent.episode(PredictRequest(question=task.user_message)), recorder)
        finally:
            agent.close()

    def _converse(self, episode: Episode, recorder: "_Recorder") -> None:
        episode.start()
        step = self._next(episode, recorder, otherwise=AgentReady())
        while step.effect is not Effect.STOP:
            calls = len(episode.pending)
            episode.step()
            otherwise = ToolsRequested(count=len(episode.pending)) if not calls else ToolsDone(count=calls)
            step = self._next(episode, recorder, otherwise=otherwise)

    def _next(self, episode: Episode, recorder: "_Recorder", *, otherwise: Event) -> Step:
        event = otherwise
        messages = list(episode.messages)
        if episode.is_over:
            response = episode.finish()
            event = Broke(reason=response.error) if response.error else Answered(output=response.answer)
            if messages and messages[-1].role == "assistant" and not response.error:
                # What leaves is what was checked, in the record too.
                messages[-1] = ChatMessage(role="assistant", content=response.answer)
        recorder.converse(messages, trace_id=episode.trace_id)
        return recorder.take(advance(recorder.state, event))

    def _found(self, run: TaskRun) -> TaskRun | None:
        path = self._path(run)
        if not path.exists():
            return None
        found = read_json(path, TaskRun)
        if found.spec != run.spec:
            raise PermanentError(
                f"Found another run named `{run.metadata.name}` in `{path}`, which asks something else; expected a new "
                "name or the same `spec`. Rename the run."
            )
        return found

    def _path(self, run: TaskRun) -> Path:
        return self.records / f"{run.metadata.name}.json"

    def _task(self, spec: TaskRunSpec) -> TaskSpec:
        if spec.agent_ref is not None and spec.user_message is not None:
            return TaskSpec(agent_ref=spec.agent_ref, user_message=spec.user_message)
        return find_task(spec.task_ref or "", agents=self.agents).spec


@dataclass(kw_only=True)
class _Recorder:
    """Writes every state of a run before anything is done about it."""

    path: Path
    run: TaskRun
    clock: Clock

    @property
    def state(self) -> RunState:
        """The run as its transitions see it."""
        status = self.run.status
        return RunState(
            phase=status.phase,
            status=status.status,
            detail=status.status_detail,
            error=status.error,
            output=status.output,
        )

    def begin(self) -> None:
        """Note when work on the run began."""
        if self.run.status.start_time is None:
            self._update(start_time=self.clock.now(), span_id=secrets.token_hex(8))
        self._write()

    def describe(self, task: TaskSpec) -> None:
        """Note what is asked."""
        text = task.user_message
        preview = text if len(text) <= _PREVIEW_CHARS else f"{text[:_PREVIEW_CHARS]}…"
        self._update(user_message_preview=preview)

    def converse(self, messages: list[ChatMessage], *, trace_id: str) -> None:
        """Note the conversation so far."""
        self._update(context_window=[_context_message(message) for message in messages], trace_id=trace_id)

    def take(self, step: Step) -> Step:
        """Record the state that a step leads to."""
        state = step.state
        self._update(
            phase=state.phase,
            status=state.status,
            ready=state.phase in {Phase.READY_FOR_LLM, Phase.TOOL_CALLS_PENDING, Phase.FINAL_ANSWER},
            status_detail=f"{step.reason}: {state.detail}",
            error=state.error,
            output=state.output,
            completion_time=self.clock.now() if state.phase.is_terminal else None,
        )
        self._write()
        return step

    def _update(self, **fields: object) -> None:
        status = self.run.status.model_copy(update=fields)
        self.run = self.run.model_copy(update={"status": TaskRunStatus.model_validate(status.model_dump())})

    def _write(self) -> None:
        write_durably(self.path, self.run.model_dump_json(by_alias=True, indent=2).encode() + b"\n")


def find_task(name: str, *, agents: Path) -> Task:
    """Find a Task by its name in `<agent>/tasks/<name>.yaml`.

    Raises:
        PermanentError: There is none, there are several, or it breaks its contract.
    """
    found = sorted(agents.glob(f"*/tasks/{name}.yaml"))
    if len(found) != 1:
        places = ", ".join(f"`{path}`" for path in found) or "none"
        raise PermanentError(
            f"Found {places} for task `{name}`; expected exactly one `<agent>/tasks/{name}.yaml` in `{agents}`."
        )
    task = read_yaml(found[0], Task)
    if task.metadata.name != name:
        problem = Problem(
            where=str(found[0]), field="metadata.name", found=f"`{task.metadata.name}`", expected=f"`{name}`"
        )
        raise ContractError([problem])
    return task


def _named(spec: TaskRunSpec) -> TaskRun:
    of = spec.agent_ref or spec.task_ref or ""
    suffix = secrets.token_hex(4)
    name = f"{of[: _LONGEST_NAME - len(suffix) - 1].rstrip('-')}-{suffix}"
    return TaskRun(kind="TaskRun", metadata=Metadata(name=name), spec=spec)


def _open_agent(name: str, *, settings: Settings, env: Mapping[str, str]) -> AgentRuntime:
    folder = settings.agents / name
    if not (folder / "agent.yaml").is_file():
        raise TransientError(
            f"Found no agent `{name}` in `{settings.agents}`; expected `{name}/agent.yaml`. Run again when it is there."
        )
    cache = settings.home / "corpus-cache"
    bundle = freeze_agent(folder, into=settings.home / "bundles", env=env, corpus_cache=cache)
    return load_agent(bundle.path, env=env)


def _context_message(message: ChatMessage) -> ContextMessage:
    return ContextMessage(
        role=message.role,
        content=message.content,
        tool_calls=[
            {"id": asked.id, "type": "function", "function": {"name": asked.name, "arguments": asked.arguments}}
            for asked in message.tool_requests
        ],
        tool_call_id=message.tool_call_id,
    )
