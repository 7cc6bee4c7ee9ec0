"""Read what an endpoint calls a chat completion, however it is written, and write what is asked of it.

Endpoints differ: ids are missing or repeated, arguments are objects, usage is text. What can be understood without
guessing is; the rest is trouble of a named kind. Nothing here raises for what an endpoint wrote.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.models.providers import Provider
from goldgate.domain.models.trouble import Trouble, classify

_LONGEST_ID = 40
"""OpenAI's own bound for the id of a call."""
_LONGEST_NAME = 64
_ODD_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_TOKENS = 10**9
"""No call of any model uses more; a larger number is no count."""

_FINISH: Final = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "refusal": "content_filter",
}
FINISH_REASONS = frozenset({*_FINISH.values(), "unknown"})
"""All that a reader of a completion is ever told."""


@dataclass(frozen=True, kw_only=True)
class TokenUse:
    """What a call used, as the endpoint says."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    """Part of `tokens_in`."""
    is_told: bool = False


@dataclass(frozen=True, kw_only=True)
class Completion:
    """An answer that can be used."""

    content: str
    tool_requests: tuple[ToolRequest, ...]
    """Ids are not empty, and new in the conversation."""
    finish_reason: str
    use: TokenUse


@dataclass(frozen=True, kw_only=True)
class NoCompletion:
    """What came instead of one."""

    trouble: Trouble
    told: str
    use: TokenUse = TokenUse()
    """It may have cost all the same."""


def read_completion(body: bytes, *, taken: AbstractSet[str] = frozenset()) -> Completion | NoCompletion:
    """Read the body of an answer with status 200.

    Args:
        body: As it came.
        taken: Ids of calls that the conversation holds already.
    """
    if not body.strip():
        return NoCompletion(trouble=Trouble.GARBLED, told="an empty answer")
    try:
        value = json.loads(body, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        is_page = body.lstrip()[:1] == b"<"
        told = "a page of HTML or XML" if is_page else "an answer that is no JSON, or only its beginning"
        return NoCompletion(trouble=Trouble.NO_COMPLETION if is_page else Trouble.GARBLED, told=told)
    if not isinstance(value, dict):
        return NoCompletion(trouble=Trouble.NO_COMPLETION, told="JSON that is no object")
    use = _use(value.get("usage"))
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices:
        return _without_choice(value, use)
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return NoCompletion(trouble=Trouble.NO_COMPLETION, told="a choice without a message", use=use)
    requests = tuple(_requests(message, taken=set(taken)))
    content = _content(message)
    reason = _finish_reason(choice.get("finish_reason"), is_whole=bool(content or requests))
    return Completion(content=content, tool_requests=requests, finish_reason=reason, use=use)


def read_error(status: int, body: bytes) -> NoCompletion:
    """Read the body of an answer with another status."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    value = value[0] if isinstance(value, list) and value else value  # Google's way
    error = value.get("error", value) if isinstance(value, dict) else None
    if value is None or not isinstance(error, dict | str):
        text = "" if body.lstrip()[:1] == b"<" else body[:1000].decode(errors="replace")
        return NoCompletion(trouble=classify(status, message=text), told=_printable(text))
    return _of_error(error, status=status)


def _of_error(error: Mapping[str, Any] | str, *, status: int) -> NoCompletion:
    if isinstance(error, str):
        return NoCompletion(trouble=classify(status, message=error[:1000]), told=_printable(error))
    inner = error.get("innererror")
    named = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, dict) else None]
    codes = frozenset(name.lower() for name in named if isinstance(name, str))
    text = str(error.get("message") or error.get("detail") or "")
    return NoCompletion(trouble=classify(status, codes=codes, message=text[:1000]), told=_printable(text))


def _without_choice(value: Mapping[str, Any], use: TokenUse) -> NoCompletion:
    """Some gateways answer with status 200 and an error inside."""
    error = value.get("error")
    if isinstance(error, dict | str) and error:
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and not isinstance(code, bool) else 0
        return _of_error(error, status=status)
    return NoCompletion(trouble=Trouble.NO_COMPLETION, told="an answer without a choice", use=use)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(part for part in parts if isinstance(part, str))
    if isinstance(content, str) and content:
        return whole_text(content)
    refusal = message.get("refusal")
    return whole_text(refusal) if isinstance(refusal, str) else ""


