"""The life of a TaskRun: which phase follows from what happened, and what is to be done next.

Pure: whoever drives a run records the new state first and then does what its step asks for. So a run that was killed
is found in a phase that says what may have been done and what has not.
"""

import enum
from dataclasses import dataclass, replace
from typing import assert_never

from goldgate.domain.errors import PermanentError


class Phase(enum.Enum):
    """Where a TaskRun stands."""

    INITIALIZING = "Initializing"
    PENDING = "Pending"
    READY_FOR_LLM = "ReadyForLLM"
    TOOL_CALLS_PENDING = "ToolCallsPending"
    FINAL_ANSWER = "FinalAnswer"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        """A terminal run is never worked on again."""
        return self in {Phase.FINAL_ANSWER, Phase.FAILED}


class Status(enum.Enum):
    """How a TaskRun fares."""

    READY = "Ready"
    PENDING = "Pending"
    ERROR = "Error"


class Effect(enum.Enum):
    """What is to be done after a state was recorded."""

    OPEN_AGENT = "open_agent"
    ASK_MODEL = "ask_model"
    CALL_TOOLS = "call_tools"
    STOP = "stop"
    """Nothing now: the run is over, or waits until somebody works on it again."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What is known of a run, without its conversation."""

    phase: Phase = Phase.INITIALIZING
    status: Status = Status.PENDING
    detail: str = ""
    error: str | None = None
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class Validated:
    """It asks for an agent and a message."""


@dataclass(frozen=True, kw_only=True)
class AgentUnavailable:
    """The agent, or something it needs, is missing or not ready; it may be later."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class AgentReady:
    """The agent is there and the conversation stands."""


@dataclass(frozen=True, kw_only=True)
class ToolsRequested:
    """The model asks for tool calls."""

    count: int


@dataclass(frozen=True, kw_only=True)
class ToolsDone:
    """Every call that was asked for has a result."""

    count: int


@dataclass(frozen=True, kw_only=True)
class Answered:
    """There is an answer; a refusal is one, and may come before any model was asked."""

    output: str


@dataclass(frozen=True, kw_only=True)
class Broke:
    """It cannot go on."""

    reason: str


Event = Validated | AgentUnavailable | AgentReady | ToolsRequested | ToolsDone | Answered | Broke


@dataclass(frozen=True, kw_only=True)
class Step:
    """What follows from an event."""

    state: RunState
    """To be recorded before anything is done."""
    reason: str
    """One CamelCase word for the history of the run."""
    effect: Effect


class IllegalTransitionError(PermanentError):
    """Something happened that cannot happen in this phase."""


_ALLOWED: dict[type[Event], frozenset[Phase]] = {
    Validated: frozenset({Phase.INITIALIZING, Phase.PENDING}),
    AgentUnavailable: frozenset({Phase.PENDING}),
    AgentReady: frozenset({Phase.PENDING}),
    ToolsRequested: frozenset({Phase.READY_FOR_LLM}),
    ToolsDone: frozenset({Phase.TOOL_CALLS_PENDING}),
    Answered: frozenset({Phase.PENDING, Phase.READY_FOR_LLM}),
    Broke: frozenset(phase for phase in Phase if not phase.is_terminal),
}


def advance(state: RunState, event: Event) -> Step:
    """Tell what follows from an event.

    Raises:
        IllegalTransitionError: The event cannot happen in the state's phase; in a terminal phase none can.
    """
    if state.phase not in _ALLOWED[type(event)]:
        raise IllegalTransitionError(
            f"Found `{type(event).__name__}` in phase {state.phase.value}; expected it in "
            f"{', '.join(sorted(phase.value for phase in _ALLOWED[type(event)]))} only."
        )
    after, reason, effect = _follow(state, event)
    return Step(state=after, reason=reason, effect=effect)


def _follow(state: RunState, event: Event) -> tuple[RunState, str, Effect]:
    going = replace(state, status=Status.READY, error=None)
    asking = replace(going, phase=Phase.READY_FOR_LLM, detail="Asking the model")
    match event:
        case Validated():
            opening = replace(going, phase=Phase.PENDING, status=Status.PENDING, detail="Opening the agent")
            follows = opening, "ValidationSucceeded", Effect.OPEN_AGENT
        case AgentUnavailable(reason=reason):
            follows = replace(going, status=Status.ERROR, detail=reason, error=reason), "Waiting", Effect.STOP
        case AgentReady():
            follows = asking, "SendingContextWindowToLLM", Effect.ASK_MODEL
        case ToolsRequested(count=count):
            calling = replace(going, phase=Phase.TOOL_CALLS_PENDING, detail=f"Calls to make: {count}")
            follows = calling, "ToolCallsPending", Effect.CALL_TOOLS
        case ToolsDone(count=count):
            follows = replace(asking, detail=f"Calls made: {count}"), "AllToolCallsCompleted", Effect.ASK_MODEL
        case Answered(output=output):
            done = replace(going, phase=Phase.FINAL_ANSWER, detail="Answered", output=output)
            follows = done, "LLMFinalAnswer", Effect.STOP
        case Broke(reason=reason):
            failed = replace(going, phase=Phase.FAILED, status=Status.ERROR, detail=reason, error=reason)
            told = "ValidationFailed" if state.phase is Phase.INITIALIZING else "RunFailed"
            follows = failed, told, Effect.STOP
        case _:
            assert_never(event)
    return follows
