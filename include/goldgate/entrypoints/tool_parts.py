"""The tool servers of an agent, opened when they are needed.

The adapter is imported then: on two cores mcp takes 1.0 s to import, and an agent process should answer in under two.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from goldgate.adapters.json_schema import compile_schema
from goldgate.agent.folder import AgentFolder
from goldgate.agent.tools.pins import read_pins, refuse_other_pins
from goldgate.agent.tools.toolbox import Toolbox
from goldgate.contracts.resources import MCPServer
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.tool_folders import WorkingCopy
from goldgate.ports.model import ToolDefinition
from goldgate.ports.tools import ToolResult, ToolSession

if TYPE_CHECKING:
    from goldgate.adapters.mcp_tools.session import McpToolSession


def open_toolbox(agent: AgentFolder, *, bundle: Path, env: Mapping[str, str]) -> Toolbox:
    """Make the tools of a frozen agent callable. Their servers start when a tool is first called.

    Args:
        agent: The agent, as it is frozen.
        bundle: Its folder, verified.
        env: The environment. Of it, a server gets the PATH and what its `envFrom` names.

    Raises:
        PermanentError: A tool of the grants has no pin, or a pin is of a tool that is not granted.
    """
    pins = read_pins(bundle)
    refuse_other_pins(agent.agent.spec.tools, pins, agent=agent.agent.metadata.name)
    sessions = {server.metadata.name: LateToolSession(server, folder=bundle, env=env) for server in agent.servers}
    return Toolbox(pins, spec=agent.agent.spec, sessions=sessions, compile_schema=compile_schema)


class LateToolSession:
    """A session whose adapter is imported, and whose server is started, when a tool is first called.

    A program works in a copy of the folder, which is removed when the session is closed.
    """

    def __init__(self, server: MCPServer, *, folder: Path, env: Mapping[str, str]) -> None:
        """Remember how to open it.

        Raises:
            PermanentError: A variable that its `envFrom` or `headersFrom` names is not set.
        """
        self._server = server
        self._folder = folder
        self._path = env.get("PATH", "")
        self._secrets = _secrets(server, env)
        self._lock = threading.Lock()
        self._is_closed = False
        self._session: ToolSession | None = None
        self._copy: WorkingCopy | None = None

    def prepare(self) -> None:
        """Import the adapter."""
        _adapter()

    def definitions(self, *, within_s: float = 30) -> Sequence[ToolDefinition]:
        """List what the server offers."""
        return self._opened().definitions(within_s=within_s)

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str = "") -> ToolResult:
        """Call one tool."""
        return self._opened().call(name, arguments, within_s=within_s, key=key)

    def close(self) -> None:
        """End the session, if it was ever opened. Closing twice does nothing."""
        with self._lock:
            self._is_closed = True
            if self._session is not None:
                self._session.close()
            if self._copy is not None:
                self._copy.close()

    def _opened(self) -> ToolSession:
        # Before the lock: whoever closes the session meanwhile does not wait for an import.
        session_of = _adapter()
        with self._lock:
            if self._is_closed:
                raise TransientError(f"Tool server `{self._server.metadata.name}` is closed; load the agent again.")
            if self._session is None:
                folder = self._folder
                if self._server.spec.command is not None:
                    self._copy = WorkingCopy(folder)
                    folder = self._copy.path
                self._session = session_of(self._server, folder=folder, path=self._path, secrets=self._secrets)
            return self._session


def _adapter() -> "type[McpToolSession]":
    from goldgate.adapters.mcp_tools.session import McpToolSession  # noqa: PLC0415 - import cost, see above

    return McpToolSession


def _secrets(server: MCPServer, env: Mapping[str, str]) -> dict[str, str]:
    """Read what a server needs and nobody writes down, by the name under which it gets it."""
    named = {**server.spec.env_from, **server.spec.headers_from}
    if missing := sorted({source.env for source in named.values() if not env.get(source.env)}):
        raise PermanentError(
            f"Found no environment variable `{'`, `'.join(missing)}`, which tool server "
            f"`{server.metadata.name}` needs; set it."
        )
    return {name: env[source.env].strip() for name, source in named.items()}
