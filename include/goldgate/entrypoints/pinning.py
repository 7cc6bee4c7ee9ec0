"""Ask tool servers for their definitions: to pin them, and to hold them to their pins."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from goldgate.adapters.json_schema import compile_schema
from goldgate.agent.folder import AgentFolder
from goldgate.agent.tools.pins import TOOLS_FILE, PinnedTool, diff, pin, read_pins, write_pins
from goldgate.contracts.base import ContractError
from goldgate.contracts.durable import write_durably
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.tool_parts import LateToolSession
from goldgate.ports.model import ToolDefinition

Offered = Mapping[str, Mapping[str, ToolDefinition]]
"""What servers offer: definitions by server and by name."""


@dataclass(frozen=True, kw_only=True)
class PinProposal:
    """The pins of an agent as they would be, to be reviewed before they are written."""

    path: Path
    pins: tuple[PinnedTool, ...]
    diff: str
    """Against what is pinned now; empty if nothing changes."""

    @property
    def changes(self) -> bool:
        """Whether the file is not there, or says something else."""
        return not self.path.exists() or self.path.read_text(encoding="utf-8") != write_pins(self.pins)

    def accept(self) -> None:
        """Write the file."""
        write_durably(self.path, write_pins(self.pins).encode())


def ask_servers(agent: AgentFolder, *, folder: Path, env: Mapping[str, str]) -> Offered:
    """List what every server of an agent offers, each started in `folder`.

    Raises:
        TransientError: One cannot be started or reached.
        PermanentError: One refuses to be used as it is described.
    """
    offered = {}
    for server in agent.servers:
        with closing(LateToolSession(server, folder=folder, env=env)) as session:
            offered[server.metadata.name] = {definition.name: definition for definition in session.definitions()}
    return offered


def pins_of(agent: AgentFolder, offered: Offered) -> Iterator[PinnedTool]:
    """Pin what the grants allow, in their order.

    Raises:
        PermanentError: A server lacks a tool, or a schema of one is not JSON Schema.
    """
    for grant in agent.agent.spec.tools:
        for name in grant.allow:
            definition = offered[grant.mcp_server].get(name)
            if definition is None:
                names = ", ".join(f"`{each}`" for each in sorted(offered[grant.mcp_server])) or "none"
                raise PermanentError(
                    f"Found no tool `{name}` at tool server `{grant.mcp_server}`, which offers {names}. Correct "
                    "`allow` of its grant."
                )
            refuse_unfit_schemas(definition, server=grant.mcp_server)
            yield pin(grant.mcp_server, definition)


def refuse_unfit_schemas(definition: ToolDefinition, *, server: str) -> None:
    """Hold the schemas of a tool to JSON Schema, and the one of its arguments to being one of objects.

    Raises:
        PermanentError: With every problem and its path.
    """
    where = f"Tool `{definition.name}` of `{server}`"
    if (kind := definition.input_schema.get("type")) != "object":
        raise PermanentError(
            f"{where}: found {'no type' if kind is None else f'type `{kind}`'} at the root of its input schema; "
            "expected `object`, as the arguments of a call are. Correct the tool."
        )
    for word, schema in (("input", definition.input_schema), ("output", definition.output_schema)):
        try:
            compile_schema(schema if schema is not None else True)
        except PermanentError as error:
            raise PermanentError(f"{where}, {word} schema: {error}") from error


def propose_pins(agent: AgentFolder, offered: Offered) -> PinProposal:
    """Say what pinning now would change.

    Raises:
        PermanentError: As `pins_of`.
    """
    pins = tuple(pins_of(agent, offered))
    before = {(tool.server, tool.name): tool.definition for tool in _pins_now(agent.folder)}
    after = {(tool.server, tool.name): tool.definition for tool in pins}
    shown = [diff(before.get(key), after.get(key), server=key[0]) for key in dict.fromkeys([*after, *before])]
    return PinProposal(path=agent.folder / TOOLS_FILE, pins=pins, diff="\n".join(filter(None, shown)))


def _pins_now(folder: Path) -> list[PinnedTool]:
    try:
        return read_pins(folder)
    except ContractError:
        # Edited by hand, or of another version: all of it is shown as new.
        return []
