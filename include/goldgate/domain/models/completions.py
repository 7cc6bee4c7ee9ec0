"""Read what an endpoint calls a chat completion, however it is written.

Endpoints differ: ids are missing or repeated, arguments are objects, errors come as answers. What can be
understood without guessing is; the rest is trouble of a named kind. Nothing here raises for what an endpoint wrote.
"""

import json
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final

from goldgate.domain.conversation import ToolRequest
from goldgate.domain.models.trouble import Trouble, classify
from goldgate.domain.models.usage import TokenUse, read_use

_LONGEST_ID = 40
"""OpenAI's own bound for the id of a call."""
_LONGEST_EXTRA = 65_536
"""Of what comes with a call and is sent back with it: Google's signatures are some thousand characters long."""

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
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
}
_NO_USE: Final = TokenUse()
FINISH_REASONS = frozenset({*_FINISH.values(), "unknown"})
"""All that a reader of a completion is ever told."""


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
    use: TokenUse = _NO_USE
    """It may have cost all the same."""


def read_completion(body: bytes, *, taken: AbstractSet[str] = frozenset()) -> Completion | NoCompletion:
    """Read the body of an answer with status 200.

    Args:
        body: As it came.
        taken: Ids of calls that the conversation holds already.
    """
    value = _read_object(body)
    if isinstance(value, NoCompletion):
        return value
    use = read_use(value.get("usage"))
    choices = value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if (error := _error_inside(value, choice)) is not None:
        return replace(error, use=use)
    if choice is None:
        return NoCompletion(trouble=Trouble.NO_COMPLETION, told="an answer without a choice", use=use)
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return NoCompletion(trouble=Trouble.NO_COMPLETION, told="a choice without a message", use=use)
    requests = tuple(_requests(message, taken=set(taken)))
    content = _content(message)
    reason = _finish_reason(choice.get("finish_reason"), is_whole=bool(content or requests))
    return Completion(content=content, tool_requests=requests, finish_reason=reason, use=use)


def _read_object(body: bytes) -> dict[str, Any] | NoCompletion:
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
    return value


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


def _error_inside(value: Mapping[str, Any], choice: object) -> NoCompletion | None:
    """Find an error in an answer with status 200: gateways give one if the endpoint behind them breaks off."""
    of_choice = choice.get("error") if isinstance(choice, dict) else None
    error = value.get("error") or of_choice or (value if value.get("object") == "error" else None)
    if not isinstance(error, dict | str) or not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    status = int(code) if isinstance(code, int | str) and re.fullmatch("[1-5][0-9][0-9]", str(code)) else 0
    return _of_error(error, status=status)


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
            extra=_extra(call.get("extra_content")),
        )


def _extra(extra: object) -> str:
    text = json.dumps(extra) if isinstance(extra, dict) and extra else ""
    return text if len(text) <= _LONGEST_EXTRA else ""


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


def whole_text(text: str) -> str:
    """Replace halves of characters, which no file or connection takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _printable(text: str) -> str:
    return " ".join(whole_text(text[:1000]).split())
