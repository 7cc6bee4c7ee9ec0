"""The tools that an agent may call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from goldgate.ports.model import ToolDefinition


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """What a tool said. An error's text is for the model, which may correct itself."""

    content: str
    is_error: bool
    structured: JsonValue = None
    """What the tool returned as JSON, if it did."""
    is_fate_unknown: bool = False
    """Nobody knows whether it acted: it did not answer in time, or its server ended."""


ArgumentCheck = Callable[[JsonValue], list[str]]
"""Holds a value to one JSON Schema: a sentence for each problem (path, found, expected), none if it fits."""


class ToolSession(Protocol):
    """An open connection to one tool server. Safe to call from several threads."""

    def prepare(self) -> None:
        """Load what the first use would wait for, such as a library. The server is not started, reached or asked."""

    def definitions(self, *, within_s: float = 30) -> Sequence[ToolDefinition]:
        """List what the server offers now, or offered no longer ago than the session may believe.

        Raises:
            TransientError: It cannot be started, reached or asked in time.
            PermanentError: It cannot be used as it is described: a variable is not set, a key is refused.
        """

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str = "") -> ToolResult:
        """Call one tool. A failure of the tool or of its server is a result with `is_error`.

        Args:
            name: Which tool.
            arguments: Held to its schema already.
            within_s: By when it returns, whatever the server does.
            key: Idempotency key; goes with the call if not empty.
        """

    def close(self) -> None:
        """End the session and its process. Closing twice does nothing."""
