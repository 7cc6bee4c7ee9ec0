"""What is known of a run: everything that its next step depends on, and nothing else.

It is recorded whole at every transition, so that a process which was killed is followed by one that knows as much.
"""

import enum
from dataclasses import dataclass, field, replace

from goldgate.domain.conversation import ChatMessage


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


class Nature(enum.Enum):
    """What it means to make a call once more, as the author of the agent declares it."""

    PURE = "pure"
    """It changes nothing: it may be repeated."""
    IDEMPOTENT = "idempotent"
    """Its server honours the key that goes with the call: once more with the same key changes nothing more."""
    ASK = "ask"
    """It acts. Whether it did, when nobody knows, is asked of a person."""
    FAIL = "fail"
    """It acts. When nobody knows whether it did, the run fails."""


class Fate(enum.Enum):
    """What became of a call."""

    AWAITED = "awaited"
    """A person has the word: see `Need`."""
    STARTED = "started"
    """Recorded before it is made: from here on it may have acted."""
    PARKED = "parked"
    """It waits for somebody elsewhere, and is made again with the same key when the run is taken up."""
    DONE = "done"


class Need(enum.Enum):
    """What a person is asked about a call."""

    NOTHING = "nothing"
    APPROVAL = "approval"
    """May it be made?"""
    ANSWER = "answer"
    """The call is itself a question to a person."""
    FATE = "fate"
    """It was started and never came back: may it be made again, or what did it do?"""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of the model's last reply."""

    id: str
    """As the model named it: unique within the reply."""
    name: str
    arguments: str
    """The JSON text that the model wrote."""
    extra: str = ""
    """JSON text that its endpoint wants back with it."""
    nature: Nature = Nature.ASK
    need: Need = Need.NOTHING
    question: str = ""
    """What a person reads, if one is asked."""
    key: str = ""
    """Goes with the call wherever it is made: the same call has the same key for ever."""
    fate: Fate = Fate.STARTED
    content: str = ""
    """What the model reads, once it is done."""
    is_error: bool = False


@dataclass(frozen=True, kw_only=True)
class Made:
    """A call as the watch for loops remembers it."""

    call: str
    """Digest of name and arguments."""
    result: str = ""
    """Digest of what came back; empty as long as nothing did. `loops.NOT_MADE` for a call that was not made."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a run used so far, its sub-agents included. Never goes down."""

    steps: int = 0
    """Replies of the model."""
    tool_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    """Part of `tokens_in` that the endpoint had cached."""
    cost_usd: float = 0.0
    is_metered: bool = True
    """Every reply said what it used. Otherwise tokens and cost are too low, and unknown."""
    active_s: float = 0.0
    """Time worked. Waiting for a person, or for a process to take the run up, is no work."""
    take_ups: int = 0
    """How often a process took the run up after another had left it in the middle of its work."""

    def __add__(self, other: "Spent") -> "Spent":
        """Add up two accounts."""
        return Spent(
            steps=self.steps + other.steps,
            tool_calls=self.tool_calls + other.tool_calls,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            tokens_cached=self.tokens_cached + other.tokens_cached,
            cost_usd=self.cost_usd + other.cost_usd,
            is_metered=self.is_metered and other.is_metered,
            active_s=self.active_s + other.active_s,
            take_ups=self.take_ups + other.take_ups,
        )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a run may use. None: no limit of its own."""

    max_steps: int = 4
    timeout_s: float = 30.0
    max_tokens: int | None = None
    """Read and written, together."""
    max_cost_usd: float | None = None


class Stage(enum.Enum):
    """What the model is doing."""

    PLAN = "plan"
    """It says what it will do, and calls nothing yet."""
    ACT = "act"
    """It calls tools and reads what they return, until it has an answer."""
    REFLECT = "reflect"
    """It has an answer and holds it against the question and what it was given."""


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How an agent works, beside acting and observing. Each costs one more reply of the model."""

    plans: bool = False
    reflects: bool = False


@dataclass(frozen=True, kw_only=True)
class RunState:
    """A run between two steps."""

    run_id: str = ""
    """Prefix of the keys of its calls."""
    phase: Phase = Phase.INITIALIZING
    status: Status = Status.PENDING
    detail: str = ""
    waits_for_agent: bool = False
    """Its agent, or something that it needs, is missing or not ready: `detail` says what."""
    error: str | None = None
    """Why there is no answer, beginning with its kind: `max_steps: ...`, `timeout: ...`, `loop: ...`, `model: ...`."""
    output: str | None = None
    """The answer; of a run that failed, the last text it had."""
    refused: bool = False
    can_wait: bool = False
    """Whether the run may end here and go on when a person has spoken. A request that is being served cannot."""
    flags: tuple[str, ...] = ()
    bundle: str = ""
    """Digest of the agent that began the run; the same one goes on with it."""
    messages: tuple[ChatMessage, ...] = ()
    """The context window: system prompt, user message, then every assistant and tool message."""
    given: tuple[str, ...] = ()
    """Ids of the passages in the context window, best first."""
    citations: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    """Of the model's last reply, in its order."""
    limits: Limits = Limits()
    habits: Habits = Habits()
    stage: Stage = Stage.ACT
    spent: Spent = Spent()
    trail: tuple[Made, ...] = ()
    """The calls so far, oldest first, the last of them only."""
    told: tuple[str, ...] = field(default=())
    """What the model was told already, by kind."""

    @property
    def is_waiting_for_a_person(self) -> bool:
        """Whether all that is left to do is somebody's to say."""
        fates = {call.fate for call in self.calls}
        waits = bool(fates & {Fate.AWAITED, Fate.PARKED})
        return self.phase is Phase.TOOL_CALLS_PENDING and waits and Fate.STARTED not in fates

    @property
    def has_paused(self) -> bool:
        """Whether its last owner left it in good order, with nothing under way: it waits for a person or an agent."""
        return self.is_waiting_for_a_person or self.waits_for_agent

    def with_call(self, done: Call) -> "RunState":
        """Replace the call of that id."""
        return replace(self, calls=tuple(done if call.id == done.id else call for call in self.calls))

    def call(self, call_id: str) -> Call | None:
        """Find a call of the last reply."""
        return next((call for call in self.calls if call.id == call_id), None)
