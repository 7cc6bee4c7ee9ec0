"""What a connection to a tool server tells about itself, whatever carries it."""

import threading
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage

MOST_BYTES: Final = 4_000_000
"""Of one message of a server. What a model reads of a result is a thousandth of it."""

TOO_LARGE: Final = -32050
"""Stands in for an answer that was not read. In the range that JSON-RPC leaves to implementations."""
HTTP_REFUSED: Final = -32051
"""Stands in for an answer of HTTP that is none of MCP: its `data` says which."""

Streams = tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]
Transport = AbstractAsyncContextManager[Streams]

_SHORTEST_SECRET: Final = 4


@dataclass(kw_only=True)
class Wire:
    """Shared by the thread that carries the messages and those that wait for answers."""

    changed: threading.Event = field(default_factory=threading.Event)
    """The server said that its list of tools is another one."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Nothing comes any more."""
    heard: int = 0
    """Messages that came since something was last sent."""
    why: str = ""
    """Why it ended, if it was ended from here."""
    said: str = ""
    """The end of what a program wrote to standard error. For logs and for whoever sets it up, never for a model."""


class Connect(Protocol):
    """Opens a connection."""

    def __call__(self, wire: Wire) -> Transport:
        """Open one, and note on `wire` what becomes of it."""


class Scrubber:
    """Takes secrets out of what others wrote."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in (secret, secret.removeprefix("Bearer "))}
        self._secrets = sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)

    def text(self, text: str) -> str:
        """Replace every secret."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text

    def value(self, value: Any) -> Any:
        """Replace every secret in the texts of a JSON value."""
        if not self._secrets:
            return value
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(key)): self.value(each) for key, each in value.items()}
            case list():
                return [self.value(each) for each in value]
            case _:
                return value
