"""Task and TaskRun: what is asked of an agent, and all that is known of a run so far."""

from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from goldgate.contracts.base import ResourceContract
from goldgate.contracts.bounds import (
    LONGEST_DEADLINE_SECONDS,
    LONGEST_WORK_SECONDS,
    MOST_DEPTH,
    MOST_STEPS,
    MOST_TOKENS,
    MOST_USD,
)
from goldgate.contracts.resource_parts import Name, Resource
from goldgate.domain.runs.state import Fate, Nature, Need, Phase, Stage, Status


class TaskSpec(ResourceContract):
    """An agent and what to ask of it, kept for reuse."""

    agent_ref: Name
    """Name of the Agent that is asked."""
    user_message: str = Field(min_length=1)
    """What it is asked."""


class Task(Resource):
    """A question that can be run again."""

    kind: Literal["Task"]
    spec: TaskSpec


class RunLimits(ResourceContract):
    """What a run may use, beside the limits of its agent: the narrower holds."""

    max_steps: int | None = Field(default=None, ge=0, le=MOST_STEPS)
    """Model calls."""
    timeout_seconds: float | None = Field(default=None, ge=0, le=LONGEST_WORK_SECONDS)
    """Time worked; waiting for a person is no work."""
    max_tokens: int | None = Field(default=None, ge=0, le=MOST_TOKENS)
    """Read and written together, sub-agents included."""
    max_cost_usd: float | None = Field(default=None, ge=0, le=MOST_USD)
    """Sub-agents included."""


class TaskRunSpec(ResourceContract):
    """Either a reference to a Task, or an agent and a message."""

    task_ref: Name | None = None
    """Name of the Task that says which agent is asked what; in place of the two below."""
    agent_ref: Name | None = None
    """Name of the Agent that is asked."""
    user_message: str | None = Field(default=None, min_length=1)
    """What it is asked."""
    deadline_seconds: float | None = Field(default=None, gt=0, le=LONGEST_DEADLINE_SECONDS)
    """After its creation the run must be over by then, waiting included: for a node, an image, an agent, a person."""
    limits: RunLimits = RunLimits()
    depth: int = Field(default=0, ge=0, le=MOST_DEPTH)
    """How many agents stand above this one: 0 for a run that a person or a program started."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "TaskRunSpec":
        direct = self.agent_ref is not None or self.user_message is not None
        if self.task_ref is not None and direct:
            msg = "`taskRef` alone, or `agentRef` with `userMessage`, not both"
            raise ValueError(msg)
        if self.task_ref is None and not direct:
            msg = "`taskRef`, required when `agentRef` and `userMessage` are not given"
            raise ValueError(msg)
        if direct and self.agent_ref is None:
            msg = "`agentRef`: no agent is named for `userMessage`"
            raise ValueError(msg)
        if direct and self.user_message is None:
            msg = "`userMessage`: no message is given for `agentRef`"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _may_use_something(self) -> "TaskRunSpec":
        # What is left of the limits of an asking agent may be nothing, and its answer says so.
        if self.depth == 0 and 0 in self.limits.model_dump().values():
            msg = "limits above 0: a run that may use nothing is over before it begins"
            raise ValueError(msg)
        return self


class AskedFunction(ResourceContract):
    """What the model calls."""

    name: str
    arguments: str
    """The JSON text that the model wrote."""


class AskedCall(ResourceContract):
    """A call in a reply of the model, as endpoints write it."""

    id: str
    type: Literal["function"] = "function"
    function: AskedFunction
    extra: str = ""
    """JSON text that its endpoint wants back with it."""


class ContextMessage(ResourceContract):
    """One message of the context window."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: list[AskedCall] = Field(default_factory=list)
    tool_call_id: str | None = None
    is_error: bool = False
    """Of a tool's result: the call failed, or was not made."""


class CallStatus(ResourceContract):
    """A call of the model's last reply."""

    id: str
    name: str
    arguments: str
    extra: str = ""
    """JSON text that its endpoint wants back with it."""
    nature: Nature
    need: Need
    question: str
    key: str
    """The idempotency key that goes with it."""
    fate: Fate
    content: str
    is_error: bool


class RunUsage(ResourceContract):
    """What a run used so far, its sub-agents included."""

    llm_calls: int = Field(default=0, ge=0)
    tool_calls: int = Field(default=0, ge=0)
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)
    tokens_cached: int = Field(default=0, ge=0)
    cost_usd: float = Field(default=0, ge=0)
    is_metered: bool = True
    """Every call of a model said what it used. Otherwise tokens and cost are too low, and unknown."""
    active_seconds: float = Field(default=0, ge=0)
    take_ups: int = Field(default=0, ge=0)


class RunEvent(ResourceContract):
    """One line of a run's history."""

    at: datetime
    reason: str
    message: str


class MadeCall(ResourceContract):
    """A call as the watch for loops remembers it."""

    call: str
    result: str


class RunProgress(ResourceContract):
    """What only the runtime needs to go on."""

    run_id: str = ""
    bundle: str = ""
    waits_for_agent: bool = False
    task: TaskSpec | None = None
    """What the referenced Task said when the run began. None: the run's own `spec` says it."""
    limits: RunLimits = RunLimits()
    plans: bool = False
    reflects: bool = False
    stage: Stage = Stage.ACT
    trail: list[MadeCall] = Field(default_factory=list)
    told: list[str] = Field(default_factory=list)


class TaskRunStatus(ResourceContract):
    """What is known of a run so far."""

    phase: Phase = Phase.INITIALIZING
    """Where it stands. `FinalAnswer` and `Failed` are never worked on again."""
    status: Status = Status.PENDING
    """How it fares."""
    ready: bool = False
    status_detail: str = ""
    """What happened last, in a sentence."""
    error: str | None = None
    """Why it failed, the kind of failure first."""
    user_message_preview: str = ""
    """How the message begins."""
    output: str | None = None
    """The answer; of a run that failed, the text it had."""
    refused: bool = False
    safety_flags: list[str] = Field(default_factory=list)
    citations: list[str] = Field(default_factory=list)
    retrieved: list[str] = Field(default_factory=list)
    context_window: list[ContextMessage] = Field(default_factory=list)
    """System prompt, message of the user, and all that followed."""
    calls: list[CallStatus] = Field(default_factory=list)
    """Of the model's last reply, until all have their result."""
    usage: RunUsage = RunUsage()
    trace_id: str | None = None
    span_id: str | None = None
    start_time: datetime | None = None
    update_time: datetime | None = None
    completion_time: datetime | None = None
    events: list[RunEvent] = Field(default_factory=list)
    """The latest, oldest first."""
    events_dropped: int = Field(default=0, ge=0)
    """How many older ones are no longer kept."""
    progress: RunProgress = RunProgress()


class TaskRun(Resource):
    """One run of an agent on one message."""

    kind: Literal["TaskRun"]
    spec: TaskRunSpec
    status: TaskRunStatus = TaskRunStatus()
