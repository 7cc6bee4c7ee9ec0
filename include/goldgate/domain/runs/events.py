"""What can happen to a run."""

import enum
from dataclasses import dataclass

from goldgate.domain.conversation import ChatMessage
from goldgate.domain.runs.state import Call, Habits, Limits, Spent


@dataclass(frozen=True, kw_only=True)
class Validated:
    """It asks for an agent and a message."""


@dataclass(frozen=True, kw_only=True)
class AgentUnavailable:
    """The agent, or something it needs, is missing or not ready; it may be later."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class AgentFound:
    """The agent that was missing is there: the run goes on where it stands."""


@dataclass(frozen=True, kw_only=True)
class AgentReady:
    """The agent is there and the conversation stands."""

    messages: tuple[ChatMessage, ...]
    given: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    limits: Limits = Limits()
    habits: Habits = Habits()
    bundle: str = ""
    active_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Answered:
    """There is an answer without the loop of model and tools: a refusal, or an agent that does all in one step."""

    output: str
    refused: bool = False
    messages: tuple[ChatMessage, ...] = ()
    given: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    limits: Limits | None = None
    bundle: str = ""
    spent: Spent = Spent()


@dataclass(frozen=True, kw_only=True)
class ModelReplied:
    """The model answered, or asks for calls.

    Its text was checked already: what is recorded may leave.
    """

    content: str
    calls: tuple[Call, ...] = ()
    """Held to the agent's tools: `DONE` with a text for the model if not to be made, else `STARTED` or `AWAITED`."""
    finish_reason: str = "stop"
    refused: bool = False
    citations: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    spent: Spent = Spent(steps=1)


@dataclass(frozen=True, kw_only=True)
class ToolReturned:
    """A call came back. A failed tool is a result too: its text is for the model."""

    call_id: str
    content: str
    is_error: bool = False
    is_fate_unknown: bool = False
    """Nobody knows whether it acted: it gave no answer in time, or its server ended."""
    flags: tuple[str, ...] = ()
    spent: Spent = Spent()
    """What the call itself used: that of a sub-agent, and the time since the last event."""


@dataclass(frozen=True, kw_only=True)
class ToolWaits:
    """A call cannot go on before a person has spoken elsewhere: a sub-agent of it waits. It is made again after."""

    call_id: str
    reason: str
    active_s: float = 0.0


class Word(enum.Enum):
    """What a person says to what a run asks."""

    APPROVE = "approve"
    """Make the call; of one whose fate is unknown: make it again."""
    DENY = "deny"
    """Do not make it."""
    ANSWER = "answer"
    """The text is the result of the call."""


@dataclass(frozen=True, kw_only=True)
class PersonSpoke:
    """A person answers what a call waits for."""

    call_id: str
    word: Word
    text: str = ""
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class TakenUp:
    """A process takes the run up that another one began."""

    lost_s: float = 0.0
    """How long the former one went on working after its last record, as far as is known."""


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """A person or a program ends the run."""

    by: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DeadlinePassed:
    """The moment by which the run had to be over is past, waiting included."""

    deadline: str


@dataclass(frozen=True, kw_only=True)
class Broke:
    """It cannot go on."""

    reason: str
    flags: tuple[str, ...] = ()
    spent: Spent = Spent()


@dataclass(frozen=True, kw_only=True)
class Abandoned:
    """Nothing more can work on it: whoever launches its processes has tried as often as it may."""

    reason: str


Event = (
    Validated
    | AgentUnavailable
    | AgentFound
    | AgentReady
    | Answered
    | ModelReplied
    | ToolReturned
    | ToolWaits
    | PersonSpoke
    | TakenUp
    | Cancelled
    | DeadlinePassed
    | Broke
    | Abandoned
)
