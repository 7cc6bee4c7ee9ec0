"""The tools an agent may call: pinned by their definitions, allowed by name, checked before every call."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field, JsonValue

from goldgate.agent.memory.tokens import cut_to_tokens
from goldgate.contracts.base import Contract
from goldgate.contracts.prediction import ToolCall
from goldgate.domain.conversation import ToolRequest
from goldgate.domain.digest import Digest, digest_json, short
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.model import ToolDefinition
from goldgate.ports.tools import ArgumentCheck, ToolSession

TOOLS_FILE = "tools.json"

_MOST_RESULT_TOKENS = 4000
"""A longer result is cut, so that one call cannot fill the model's window."""


class PinnedTool(Contract):
    """A tool as it was when the bundle was frozen. Its server must still offer exactly this."""

    server: str
    name: str
    description: str
    input_schema: dict[str, JsonValue]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of name, description and schema."""

    @property
    def definition(self) -> ToolDefinition:
        """The tool as the model sees it."""
        return ToolDefinition(name=self.name, description=self.description, input_schema=self.input_schema)

    @property
    def label(self) -> str:
        """Name and hash for people: `name@sha12`."""
        return f"{self.name}@{short(self.sha256)}"


class PinnedTools(Contract):
    """Every tool of an agent, in the order of its grants."""

    tools: list[PinnedTool]


@dataclass(frozen=True, kw_only=True)
class ToolOutcome:
    """What became of one call."""

    call: ToolCall
    content: str
    """For the model: the result, or what to do differently."""
    was_allowed: bool


def digest_of(definition: ToolDefinition) -> Digest:
    """Name a tool's definition: any change to name, description or schema gives another digest."""
    return digest_json(
        {"name": definition.name, "description": definition.description, "input_schema": definition.input_schema}
    )


def pin(server: str, definition: ToolDefinition) -> PinnedTool:
    """Pin a definition as it is now."""
    return PinnedTool(
        server=server,
        name=definition.name,
        description=definition.description,
        input_schema=definition.input_schema,
        sha256=digest_of(definition),
    )


class Toolbox:
    """Calls tools for the model. Whatever goes wrong becomes a result that the model can act on."""

    def __init__(
        self,
        tools: Sequence[PinnedTool],
        *,
        sessions: Mapping[str, ToolSession],
        compile_schema: Callable[[Mapping[str, JsonValue]], ArgumentCheck],
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._sessions = sessions
        self._checks = {tool.name: compile_schema(tool.input_schema) for tool in tools}
        self.definitions = tuple(tool.definition for tool in tools)

    def open(self, *, within_s: float) -> list[str]:
        """Start every tool server now, so that no caller waits for it; say which cannot be reached.

        A server that is not there yet is tried again by the first call.
        """
        problems = []
        for server, session in self._sessions.items():
            try:
                session.definitions(within_s=within_s)
            except (PermanentError, TransientError) as error:
                problems.append(f"Tool server `{server}` is not available: {error}")
        return problems

    def call(self, request: ToolRequest, *, within_s: float) -> ToolOutcome:
        """Check one call that the model asks for, and make it if it may be made."""
        tool = self._tools.get(request.name)
        arguments, problem = _read_arguments(request.arguments)
        if tool is None:
            allowed = ", ".join(f"`{name}`" for name in self._tools) or "none"
            found = f"There is no tool `{request.name}`; the tools are: {allowed}."
            return _refused(request.name, arguments, found, was_allowed=False)
        if not problem and (found_problems := self._checks[tool.name](arguments)):
            problem = "\n".join(found_problems)
        if problem:
            advice = f"The arguments of `{tool.name}` do not fit its schema. Correct them and call again:\n{problem}"
            return _refused(tool.name, arguments, advice, was_allowed=True)
        return self._made(tool, arguments, within_s=within_s)

    def _made(self, tool: PinnedTool, arguments: dict[str, JsonValue], *, within_s: float) -> ToolOutcome:
        session = self._sessions[tool.server]
        try:
            drift = _drift(tool, session.definitions(within_s=within_s))
        except (PermanentError, TransientError) as error:
            drift = f"Tool server `{tool.server}` is not available: {error}"
        if drift:
            return _refused(tool.name, arguments, f"{drift} Answer without this tool.", was_allowed=True)
        result = session.call(tool.name, arguments, within_s=within_s)
        call = ToolCall(name=tool.name, arguments=arguments, is_error=result.is_error)
        content = cut_to_tokens(result.content, budget=_MOST_RESULT_TOKENS)
        return ToolOutcome(call=call, content=content, was_allowed=True)

    def close(self) -> None:
        """End every session."""
        for session in self._sessions.values():
            session.close()


def _drift(tool: PinnedTool, offered: Sequence[ToolDefinition]) -> str | None:
    live = next((definition for definition in offered if definition.name == tool.name), None)
    if live is None:
        return f"Tool server `{tool.server}` no longer offers `{tool.name}`."
    if live != tool.definition:
        return f"Tool `{tool.name}` is now {short(digest_of(live))}, but {short(tool.sha256)} was reviewed."
    return None


def _read_arguments(raw: str) -> tuple[dict[str, JsonValue], str | None]:
    try:
        value = json.loads(raw or "{}")
    except (json.JSONDecodeError, RecursionError) as error:
        return {}, f"found `{raw[:80]}`, which is not JSON ({error}); expected one JSON object."
    if not isinstance(value, dict):
        return {}, f"found a JSON {type(value).__name__}; expected one JSON object."
    return value, None


def _refused(name: str, arguments: dict[str, JsonValue], content: str, *, was_allowed: bool) -> ToolOutcome:
    call = ToolCall(name=name, arguments=arguments, is_error=True)
    return ToolOutcome(call=call, content=content, was_allowed=was_allowed)
