"""A tool server in this process."""

from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from goldgate.domain.errors import TransientError
from goldgate.ports.model import ToolDefinition
from goldgate.ports.tools import ToolResult


class InMemoryToolSession:
    """Implements `goldgate.ports.tools.ToolSession` with functions; an exception of theirs is an error result.

    A function may give a whole `ToolResult`.
    """

    def __init__(
        self, tools: Mapping[str, tuple[ToolDefinition, Callable[..., object]]], *, starts: bool = True
    ) -> None:
        self._tools = dict(tools)
        self._starts = starts
        self.calls: list[tuple[str, Mapping[str, JsonValue]]] = []
        self.keys: list[str] = []
        self.is_closed = False

    def definitions(self, *, within_s: float = 30) -> Sequence[ToolDefinition]:
        self._require_started(within_s)
        return [definition for definition, _ in self._tools.values()]

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float, key: str = "") -> ToolResult:
        try:
            self._require_started(within_s)
        except TransientError as error:
            return ToolResult(content=str(error), is_error=True)
        self.calls.append((name, arguments))
        self.keys.append(key)
        if name not in self._tools:
            return ToolResult(content=f"Unknown tool: {name}", is_error=True)
        try:
            given = self._tools[name][1](**arguments)
            if isinstance(given, ToolResult):
                return given
            return ToolResult(content=str(given), is_error=False)
        except Exception as error:  # noqa: BLE001 - as a server does
            return ToolResult(content=str(error), is_error=True)

    def close(self) -> None:
        self.is_closed = True

    def _require_started(self, within_s: float) -> None:
        if self.is_closed or not self._starts:
            raise TransientError(f"The tool server did not start within {within_s:g} s.")
