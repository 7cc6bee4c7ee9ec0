"""The chat model behind an agent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from pydantic import JsonValue

from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.models.trouble import Trouble


@dataclass(frozen=True, kw_only=True)
class ToolDefinition:
    """A tool as the model sees it."""

    name: str
    description: str
    input_schema: dict[str, JsonValue]
    output_schema: dict[str, JsonValue] | None = None
    """What its structured results keep. None: the server promises nothing."""


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """What the model answered, and what it charged."""

    content: str
    tool_requests: Sequence[ToolRequest] = field(default=())
    finish_reason: str
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_usd: float
    is_metered: bool
    """The endpoint said what the call used. Otherwise tokens and cost are 0, and unknown."""
    model: str = ""
    """Pinned name of the model that answered: a fallback's, if it was one."""
    attempts: int = 1
    """How often an endpoint was asked for this reply, the fallbacks included."""


@dataclass(frozen=True, kw_only=True)
class ModelUse:
    """What attempts that gave no answer used, as far as an endpoint said."""

    attempts: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: "ModelUse") -> "ModelUse":
        """Add up two accounts."""
        return ModelUse(
            attempts=self.attempts + other.attempts,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            tokens_cached=self.tokens_cached + other.tokens_cached,
            cost_usd=self.cost_usd + other.cost_usd,
        )


class ModelRefusedError(PermanentError):
    """The endpoint refuses the request itself. Its message may quote what was asked: for logs, never for callers."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        trouble: Trouble = Trouble.BAD_REQUEST,
        use: ModelUse = ModelUse(),
    ) -> None:
        """Keep the HTTP status, if there was one, what it was, and what it cost."""
        super().__init__(message)
        self.status = status
        self.trouble = trouble
        self.use = use


class ModelUnavailableError(TransientError):
    """The endpoint did not answer in time. Its message may quote what was asked: for logs, never for callers."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: timedelta | None = None,
        trouble: Trouble = Trouble.SERVER,
        use: ModelUse = ModelUse(),
    ) -> None:
        """Keep the HTTP status, if there was one, what it was, and what it cost."""
        super().__init__(message, retry_after=retry_after)
        self.status = status
        self.trouble = trouble
        self.use = use


class ChatModel(Protocol):
    """One pinned model of one endpoint."""

    @property
    def name(self) -> str:
        """The pinned model name."""

    def complete(
        self,
        messages: Sequence[ChatMessage],
        *,
        tools: Sequence[ToolDefinition] = (),
        may_call: bool = True,
        within_s: float,
    ) -> ChatReply:
        """Ask once, retries and fallbacks included, and return by `within_s` seconds.

        Args:
            messages: The conversation.
            tools: What the model may know of.
            may_call: Whether it may call them now; otherwise it is to answer with text.
            within_s: Total time, whatever the endpoint does.

        Raises:
            ModelUnavailableError: Rate limit, time-out or server error that retries did not cure.
            ModelRefusedError: The endpoint refuses the request itself, or answers with no choice.
        """


class ClosableModel(ChatModel, Protocol):
    """A model that holds connections."""

    def close(self) -> None:
        """Give back the connections. Closing twice does nothing."""
