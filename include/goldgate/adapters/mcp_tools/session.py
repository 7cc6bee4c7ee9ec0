"""Tool servers that speak MCP, over stdio or streamable HTTP, by the official SDK."""

import logging
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from mcp.shared.exceptions import MCPError
from pydantic import JsonValue, ValidationError

from goldgate.adapters.mcp_tools.address import Address
from goldgate.adapters.mcp_tools.answers import result_of, unreadable
from goldgate.adapters.mcp_tools.failures import (
    Failures,
    is_connection_lost,
    is_session_lost,
)
from goldgate.adapters.mcp_tools.life import Life
from goldgate.adapters.mcp_tools.program import Program
from goldgate.adapters.mcp_tools.wire import Connect, Scrubber, Wire
from goldgate.contracts.resources import MCPServer
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.model import ToolDefinition
from goldgate.ports.tools import ToolResult

_log = logging.getLogger(__name__)

_RESTART_WINDOW_S: Final = 600.0


class McpToolSession:
    """One tool server: started when it is first needed, and again within limits after it died."""

    def __init__(
        self,
        server: MCPServer,
        *,
        folder: Path,
        path: str,
        secrets: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember how to reach it.

        Args:
            server: The server's resource.
            folder: The agent's folder: working directory, and what relative words of `args` are looked up in.
            path: PATH of a program.
            secrets: Values of `envFrom` or `headersFrom`, by the names there. Taken out of everything that is said.
            clock: Seconds that only go up.
        """
        self._name = server.metadata.name
        self._spec = server.spec
        self._clock = clock
        self._scrubber = Scrubber((secrets or {}).values())
        self._failures = Failures(self._name, self._scrubber)
        self._program_name = _program(server)
        self._is_there = server.spec.command is None or shutil.which(self._program_name, path=path) is not None
        self._connect = _connect(server, folder=folder, path=path, secrets=secrets or {})
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._life: Life | None = None
        self._ending: list[Life] = []
        self._starts: deque[float] = deque()
        self._listed: tuple[Life, float, Sequence[ToolDefinition]] | None = None
        self._is_closed = False

    def prepare(self) -> None:
        """Load nothing: whoever made it has loaded all."""

    def definitions(self, *, within_s: float = 30) -> Sequence[ToolDefinition]:
        """List what the server offers, not older than `recheckSeconds`; asked anew when it said that it changed."""
        return self._definitions(within_s=within_s, may_begin_again=True)

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str = "") -> ToolResult:
        """Call one tool; by the earlier of `within_s` and the server's own time limit."""
        result = self._called(name, arguments, within_s=within_s, key=key, may_begin_again=True)
        return replace(
            result,
            content=self._scrubber.text(result.content),
            structured=self._scrubber.value(result.structured),
        )

    def close(self) -> None:
        """End the server and its thread. Closing twice does nothing."""
        with self._lock:
            self._is_closed = True
            ending = [*self._ending, *([self._life] if self._life is not None else [])]
            self._life, self._ending = None, []
        for life in ending:
            life.stop()
        for life in ending:
            life.end()

    def _definitions(self, *, within_s: float, may_begin_again: bool) -> Sequence[ToolDefinition]:
        deadline = self._clock() + within_s
        life = self._alive(within_s=within_s)
        try:
            return self._offered(life, deadline=deadline)
        except (MCPError, ValidationError, TimeoutError) as error:
            if is_session_lost(error):
                self._bury(life)
                if may_begin_again:
                    return self._definitions(within_s=max(deadline - self._clock(), 0), may_begin_again=False)
            raise self._failures.of_listing(error, life.wire) from error

    def _offered(self, life: Life, *, deadline: float) -> Sequence[ToolDefinition]:
        if not self._listing.acquire(timeout=max(deadline - self._clock(), 0)):
            raise TimeoutError
        try:
            if self._listed is not None and self._listed[0] is life and self._is_fresh(life, self._listed[1]):
                return self._listed[2]
            asked_at = self._clock()
            # Before asking: what changes meanwhile is asked for once more.
            life.wire.changed.clear()
            try:
                offered = life.definitions(within_s=max(deadline - asked_at, 0.01))
            except (MCPError, ValidationError, TimeoutError):
                life.wire.changed.set()
                raise
            # A description goes to the model and into files. Schemas stay as they are: they decide what fits.
            said = [replace(each, description=self._scrubber.text(each.description)) for each in offered]
            self._listed = (life, asked_at, said)
            return said
        finally:
            self._listing.release()

    def _called(
        self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str, may_begin_again: bool
    ) -> ToolResult:
        began = self._clock()
        try:
            life = self._alive(within_s=within_s)
        except (PermanentError, TransientError) as error:
            _log.warning("agent.tool.unavailable", extra={"server": self._name, "reason": str(error)})
            return ToolResult(content=f"Tool server `{self._name}` is not available.", is_error=True)
        left_s = within_s - (self._clock() - began)
        limit_s = min(left_s, self._spec.timeout_seconds)
        if limit_s <= 0:
            return ToolResult(content=f"Tool `{name}` was not called: no time was left.", is_error=True)
        try:
            return result_of(life.call(name, arguments, within_s=limit_s, key=key), name=name)
        except ValidationError:
            return unreadable(name)
        except (MCPError, TimeoutError) as error:
            if is_connection_lost(error) or is_session_lost(error):
                self._bury(life)
            if is_session_lost(error) and may_begin_again:
                # The server refused the session that it had forgotten, so the call was not made.
                left_s = within_s - (self._clock() - began)
                return self._called(name, arguments, within_s=left_s, key=key, may_begin_again=False)
            return self._failures.of_call(error, name=name, limit_s=limit_s)

    def _is_fresh(self, life: Life, listed_at: float) -> bool:
        return not life.wire.changed.is_set() and self._clock() - listed_at < self._spec.recheck_seconds

    def _alive(self, *, within_s: float) -> Life:
        with self._lock:
            if self._is_closed:
                raise TransientError(f"Tool server `{self._name}` is closed; load the agent again.")
            if not self._is_there:
                raise TransientError(
                    f"Found no program `{self._program_name}` on the PATH for tool server `{self._name}`; install it."
                )
            if self._life is not None and self._life.is_over:
                self._end_later(self._life)
            if self._life is None:
                self._note_start()
                explain, on_end = self._failures.of_start, self._note_end
                self._life = Life(self._name, self._connect, explain=explain, on_end=on_end)
            life = self._life
        try:
            life.await_start(within_s=within_s)
        except (PermanentError, TransientError):
            self._bury(life)
            raise
        return life

    def _note_start(self) -> None:
        """Count a start; refuse one more than a program has in ten minutes."""
        now = self._clock()
        while self._starts and now - self._starts[0] >= _RESTART_WINDOW_S:
            self._starts.popleft()
        if self._spec.url is None and len(self._starts) > self._spec.max_restarts:
            wait_s = _RESTART_WINDOW_S - (now - self._starts[0])
            raise TransientError(
                f"Tool server `{self._name}` was started {len(self._starts)} times within ten minutes, and ended every "
                f"time; it is started again in {wait_s:.0f} s (`maxRestarts: {self._spec.max_restarts}`). Look at what "
                "it writes to standard error."
            )
        self._starts.append(now)

    def _bury(self, life: Life) -> None:
        with self._lock:
            self._end_later(life)

    def _end_later(self, life: Life) -> None:
        """Begin to end a life, and wait for it only in `close`: a caller has no time for a program that hangs."""
        life.stop()
        if self._life is life:
            self._life = None
        if life not in self._ending:
            self._ending = [*(each for each in self._ending if each.is_running), life]

    def _note_end(self, wire: Wire) -> None:
        """Log what a program wrote when it ended unasked: it helps whoever mends it, and no model reads it."""
        if not self._is_closed and (wire.said or wire.why):
            said = self._scrubber.text(wire.said)
            _log.warning("agent.tool.ended", extra={"server": self._name, "why": wire.why, "stderr": said})


def _connect(server: MCPServer, *, folder: Path, path: str, secrets: Mapping[str, str]) -> Connect:
    spec = server.spec
    if spec.url is not None:
        return Address(url=spec.url, headers=dict(secrets), timeout_s=spec.timeout_seconds).connect
    words = [_program(server)]
    if spec.command == "python":
        # No bytecode is written beside the sources: a bundle with a file more is no longer that bundle.
        words.append("-B")
    words += [str((folder / word).resolve()) if _names_file(folder, word) else word for word in spec.args]
    found = shutil.which(words[0], path=path) or words[0]
    return Program(words=[found, *words[1:]], env={"PATH": path, **spec.env, **secrets}, folder=folder).connect


def _program(server: MCPServer) -> str:
    return sys.executable if server.spec.command == "python" else server.spec.command or ""


def _names_file(folder: Path, word: str) -> bool:
    file = folder / word
    return bool(word) and file.is_file() and file.resolve().is_relative_to(folder.resolve())
