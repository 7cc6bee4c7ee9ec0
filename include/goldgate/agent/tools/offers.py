"""What the model may call: tools of servers, other agents, and a person, each with its nature."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from goldgate.contracts.resources import AgentGrant, AgentSpec, PersonGrant, ToolGrant
from goldgate.domain.runs.state import Nature
from goldgate.ports.model import ToolDefinition

NAME_FOR_MODELS: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What endpoints take for a function's name. Source: OpenAI API reference, `tools[].function.name`."""

_MARKS: Final = re.compile(r"[./:]")
"""Source: MCP 2025-11-25, names of tools, which allows the first; older servers use the others."""

_LONGEST_MESSAGE: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One thing that the model may call."""

    called: str
    """As its author calls it."""
    by: ToolGrant | AgentGrant | PersonGrant

    @property
    def name(self) -> str:
        """As models call it: servers may have `.` in a name, or another mark of a path, which endpoints refuse."""
        return _MARKS.sub("_", self.called)

    @property
    def source(self) -> str:
        """Whose it is, in words."""
        match self.by:
            case ToolGrant():
                return f"tool server `{self.by.mcp_server}`"
            case AgentGrant():
                return f"agent `{self.by.agent}`"
            case PersonGrant():
                return "`person`"

    @property
    def nature(self) -> Nature:
        """What it means to call it once more. A sub-agent's run is named by its call: it answers the same again."""
        match self.by:
            case ToolGrant():
                return _nature(self.called, self.by)
            case AgentGrant():
                return Nature.IDEMPOTENT
            case PersonGrant():
                return Nature.PURE

    @property
    def needs_approval(self) -> bool:
        """Whether a person says of every call whether it may be made."""
        match self.by:
            case ToolGrant():
                return self.called in self.by.approve
            case AgentGrant():
                return self.by.approve
            case PersonGrant():
                return False


def offers(spec: AgentSpec) -> Iterator[Offer]:
    """Name everything that an agent's model may call, in the order of its spec."""
    for grant in spec.tools:
        yield from (Offer(called=name, by=grant) for name in grant.allow)
    for agent in spec.agents:
        yield Offer(called=f"ask_{agent.agent}", by=agent)
    if spec.person is not None:
        yield Offer(called=spec.person.name, by=spec.person)


def own_definition(offer: Offer) -> ToolDefinition | None:
    """Define what no server defines: an agent, or a person. None for a server's tool."""
    match offer.by:
        case AgentGrant():
            return _definition(
                offer.name, offer.by.description, field="message", what="What you ask, with all it needs"
            )
        case PersonGrant():
            return _definition(offer.name, offer.by.description, field="question", what="What you ask, in full")
        case _:
            return None


def _definition(name: str, description: str, *, field: str, what: str) -> ToolDefinition:
    return ToolDefinition(
        name=name,
        description=description,
        input_schema={
            "type": "object",
            "properties": {
                field: {"type": "string", "minLength": 1, "maxLength": _LONGEST_MESSAGE, "description": what}
            },
            "required": [field],
            "additionalProperties": False,
        },
    )


def _nature(name: str, grant: ToolGrant) -> Nature:
    if name in grant.pure:
        return Nature.PURE
    if name in grant.idempotent:
        return Nature.IDEMPOTENT
    return Nature.FAIL if grant.unknown_fate == "fail" else Nature.ASK
