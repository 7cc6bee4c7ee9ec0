"""The conversation between an agent and its model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ToolRequest:
    """A call that the model asks for. `arguments` is the raw JSON text it wrote, not yet checked."""

    id: str
    name: str
    arguments: str
    extra: str = ""
    """JSON text that the endpoint gave with the call and wants back with it. Nobody else reads it."""


@dataclass(frozen=True, kw_only=True)
class ChatMessage:
    """One message of the conversation with the model."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_requests: Sequence[ToolRequest] = ()
    tool_call_id: str | None = None
    is_error: bool = False
    """Of a tool's result: the call failed, or was not made. Not sent to the model, who reads the text."""
