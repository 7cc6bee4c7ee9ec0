"""What a server wrote that is almost a message: made readable, or answered for, so that nobody waits in vain.

A call that was answered must not count as one of unknown fate, which costs a person a question.
"""

import json
import re
from typing import Any, Final

import mcp_types

from goldgate.adapters.mcp_tools.lines import TooLong

_ENDS: Final = 512
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""Every escape of a JSON text, one after the other: an escaped backslash begins none. Group 1: half a character."""


def whole(text: bytes) -> bytes:
    """Put U+FFFD for halves of characters, and for bytes that are no UTF-8: what a text has that was cut anywhere."""
    if _SURROGATE.search(text):
        text = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], text)
    return text if text.isascii() else text.decode(errors="replace").encode()


def answer_for(line: bytes) -> mcp_types.JSONRPCError | None:
    """Stand in for an answer that is no message of MCP, with what it says; None if the line answers nobody."""
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        ends = TooLong(head=line[:_ENDS], tail=line[-_ENDS:], size=len(line))
        value = {"id": None if b'"method"' in ends.head else ends.answers}
    if not isinstance(value, dict) or "method" in value or type(value.get("id")) is not int:
        return None
    error = mcp_types.ErrorData(code=mcp_types.PARSE_ERROR, message="an answer that is no message")
    if "error" in value:
        error = mcp_types.ErrorData(code=mcp_types.INTERNAL_ERROR, message=_said(value["error"]))
    return mcp_types.JSONRPCError(jsonrpc="2.0", id=value["id"], error=error)


def _said(error: object) -> str:
    told = error.get("message") if isinstance(error, dict) else error
    return told if isinstance(told, str) else json.dumps(error, ensure_ascii=False)
