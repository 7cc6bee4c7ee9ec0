"""Tool servers that speak MCP over stdio, by the official SDK.

Every session has one background thread with one event loop, in which the server's whole life takes place.
"""

import asyncio
import concurrent.futures
import contextlib
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import mcp_types
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError
from pydantic import JsonValue

from goldgate.contracts.resources import MCPServer
from goldgate.domain.errors import TransientError
from goldgate.ports.model import ToolDefinition
from goldgate.ports.tools import ToolResult

_INHERITED = ("HOME", "LOGNAME", "SHELL", "TERM", "USER")
"""What the SDK passes to a server besides PATH, asked or not (`DEFAULT_INHERITED_ENV_VARS` of mcp 2.3.0)."""

_STOP_WITHIN_S = 8.0
"""The SDK waits 2 s each for the server to end by itself, by SIGTERM and by SIGKILL."""

_MOST_PAGES = 100


class McpToolSession:
    """One tool server, started when it is first needed, and once again by the next call after it died."""

    def __init__(self, server: MCPServer, *, folder: Path, path: str) -> None:
        """Remember how to start it.

        Args:
            server: The server's resource.
            folder: The agent's folder: working directory, and what relative words of `args` are looked up in.
            path: PATH of the server.
        """
        self._name = server.metadata.name
        self._timeout_s = server.spec.timeout_seconds
        self._parameters = _parameters(server, folder=folder, path=path)
        self._program = shutil.which(_program(server), path=path)
        self._program_name = _program(server)
        self._lock = threading.Lock()
        self._life: _Life | None = None
        self._is_closed = False

    def definitions(self, *, within_s: float = 30) -> Sequence[ToolDefinition]:
        """List what the server offers, starting it if need be."""
        return self._alive(within_s=within_s).definitions

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str = "") -> ToolResult:
        """Call one tool; by the earlier of `within_s` and the server's own time limit."""
        try:
            life = self._alive(within_s=within_s)
        except TransientError as error:
            return ToolResult(content=str(error), is_error=True)
        limit_s = min(within_s, self._timeout_s)
        try:
            return life.call(name, arguments, within_s=limit_s)
        except (TimeoutError, concurrent.futures.TimeoutError):
            return ToolResult(content=f"Tool `{name}` did not answer within {limit_s:g} s.", is_error=True)
        except MCPError as error:
            if error.code == mcp_types.REQUEST_TIMEOUT:
                return ToolResult(content=f"Tool `{name}` did not answer within {limit_s:g} s.", is_error=True)
            if error.code == mcp_types.CONNECTION_CLOSED:
                self._bury(life)
                return ToolResult(
                    content=f"Tool server `{self._name}` ended during `{name}`; it may or may not have acted.",
                    is_error=True,
                )
            return ToolResult(content=f"Tool `{name}` was refused by its server: {error}", is_error=True)

    def close(self) -> None:
        """End the server and its thread. Closing twice does nothing."""
        with self._lock:
            self._is_closed = True
            life, self._life = self._life, None
        if life is not None:
            life.end()

    def _alive(self, *, within_s: float) -> "_Life":
        with self._lock:
            if self._is_closed:
                raise TransientError(f"Tool server `{self._name}` is closed; load the agent again.")
            if self._program is None:
                raise TransientError(
                    f"Found no program `{self._program_name}` on the PATH for tool server `{self._name}`; install it."
                )
            if self._life is not None and self._life.is_over:
                self._life = None
            if self._life is None:
                self._life = _Life(self._name, self._parameters)
            life = self._life
        try:
            life.await_start(within_s=within_s)
        except TransientError:
            self._bury(life)
            raise
        return life

    def _bury(self, life: "_Life") -> None:
        with self._lock:
            if self._life is life:
                self._life = None
        life.end()


class _Life:
    """A server from its start to its end."""

    def __init__(self, name: str, parameters: StdioServerParameters) -> None:
        self._name = name
        self._parameters = parameters
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: concurrent.futures.Future[tuple[Client, list[ToolDefinition]]] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name=f"mcp-{name}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether the server and its thread have ended."""
        return not self._thread.is_alive()

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """What it offered when it started."""
        return self._started.result(timeout=0)[1]

    def await_start(self, *, within_s: float) -> None:
        try:
            self._started.result(timeout=within_s)
        except concurrent.futures.TimeoutError as error:
            raise TransientError(f"Tool server `{self._name}` did not start within {within_s:g} s.") from error

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float) -> ToolResult:
        client, _ = self._started.result(timeout=0)
        asked = client.call_tool(name, dict(arguments), read_timeout_seconds=within_s)
        try:
            future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        except RuntimeError as error:
            asked.close()
            raise MCPError(mcp_types.CONNECTION_CLOSED, "Connection closed") from error
        # The SDK's own limit ends the call at the server too; this one only guards against a stuck loop.
        return _result(future.result(timeout=within_s + 1))

    def end(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        with tempfile.TemporaryFile("w+", errors="replace") as errors, contextlib.closing(self._loop):
            try:
                self._loop.run_until_complete(self._live(errors))
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the start
                if not self._started.done():
                    self._started.set_exception(
                        TransientError(f"Tool server `{self._name}` did not start: {_reason(error)}{_tail(errors)}")
                    )

    async def _live(self, errors: IO[str]) -> None:
        starting = asyncio.ensure_future(self._serve(errors))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
        await starting

    async def _serve(self, errors: IO[str]) -> None:
        transport = stdio_client(self._parameters, errlog=errors)  # type: ignore[arg-type]  # any file with a descriptor
        async with Client(transport) as client:
            offered = [definition async for definition in _offered(client)]
            self._started.set_result((client, offered))
            await asyncio.Event().wait()


async def _offered(client: Client) -> AsyncIterator[ToolDefinition]:
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            yield ToolDefinition(
                name=tool.name, description=tool.description or "", input_schema=dict(tool.input_schema)
            )
        cursor = page.next_cursor
        if cursor is None:
            return


def _program(server: MCPServer) -> str:
    return sys.executable if server.spec.command == "python" else server.spec.command or ""


def _parameters(server: MCPServer, *, folder: Path, path: str) -> StdioServerParameters:
    args = [str((folder / word).resolve()) if _names_file(folder, word) else word for word in server.spec.args]
    program = [_program(server)]
    if server.spec.command == "python":
        # No bytecode is written beside the sources: a bundle with a file more is no longer that bundle.
        program.append("-B")
    forgotten = [word for name in _INHERITED if name not in server.spec.env for word in ("-u", name)]
    return StdioServerParameters(
        command="env", args=[*forgotten, *program, *args], env={"PATH": path, **server.spec.env}, cwd=folder
    )


def _names_file(folder: Path, word: str) -> bool:
    file = folder / word
    return bool(word) and file.is_file() and file.resolve().is_relative_to(folder.resolve())


def _result(result: mcp_types.CallToolResult) -> ToolResult:
    texts = [block.text if block.type == "text" else f"[{block.type}, not shown]" for block in result.content]
    content = "\n".join(texts)
    if not content and result.structured_content is not None:
        content = json.dumps(result.structured_content, ensure_ascii=False)
    return ToolResult(content=content, is_error=bool(result.is_error))


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _tail(errors: IO[str]) -> str:
    errors.seek(0)
    text = errors.read()[-1000:].strip()
    return f". It wrote:\n{text}" if text else ""
