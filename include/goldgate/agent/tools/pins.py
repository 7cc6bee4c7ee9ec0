"""Pins: the definitions of an agent's tools as a person reviewed them, in `tools.json` of the agent's folder.

A pin holds the whole definition, not its digest alone, so that a change can be read before it is accepted.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import Field, JsonValue, model_validator

from goldgate.contracts.base import Contract
from goldgate.contracts.documents import read_json
from goldgate.contracts.resources import ToolGrant
from goldgate.domain.digest import Digest, digest_json, short
from goldgate.domain.errors import PermanentError
from goldgate.ports.model import ToolDefinition

TOOLS_FILE: Final = "tools.json"

_MOST_DIFF_LINES: Final = 200


class PinnedTool(Contract):
    """A tool as it was reviewed. Its server must still offer exactly this."""

    server: str
    name: str
    description: str
    input_schema: dict[str, JsonValue]
    output_schema: dict[str, JsonValue] | None = None
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of name, description and both schemas."""

    @model_validator(mode="after")
    def _is_what_its_digest_says(self) -> "PinnedTool":
        if self.sha256 != (found := digest_of(self.definition)):
            msg = f"`sha256` {short(found)} for the tool `{self.name}` as it is written; run `goldgate agent pin`"
            raise ValueError(msg)
        return self

    @property
    def definition(self) -> ToolDefinition:
        """The tool as the model sees it."""
        return ToolDefinition(
            name=self.name,
            description=self.description,
            input_schema=self.input_schema,
            output_schema=self.output_schema,
        )

    def is_offered_as(self, offered: ToolDefinition | None) -> bool:
        """Tell whether a server offers exactly this.

        By digest: Python takes `1`, `1.0` and `true` for equal, and a schema that changes from one to another is
        another schema.
        """
        try:
            return offered is not None and digest_of(offered) == self.sha256
        except ValueError:
            return False  # no JSON: NaN, half characters

    @property
    def label(self) -> str:
        """Name and hash for people: `name@sha12`."""
        return f"{self.name}@{short(self.sha256)}"


class PinnedTools(Contract):
    """Every tool of an agent, in the order of its grants."""

    tools: list[PinnedTool]


class DriftError(PermanentError):
    """A tool server offers another tool than the one that was reviewed."""


def digest_of(definition: ToolDefinition) -> Digest:
    """Name a tool's definition: any change to name, description or a schema gives another digest."""
    return digest_json(_written(definition))


def pin(server: str, definition: ToolDefinition) -> PinnedTool:
    """Pin a definition as it is now."""
    return PinnedTool(
        server=server,
        name=definition.name,
        description=definition.description,
        input_schema=definition.input_schema,
        output_schema=definition.output_schema,
        sha256=digest_of(definition),
    )


def read_pins(folder: Path) -> list[PinnedTool]:
    """Read the pins of a folder or bundle; none if it has no such file.

    Raises:
        ContractError: The file breaks its contract, or a pin is not what its digest says.
    """
    path = folder / TOOLS_FILE
    return list(read_json(path, PinnedTools).tools) if path.exists() else []


def write_pins(pins: Sequence[PinnedTool]) -> str:
    """Write pins as they are reviewed: one value a line, keys in order."""
    value = PinnedTools(tools=list(pins)).model_dump(mode="json")
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def diff(pinned: ToolDefinition | None, offered: ToolDefinition | None, *, server: str) -> str:
    """Show how two definitions of a tool differ, line by line; empty if they do not. None is one that is not there."""
    tool = pinned or offered
    name = f"{server}/{tool.name}" if tool else server
    lines = list(
        difflib.unified_diff(_lines(pinned), _lines(offered), f"{name} (pinned)", f"{name} (offered)", lineterm="", n=2)
    )
    more = len(lines) - _MOST_DIFF_LINES
    return "\n".join([*lines[:_MOST_DIFF_LINES], f"... and {more} more lines"] if more > 0 else lines)


def refuse_other_pins(grants: Sequence[ToolGrant], pins: Sequence[PinnedTool], *, agent: str) -> None:
    """Hold pins to the grants: every tool that is allowed is pinned, in order, and no other.

    Raises:
        PermanentError: They differ.
    """
    allowed = [(grant.mcp_server, name) for grant in grants for name in grant.allow]
    pinned = [(tool.server, tool.name) for tool in pins]
    missing = [f"`{name}` of `{server}`" for server, name in allowed if (server, name) not in pinned]
    extra = [f"`{name}` of `{server}`" for server, name in pinned if (server, name) not in allowed]
    if missing or extra or pinned != allowed:
        told = [f"no pin for {', '.join(missing)}"] if missing else []
        told += [f"pins of {', '.join(extra)}, which it may not call"] if extra else []
        raise PermanentError(
            f"Found {' and '.join(told) or 'pins in another order'} in `{TOOLS_FILE}` of `{agent}`; expected one for "
            f"each tool of its grants. Run `goldgate agent pin {agent}`, review what it shows, and commit the file."
        )


def refuse_drift(
    pins: Sequence[PinnedTool], offered: Mapping[str, Mapping[str, ToolDefinition]], *, agent: str
) -> None:
    """Hold what servers offer to what was pinned.

    Args:
        pins: Of one agent.
        offered: Definitions by server and by name.
        agent: Whose.

    Raises:
        DriftError: Something differs, with a diff.
    """
    changed = [
        diff(tool.definition, offered[tool.server].get(tool.name), server=tool.server)
        for tool in pins
        if not tool.is_offered_as(offered[tool.server].get(tool.name))
    ]
    if changed:
        raise DriftError(
            f"Tools of `{agent}` are not as they were pinned. Do not take the change over unread: a description is an "
            f"instruction to the model. If it is meant, run `goldgate agent pin {agent}` and commit `{TOOLS_FILE}`; "
            "else restore the server.\n" + "\n".join(changed)
        )


def _written(definition: ToolDefinition) -> dict[str, object]:
    return {
        "name": definition.name,
        "description": definition.description,
        "input_schema": definition.input_schema,
        "output_schema": definition.output_schema,
    }


def _lines(definition: ToolDefinition | None) -> list[str]:
    if definition is None:
        return []
    return json.dumps(_written(definition), indent=2, sort_keys=True, ensure_ascii=False).splitlines()