def _finish_reason(reason: object, *, is_whole: bool) -> str:
    if reason is None and is_whole:
        return "stop"
    return _FINISH.get(reason.lower(), "unknown") if isinstance(reason, str) else "unknown"


def _requests(message: Mapping[str, Any], *, taken: set[str]) -> Iterator[ToolRequest]:
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        legacy = message.get("function_call")
        calls = [{"function": legacy}] if isinstance(legacy, dict) else []
    for call in calls:
        if not isinstance(call, dict):
            continue
        function = call.get("function")
        # One that names no function is handed on without a name: the model is told so, and may correct itself.
        function = function if isinstance(function, dict) else {}
        name, given = function.get("name"), call.get("id")
        fresh = _fresh_id(given if isinstance(given, str) else "", taken)
        taken.add(fresh)
        yield ToolRequest(
            id=fresh,
            name=whole_text(name) if isinstance(name, str) else "",
            arguments=_arguments(function.get("arguments")),
        )


def _arguments(arguments: object) -> str:
    if isinstance(arguments, str):
        return whole_text(arguments) if arguments.strip() else "{}"
    return "{}" if arguments is None else json.dumps(arguments)


def _fresh_id(given: str, taken: AbstractSet[str]) -> str:
    given = whole_text(given)
    if given.strip() and len(given) <= _LONGEST_ID and given not in taken:
        return given
    number = len(taken)
    while (made := f"call-{number}") in taken:
        number += 1
    return made


def _use(usage: object) -> TokenUse:
    """Read what was used: OpenAI's fields, else Anthropic's; of the cached tokens also DeepSeek's and Moonshot's."""
    if not isinstance(usage, dict):
        return TokenUse()
    tokens_out = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    cached = next(filter(None, (_count(value) for value in _cached_fields(usage))), 0)
    tokens_in = _count(usage.get("prompt_tokens"))
    if tokens_in is None and (fresh := _count(usage.get("input_tokens"))) is not None:
        # Anthropic counts what was read from and written to the cache beside the input, not in it.
        tokens_in = fresh + cached + (_count(usage.get("cache_creation_input_tokens")) or 0)
    if not tokens_in or tokens_out is None:
        return TokenUse()  # no call reads nothing: a usage of zeros is none
    return TokenUse(tokens_in=tokens_in, tokens_out=tokens_out, tokens_cached=min(cached, tokens_in), is_told=True)


def _cached_fields(usage: Mapping[str, Any]) -> Iterator[object]:
    details = usage.get("prompt_tokens_details", usage.get("input_tokens_details"))
    if isinstance(details, dict):
        yield details.get("cached_tokens")
    yield usage.get("prompt_cache_hit_tokens")
    yield usage.get("cache_read_input_tokens")
    yield usage.get("cached_tokens")


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _MOST_TOKENS and value == int(value) else None


def whole_text(text: str) -> str:
    """Replace halves of characters, which no file or connection takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _printable(text: str) -> str:
    return " ".join(whole_text(text[:1000]).split())


def written_message(message: ChatMessage, provider: Provider) -> dict[str, Any]:
    """Write a message of the conversation as one provider takes it."""
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_requests:
        written["tool_calls"] = [
            {
                "id": _written_id(asked.id, provider),
                "type": "function",
                "function": {"name": _written_name(asked.name), "arguments": _written_arguments(asked, provider)},
            }
            for asked in message.tool_requests
        ]
    if message.tool_call_id is not None:
        written["tool_call_id"] = _written_id(message.tool_call_id, provider)
    return written


def _written_name(name: str) -> str:
    """A name that the model made up is refused by strict endpoints, and with it the whole conversation."""
    return _ODD_IN_NAME.sub("_", name)[:_LONGEST_NAME] or "_"


def _written_arguments(asked: ToolRequest, provider: Provider) -> str:
    if not provider.wants_json_arguments:
        return asked.arguments
    try:
        is_object = isinstance(json.loads(asked.arguments), dict)
    except (ValueError, RecursionError):
        is_object = False
    return asked.arguments if is_object else json.dumps({"not_json": asked.arguments})


def _written_id(given: str, provider: Provider) -> str:
    if not provider.wants_nine_letter_ids or re.fullmatch(r"[a-zA-Z0-9]{9}", given):
        return given
    return hashlib.sha256(given.encode()).hexdigest()[:9]


def ids_in(messages: Sequence[ChatMessage]) -> set[str]:
    """Collect the ids of all calls of a conversation."""
    return {asked.id for message in messages for asked in message.tool_requests}
