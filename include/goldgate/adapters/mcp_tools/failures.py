"""What went wrong with a tool server, in words: for the model when a call failed, for people when a start did."""

import json
from dataclasses import dataclass

import mcp_types
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from goldgate.adapters.mcp_tools.wire import HTTP_REFUSED, MOST_BYTES, TOO_LARGE, Scrubber, Wire
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.tools import ToolResult

_LONGEST_SAID = 1_000
_UNAUTHORISED = (401, 403)
_MAY_PASS = (408, 425, 429)
_SERVER_ERROR = 500


@dataclass(frozen=True, kw_only=True)
class _Http:
    """An answer of HTTP that is none of MCP, as the guard noted it."""

    kind: str
    status: int
    said: str
    """By the server, in words; empty if it was nothing for people."""


class Failures:
    """Translates the errors of one server."""

    def __init__(self, name: str, scrubber: Scrubber) -> None:
        self._name = name
        self._scrubber = scrubber

    def of_start(self, error: BaseException, wire: Wire) -> PermanentError | TransientError:
        """Say why it did not start."""
        error = _innermost(error)
        if (http := _http(error)) is not None:
            return self._refusal(http, str(error))
        said = self._scrubber.text(wire.said[-_LONGEST_SAID:].strip())
        wrote = f". It wrote:\n{said}" if said else ""
        why = self._scrubber.text(wire.why or str(error)[:_LONGEST_SAID] or type(error).__name__)
        return TransientError(f"Tool server `{self._name}` did not start: {why}{wrote}")

    def of_listing(self, error: BaseException, wire: Wire) -> PermanentError | TransientError:
        """Say why it did not list its tools."""
        if (http := _http(error)) is not None:
            return self._refusal(http, str(error))
        if is_late(error):
            return TransientError(f"Tool server `{self._name}` did not list its tools in time.")
        why = self._scrubber.text(wire.why or str(error)[:_LONGEST_SAID])
        if isinstance(error, ValidationError):
            return PermanentError(f"Tool server `{self._name}` lists what breaks the protocol; correct it: {why}")
        return TransientError(f"Tool server `{self._name}` did not list its tools: {why}")

    def of_call(self, error: BaseException, *, name: str, limit_s: float) -> ToolResult:
        """Say why a call gave no result, and whether it may have acted."""
        if (http := _http(error)) is not None:
            return self._http_result(http, name=name)
        if is_late(error):
            return _lost(f"Tool `{name}` did not answer within {limit_s:.3g} s.")
        if is_connection_lost(error):
            return _lost(f"Tool server `{self._name}` ended during `{name}`; it may or may not have acted.")
        code = _code(error)
        if code == TOO_LARGE:
            unread = f"is longer than {MOST_BYTES} bytes and was not read. Ask for less"
            return ToolResult(content=f"Tool `{name}` was called, but its answer {unread}.", is_error=True)
        if code == mcp_types.PARSE_ERROR:
            unread = f"is no message of MCP, or longer than {MOST_BYTES} bytes"
            return ToolResult(content=f"Tool `{name}` was called, but its answer {unread}.", is_error=True)
        return ToolResult(content=f"Tool `{name}` was refused by its server: {error}{_details(error)}", is_error=True)

    def _http_result(self, http: _Http, *, name: str) -> ToolResult:
        server = f"Tool server `{self._name}`"
        kind, status = http.kind, http.status
        told = f": {http.said}" if http.said else "."
        if kind == "unreached":
            return ToolResult(content=f"{server} cannot be reached; `{name}` was not called.", is_error=True)
        if kind == "lost":
            return _lost(f"{server} broke off during `{name}`; it may or may not have acted.")
        if kind == "foreign" or status >= _SERVER_ERROR:
            return _lost(f"{server} failed during `{name}` (HTTP {status}); it may or may not have acted{told}")
        return ToolResult(content=f"{server} refused the call of `{name}` (HTTP {status}){told}", is_error=True)

    def _refusal(self, http: _Http, found: str) -> PermanentError | TransientError:
        server = f"Tool server `{self._name}`"
        kind, status = http.kind, http.status
        if kind in {"unreached", "lost"}:
            return TransientError(f"{server} cannot be reached: {found}. Look whether it runs, and correct its `url`.")
        if status in _UNAUTHORISED:
            return PermanentError(f"{server} refuses the key: HTTP {status}. Correct what its `headersFrom` names.")
        if status >= _SERVER_ERROR or status in _MAY_PASS or kind == "session_lost":
            return TransientError(f"{server} fails: HTTP {status}.")
        return PermanentError(
            f"{server} answered with {found}; expected MCP over streamable HTTP. Correct its `url`, such as "
            "`https://host/mcp`."
        )


def is_connection_lost(error: BaseException) -> bool:
    """Whether nothing more comes over this connection.

    Servers use the number too, for errors of their own, so that the SDK's own words tell them apart.
    """
    return _code(error) == mcp_types.CONNECTION_CLOSED and str(error).startswith(("Connection closed", "SSE stream"))


def is_late(error: BaseException) -> bool:
    """Whether no answer came in time. As above, the number alone does not tell."""
    is_sdk = _code(error) == mcp_types.REQUEST_TIMEOUT and str(error).endswith("timed out")
    return isinstance(error, TimeoutError) or is_sdk


def is_session_lost(error: BaseException) -> bool:
    """Whether the server no longer knows the session, and did nothing."""
    http = _http(error)
    return http is not None and http.kind == "session_lost"


def _lost(content: str) -> ToolResult:
    return ToolResult(content=content, is_error=True, is_fate_unknown=True)


def _details(error: BaseException) -> str:
    """Give what an error of the protocol holds beside its message: often what would have been right."""
    data = error.error.data if isinstance(error, MCPError) else None
    return f" ({json.dumps(data, ensure_ascii=False, default=str)[:_LONGEST_SAID]})" if data else ""


def _code(error: BaseException) -> int | None:
    return error.code if isinstance(error, MCPError) else None


def _http(error: BaseException) -> _Http | None:
    """Read what the guard of HTTP noted, if it did."""
    if not isinstance(error, MCPError) or error.code != HTTP_REFUSED:
        return None
    match error.error.data:
        case [str() as kind, int() as status, str() as said]:
            return _Http(kind=kind, status=status, said=said)
        case _:
            return None  # a server's own use of that number


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
