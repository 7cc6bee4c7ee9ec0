"""A chat model that says what it was told to say."""

import threading
from collections.abc import Sequence

from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.model import ChatReply, ToolDefinition


def says(text: str, *, finish_reason: str = "stop") -> ChatReply:
    """An answer of 10 tokens in, 4 of them cached, and 5 out, for a thousandth of a dollar."""
    return ChatReply(
        content=text,
        finish_reason=finish_reason,
        tokens_in=10,
        tokens_out=5,
        tokens_cached=4,
        cost_usd=0.001,
        is_metered=True,
    )


def asks(*requests: ToolRequest) -> ChatReply:
    """A reply that asks for tool calls."""
    return ChatReply(
        content="",
        tool_requests=requests,
        finish_reason="tool_calls",
        tokens_in=10,
        tokens_out=5,
        tokens_cached=4,
        cost_usd=0.001,
        is_metered=True,
    )


class ScriptedChatModel:
    """Implements `goldgate.ports.model.ChatModel`: the last entry of its script repeats for ever."""

    def __init__(self, *script: ChatReply | TransientError | PermanentError, name: str = "scripted-1") -> None:
        self._script = list(script)
        self._name = name
        self._lock = threading.Lock()
        self.conversations: list[list[ChatMessage]] = []
        self.tools: list[Sequence[ToolDefinition]] = []
        self.limits_s: list[float] = []
        self.may_call: list[bool] = []

    @property
    def name(self) -> str:
        return self._name

    def complete(
        self,
        messages: Sequence[ChatMessage],
        *,
        tools: Sequence[ToolDefinition] = (),
        may_call: bool = True,
        within_s: float,
    ) -> ChatReply:
        with self._lock:
            self.may_call.append(may_call)
            self.conversations.append(list(messages))
            self.tools.append(tools)
            self.limits_s.append(within_s)
            entry = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(entry, Exception):
            raise entry
        return entry
