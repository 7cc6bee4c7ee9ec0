"""A tool server from its start to its end, in one background thread with one event loop."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import mcp_types
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from pydantic import JsonValue, TypeAdapter

from goldgate.adapters.mcp_tools.incoming import made_sound
from goldgate.adapters.mcp_tools.listings import definition_of
from goldgate.adapters.mcp_tools.wire import Connect, Wire
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.model import ToolDefinition

KEY: Final = "goldgate.dev/idempotency-key"
"""Under this name in a call's `_meta` goes the key that never changes."""

_STOP_WITHIN_S: Final = 8.0
"""A program is waited for 2 s after its input closed, 2 s after SIGTERM, 2 s after SIGKILL."""
_GUARD_S: Final = 1.0
"""The SDK's own limit ends a call at the server too; this much later a stuck event loop is no longer waited for."""
_MOST_PAGES: Final = 100
_MOST_TOOLS: Final = 2_000

_RAW: Final[TypeAdapter[Any]] = TypeAdapter(dict[str, Any])
"""Results as they came: the SDK's typed call would hold them to `outputSchema` with a checker that has no bounds."""

T = TypeVar("T")
Explain = Callable[[BaseException, Wire], PermanentError | TransientError]


class Life:
    """One connection to a server."""

    def __init__(self, name: str, connect: Connect, *, explain: Explain, on_end: Callable[[Wire], None]) -> None:
        self.wire = Wire()
        self._name = name
        self._connect = connect
        self._explain = explain
        self._on_end = on_end
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: concurrent.futures.Future[Client] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name=f"mcp-{name}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing comes from the server any more."""
        return self.wire.ended.is_set() or not self._thread.is_alive()

    @property
    def is_running(self) -> bool:
        """Whether its thread, and so perhaps its program, is still there."""
        return self._thread.is_alive()

    def await_start(self, *, within_s: float) -> None:
        """Wait until it may be asked.

        Raises:
            TransientError: It did not start in time, or failed to.
            PermanentError: It refuses to be used like this.
        """
        try:
            self._started.result(timeout=max(within_s, 0))
        except concurrent.futures.TimeoutError as error:
            raise TransientError(f"Tool server `{self._name}` did not start within {within_s:g} s.") from error

    def definitions(self, *, within_s: float) -> Sequence[ToolDefinition]:
        """List what it offers now. Raises what the SDK raises, and `TimeoutError`."""

        async def listed(client: Client) -> list[ToolDefinition]:
            async with asyncio.timeout(within_s):
                return await _offered(client, name=self._name)

        return self._do(listed, within_s=within_s)

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str) -> dict[str, Any]:
        """Call a tool, and give its result as it came. Raises what the SDK raises, and `TimeoutError`."""
        params = mcp_types.CallToolRequestParams(
            name=name, arguments=dict(arguments), _meta={KEY: key} if key else None
        )
        request = mcp_types.CallToolRequest(params=params)

        async def called(client: Client) -> dict[str, Any]:
            raw: dict[str, Any] = await client.session.send_request(
                request, _RAW, request_read_timeout_seconds=within_s
            )
            return raw

        return self._do(called, within_s=within_s)

    def stop(self) -> None:
        """Begin to end the server. Whoever asks something meanwhile is told that it ended."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(self._stop.set)

    def end(self) -> None:
        """End the server and its thread, and wait for it."""
        self.stop()
        self._thread.join(_STOP_WITHIN_S)

    def _do(self, ask: Callable[[Client], Coroutine[Any, Any, T]], *, within_s: float) -> T:
        asked = ask(self._started.result(timeout=0))
        try:
            future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        except RuntimeError as error:
            asked.close()
            raise MCPError(mcp_types.CONNECTION_CLOSED, "Connection closed") from error
        try:
            return future.result(timeout=within_s + _GUARD_S)
        except concurrent.futures.CancelledError as error:
            raise MCPError(mcp_types.CONNECTION_CLOSED, "Connection closed") from error
        finally:
            future.cancel()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            try:
                self._loop.run_until_complete(self._live())
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the start
                if not self._started.done():
                    self._started.set_exception(self._explain(error, self.wire))
            finally:
                if not self._started.done():
                    ended = TransientError(f"Tool server `{self._name}` was ended before it had started.")
                    self._started.set_exception(ended)
                self.wire.ended.set()
                self._cancel_rest()
                self._on_end(self.wire)

    def _cancel_rest(self) -> None:
        """End the calls that are still waited for: nobody answers them any more."""
        rest = asyncio.all_tasks(self._loop)
        for task in rest:
            task.cancel()
        if rest:
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))

    async def _live(self) -> None:
        serving = asyncio.ensure_future(self._serve())
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not serving.done():
            serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    async def _serve(self) -> None:
        client = Client(made_sound(self._connect(self.wire)), cache=None, message_handler=self._heard)
        async with client:
            self._started.set_result(client)
            await asyncio.Event().wait()

    async def _heard(self, message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self.wire.changed.set()


async def _offered(client: Client, *, name: str) -> list[ToolDefinition]:
    cursor: str | None = None
    cursors: set[str] = set()
    offered: list[ToolDefinition] = []
    for _ in range(_MOST_PAGES):
        page = await client.session.list_tools(params=mcp_types.PaginatedRequestParams(cursor=cursor))
        offered += map(definition_of, page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return _named_once(offered, server=name)
        if cursor in cursors or len(offered) > _MOST_TOOLS:
            break
        cursors.add(cursor)
    raise PermanentError(
        f"Tool server `{name}` lists its tools without an end: found {len(offered)} on {len(cursors) + 1} pages, "
        f"expected at most {_MOST_TOOLS} on {_MOST_PAGES}, and no page twice. Correct the server."
    )


def _named_once(offered: Sequence[ToolDefinition], *, server: str) -> list[ToolDefinition]:
    """Hold a list to one meaning of each name: else one is reviewed, and another one called."""
    named: dict[str, ToolDefinition] = {}
    for each in offered:
        if named.setdefault(each.name, each) != each:
            raise PermanentError(
                f"Tool server `{server}` lists the tool `{each.name[:80]}` twice, with different definitions; expected "
                "names that differ. Correct the server."
            )
    return list(named.values())
