"""The chat model behind an agent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol

from pydantic import JsonValue

from goldgate.domain.errors import PermanentError, TransientError


@dataclass(frozen=True, kw_only=True)
class ToolRequest:
    """A call that the model asks for. `arguments` is the raw JSON text it wrote, not yet checked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class ChatMessage:
    """One message of the conversation with the model."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_requests: Sequence[ToolRequest] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ToolDefinition:
    """A tool as the model sees it."""

    name: str
    description: str
    input_schema: dict[str, JsonValue]


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


class ModelRefusedError(PermanentError):
    """The endpoint refuses the request itself. Its message may quote what was asked: for logs, never for callers."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """Keep the HTTP status, if there was one."""
        super().__init__(message)
        self.status = status


class ModelUnavailableError(TransientError):
    """The endpoint did not answer in time. Its message may quote what was asked: for logs, never for callers."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: timedelta | None = None) -> None:
        """Keep the HTTP status, if there was one."""
        super().__init__(message, retry_after=retry_after)
        self.status = status


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
        within_s: float,
    ) -> ChatReply:
        """Ask once, retries included, and return by `within_s` seconds.

        Raises:
            ModelUnavailableError: Rate limit, time-out or server error that retries did not cure.
            ModelRefusedError: The endpoint refuses the request itself, or answers with no choice.
        """
