"""Write a conversation as one endpoint takes it: what one forgives, another refuses, and the whole run with it."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final

from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.models.providers import Provider

_LONGEST_NAME = 64
_ODD_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")

NOTHING_SAID: Final = "(nothing)"
"""Stands for an empty reply: Mistral and Anthropic refuse a message that holds neither text nor calls."""

RESULTS_READ: Final = "I have read the results."
"""Stands between a result and a word of the user where the assistant has to speak in between."""

_UNSIGNED: Final = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""What Google's documentation gives for a call that another model made, and that nobody signed."""


def written_messages(messages: Sequence[ChatMessage], provider: Provider) -> list[dict[str, Any]]:
    """Write a conversation."""
    written: list[dict[str, Any]] = []
    for message in messages:
        last = written[-1] if written and provider.wants_turns and message.role == "user" else {}
        if last.get("role") == "user":
            last["content"] = f"{last['content']}\n\n{message.content}"
            continue
        if last.get("role") == "tool":
            written.append({"role": "assistant", "content": RESULTS_READ})
        written.append(_written_message(message, provider))
    return written


def _written_message(message: ChatMessage, provider: Provider) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.role == "assistant" and not message.content.strip():
        written["content"] = None if message.tool_requests else NOTHING_SAID
    if message.tool_requests:
        written["tool_calls"] = _written_calls(message.tool_requests, provider)
        if provider.wants_reasoning:
            written["reasoning_content"] = ""
    if message.tool_call_id is not None:
        written["tool_call_id"] = _written_id(message.tool_call_id, provider)
    return written


def _written_calls(requests: Sequence[ToolRequest], provider: Provider) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = [
        {
            "id": _written_id(asked.id, provider),
            "type": "function",
            "function": {"name": _written_name(asked.name), "arguments": _written_arguments(asked.arguments)},
        }
        for asked in requests
    ]
    if provider.wants_signatures:
        for call, asked in zip(calls, requests, strict=True):
            if asked.extra:
                call["extra_content"] = json.loads(asked.extra)
        # Of calls side by side Google signs the first alone.
        calls[0].setdefault("extra_content", _UNSIGNED)
    return calls


def _written_name(name: str) -> str:
    """A name that the model made up is refused by strict endpoints."""
    return _ODD_IN_NAME.sub("_", name)[:_LONGEST_NAME] or "_"


def _written_arguments(arguments: str) -> str:
    """Arguments that are no object are refused by vLLM, llama.cpp, Anthropic, Google and Mistral, among others."""
    try:
        is_object = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        is_object = False
    return arguments if is_object else json.dumps({"not_json": arguments})


def _written_id(given: str, provider: Provider) -> str:
    if not provider.wants_nine_letter_ids or re.fullmatch(r"[a-zA-Z0-9]{9}", given):
        return given
    return hashlib.sha256(given.encode()).hexdigest()[:9]


def ids_in(messages: Sequence[ChatMessage]) -> set[str]:
    """Collect the ids of all calls of a conversation."""
    return {asked.id for message in messages for asked in message.tool_requests}
