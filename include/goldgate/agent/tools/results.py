"""What a tool said, made fit for a model: cleaned, bounded, and held to what the tool promised."""

import re
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from goldgate.agent.memory.tokens import cut_to_tokens
from goldgate.ports.tools import ArgumentCheck, ToolResult

_TERMINAL: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Colours, cursor moves and titles. Source: ECMA-48, section 5.4."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class ToolOutcome:
    """What became of one call."""

    content: str
    """For the model: the result, or what to do differently."""
    is_error: bool = False
    structured: JsonValue = None
    is_fate_unknown: bool = False
    """Nobody knows whether it acted."""


def outcome_of(result: ToolResult, *, check: ArgumentCheck | None, name: str, most_tokens: int) -> ToolOutcome:
    """Take a tool's result.

    Args:
        result: As the session gave it.
        check: Of its structured content; None if the tool promised none. An error promises nothing.
        name: Of the tool.
        most_tokens: What the model reads of it; the rest is cut, and the cut is marked.
    """
    said = cut_to_tokens(cleaned(result.content), budget=most_tokens)
    if not said.strip():
        said = f"`{name}` failed and said nothing." if result.is_error else f"`{name}` was called and returned nothing."
    if check is not None and not result.is_error and (problems := _broken(result.structured, check)):
        broken = cleaned("\n".join(problems)).replace("the arguments", "the result")
        told = f"`{name}` was called, but its result breaks the schema it promised, so do not rely on it:\n{broken}"
        return ToolOutcome(content=cut_to_tokens(told, budget=most_tokens), is_error=True)
    return ToolOutcome(
        content=said,
        is_error=result.is_error,
        structured=result.structured,
        is_fate_unknown=result.is_fate_unknown,
    )


def cleaned(text: str) -> str:
    """Take out what only a terminal understands: escape sequences, control characters, half characters."""
    return _CONTROLS.sub("", _TERMINAL.sub("", text.replace("\r\n", "\n")).replace("\r", "\n"))


def _broken(structured: JsonValue, check: ArgumentCheck) -> list[str]:
    if structured is None:
        return ["- the result: found no structured content, expected it."]
    return check(structured)
