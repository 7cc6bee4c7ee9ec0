"""The tool servers of an agent, opened when they are needed.

The adapter is imported then: on two cores mcp takes 1.0 s to import, and an agent process should answer in under two.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from goldgate.contracts.resources import MCPServer
from goldgate.ports.model import ToolDefinition
from goldgate.ports.tools import ToolResult, ToolSession


class LateToolSession:
    """A session whose adapter is imported, and whose server is started, when a tool is first called."""

    def __init__(self, server: MCPServer, *, folder: Path, env: Mapping[str, str]) -> None:
        """Remember how to open it."""
        self._server = server
        self._folder = folder
        self._path = env.get("PATH", "")
        self._lock = threading.Lock()
        self._session: ToolSession | None = None

    def definitions(self, *, within_s: float = 30) -> Sequence[ToolDefinition]:
        """List what the server offers."""
        return self._opened().definitions(within_s=within_s)

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str = "") -> ToolResult:
        """Call one tool."""
        return self._opened().call(name, arguments, within_s=within_s, key=key)

    def close(self) -> None:
        """End the session, if it was ever opened. Closing twice does nothing."""
        with self._lock:
            if self._session is not None:
                self._session.close()

    def _opened(self) -> ToolSession:
        with self._lock:
            if self._session is None:
                from goldgate.adapters.mcp_tools import McpToolSession  # noqa: PLC0415 - import cost, see above

                self._session = McpToolSession(self._server, folder=self._folder, path=self._path)
            return self._session
