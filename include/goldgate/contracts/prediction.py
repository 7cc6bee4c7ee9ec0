"""`predict(request) -> response`: all that evaluation, packaging and the router know of an agent."""

from typing import Final, Literal

from pydantic import Field, JsonValue

from goldgate.contracts.base import Contract

QUESTION_REFUSED: Final = "question:"
"""How an `error` begins that the question itself is the reason for: no text, or too much of it."""

ERROR_KINDS: Final = frozenset(
    {
        "question",
        "retrieval",
        "model",
        "tool",
        "agent",
        "timeout",
        "max_steps",
        "max_tokens",
        "max_cost",
        "unmetered",
        "context",
        "loop",
        "waiting",
        "interrupted",
        "cancelled",
        "deadline",
        "crashes",
    }
)
"""How an `error` may begin, before its first colon: all that is told of one where its text is not."""

RATE_LIMITED: Final = "rate_limit:"
"""How the `error` of a request begins that the router refused because it was one too many: no arm was asked."""

SafetyFlag = Literal[
    "refusal_rule",
    "injection_in_question",
    "injection_in_context",
    "personal_data_in_question",
    "personal_data_in_answer",
    "personal_data_in_tool_result",
    "out_of_domain",
    "tool_not_allowed",
    "refused_by_model",
]

SpanName = Literal["preproc", "retrieval", "rerank", "llm", "tool", "postproc", "safety", "agent"]
"""`agent`: a callable that was written elsewhere, as a whole."""

Reported = Literal["usage", "citations", "retrieved", "tool_calls"]
"""What an agent can tell beside its answer. What it does not tell is unmeasured, never 0."""


class Turn(Contract):
    """An earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: str


class PredictRequest(Contract):
    """One question for an agent."""

    question: str
    context: list[str] = Field(default_factory=list)
    """Text attached by the caller; data, never instructions."""
    history: list[Turn] = Field(default_factory=list)
    trace_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    """W3C trace id. Made by the agent if the caller has none."""


class ToolCall(Contract):
    """A tool that the agent called."""

    name: str
    arguments: dict[str, JsonValue]
    is_error: bool


class Usage(Contract):
    """What one request used. The model's own figures, summed over its calls."""

    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)
    tokens_cached: int = Field(default=0, ge=0)
    """Part of `tokens_in` that the endpoint had cached."""
    cost_usd: float = Field(default=0, ge=0)
    llm_calls: int = Field(default=0, ge=0)
    is_metered: bool = True
    """Every call said what it used. If one did not, the figures above are too low: the cost is unknown."""


class Span(Contract):
    """One bar of the waterfall."""

    name: SpanName
    span_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    start_ms: float = Field(ge=0)
    """From the start of the request."""
    duration_ms: float = Field(ge=0)


class SafetyBlock(Contract):
    """One thing that safety did: refused, removed or marked."""

    flag: SafetyFlag
    reason: str
    """In words, without what was found."""
    span_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    """Where in the trace."""


class PredictResponse(Contract):
    """What the agent answered, and everything a gate may ask about it."""

    answer: str
    refused: bool
    citations: list[str] = Field(default_factory=list)
    """Ids of the passages that the answer names."""
    retrieved: list[str] = Field(default_factory=list)
    """Ids of the passages given to the model, best first."""
    tool_calls: list[ToolCall] = Field(default_factory=list)
    usage: Usage = Usage()
    latency_ms_total: float = Field(ge=0)
    latency_ms_llm: float = Field(ge=0)
    safety_flags: list[SafetyFlag] = Field(default_factory=list)
    safety_blocks: list[SafetyBlock] = Field(default_factory=list)
    """Each with its reason and its span."""
    error: str | None = None
    """Why there is no proper answer, its kind first (`ERROR_KINDS`): `timeout: all 30 s are used up`,
    `max_steps: ...`, `retrieval: unavailable`, `model: 401 refused (unauthorized)`. Nothing that an endpoint wrote.
    """
    trace_id: str
    model: str
    """`name` of the LLM's model, as pinned."""
    prompt: str
    """`<agent>@<first 12 digits of the digest of both prompts>`."""
    spans: list[Span] = Field(default_factory=list)
    unmeasured: list[Reported] = Field(default_factory=list)
    """What the agent does not tell: its field above is empty, and says nothing."""
