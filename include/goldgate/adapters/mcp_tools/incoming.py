"""What comes from a server, before the SDK sees it."""

import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import mcp_types
from mcp.shared._stream_protocols import ReadStream
from mcp.shared.message import SessionMessage

from goldgate.adapters.mcp_tools.answers import with_texts
from goldgate.adapters.mcp_tools.listings import with_sound_tools
from goldgate.adapters.mcp_tools.wire import Streams, Transport

Item = SessionMessage | Exception


@contextlib.asynccontextmanager
async def made_sound(transport: Transport) -> AsyncIterator[Streams]:
    """Open a connection whose results hold texts only, and whose lists sound tools: the SDK refuses others whole."""
    async with transport as (incoming, outgoing):
        yield _Sound(incoming), outgoing


class _Sound:
    def __init__(self, inner: ReadStream[Item]) -> None:
        self._inner = inner

    async def receive(self) -> Item:
        return _sound(await self._inner.receive())

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        return _sound(await self._inner.__anext__())

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)

    @property
    def last_context(self) -> object:
        """What the SDK asks of a stream that has it."""
        return getattr(self._inner, "last_context", None)


def _sound(item: Item) -> Item:
    if isinstance(item, SessionMessage) and isinstance(answer := item.message, mcp_types.JSONRPCResponse):
        answer = answer.model_copy(update={"result": with_sound_tools(with_texts(answer.result))})
        return SessionMessage(message=answer, metadata=item.metadata)
    return item
