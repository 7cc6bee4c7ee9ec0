"""MCP over streamable HTTP: the SDK's transport, behind a guard that bounds answers and names refusals.

A redirect to another origin is never followed, so that secret headers go nowhere else (the SDK sees to it). Nothing of
this process's environment is used: no proxy, no `.netrc`.
"""

import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import mcp_types
from mcp.client.streamable_http import streamable_http_client

from goldgate.adapters.mcp_tools.repairs import whole
from goldgate.adapters.mcp_tools.wire import HTTP_REFUSED, MOST_BYTES, Streams, Wire

# It logs what it cannot parse, which may hold keys and whatever a tool said. Its callers get an error, and we log that.
logging.getLogger("mcp.client.streamable_http").setLevel(logging.CRITICAL)

_MOST_STREAMED: Final = 64_000_000
"""Of one event stream: a server that writes more of it than that is cut off, and connected to again."""
_ACCEPTED: Final = 202
_BAD: Final = 400
_NOT_FOUND: Final = 404
_OF_SESSIONS: Final = re.compile(r"session|not initialized", re.IGNORECASE)
"""What servers say at HTTP 400 of a session that they do not know. Source: the transport of the TypeScript SDK ("Server
not initialized") and its example servers ("No valid session ID provided"); the protocol asks for 404."""
_LONGEST_REFUSAL: Final = 1_000
_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a tool server is, and what is sent to it with every request."""

    url: str
    headers: Mapping[str, str]
    timeout_s: float

    @contextlib.asynccontextmanager
    async def connect(self, wire: Wire) -> AsyncIterator[Streams]:
        """Open a client, and end the server's session when the context ends."""
        # A stream may be silent for as long as a call may take; a little longer, so that the call's own limit speaks.
        timeout = httpx2.Timeout(self.timeout_s, read=self.timeout_s + 5)
        guard = Guard(httpx2.AsyncHTTPTransport(trust_env=False))
        # Not compressed: what is bounded is what was sent.
        headers = {**self.headers, "accept-encoding": "identity"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=timeout, transport=guard, trust_env=False) as client,
            streamable_http_client(self.url, http_client=client, max_sse_event_size=MOST_BYTES) as streams,
        ):
            try:
                yield streams
            finally:
                wire.ended.set()


class Guard(httpx2.AsyncBaseTransport):
    """Turns whatever is no answer of MCP into an error that says what it was, and cuts what is too long."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        try:
            response = await self._inner.handle_async_request(request)
        except httpx2.TransportError as error:
            kind = "unreached" if isinstance(error, _NEVER_SENT) else "lost"
            return _refusal(request, kind=kind, status=502, found=type(error).__name__)
        if request.method == "POST" and (foreign := _kind(request, response)) is not None:
            await response.aclose()
            found = f"HTTP {response.status_code}" if response.status_code >= _BAD else _content_type(response)
            return _refusal(request, kind=foreign, status=max(response.status_code, _BAD), found=found)
        if request.method == "POST" and response.status_code >= _BAD:
            return await _error_of(request, response)
        is_stream = _content_type(response) == "text/event-stream"
        most = _MOST_STREAMED if is_stream else MOST_BYTES
        return httpx2.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_Bounded(response.stream, most=most),  # type: ignore[arg-type]  # that of an async transport is async
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Give back the connections."""
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """Ends what is too long, and hands on whole lines: they are what `whole` can mend."""

    def __init__(self, inner: httpx2.AsyncByteStream, *, most: int) -> None:
        self._inner = inner
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, rest = 0, b""
        async for chunk in self._inner:
            size += len(chunk)
            if size > self._most:
                raise httpx2.StreamError(f"more than {self._most} bytes")
            rest += chunk
            end = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1
            if end or len(rest) > MOST_BYTES:
                yield whole(rest[: end or None])
                rest = rest[end:] if end else b""
        if rest:
            yield whole(rest)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _kind(request: httpx2.Request, response: httpx2.Response) -> str | None:
    """Name what an answer to a message is, if it is none of MCP; None if it is one, or a redirect."""
    status, content = response.status_code, _content_type(response)
    if response.headers.get("content-encoding", "identity") != "identity":
        return "foreign"
    if status == _NOT_FOUND and "mcp-session-id" in request.headers:
        return "session_lost"
    if status >= _BAD or content == "application/json" or response.has_redirect_location or status == _ACCEPTED:
        return None
    return None if content == "text/event-stream" else "foreign"


async def _error_of(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Hand on an error of JSON-RPC; anything else at such a status is a refusal by HTTP, with what the server said."""
    status = response.status_code
    try:
        body = b"".join([chunk async for chunk in _Bounded(response.stream, most=MOST_BYTES)])  # type: ignore[arg-type]
        text = body.decode(errors="replace")
    except (httpx2.StreamError, httpx2.TransportError):
        text = ""
    finally:
        await response.aclose()
    error = _rpc_error(text)
    is_readable = _content_type(response) in {"application/json", "text/plain"}
    said = (error["message"] if error else text.strip() if is_readable else "")[:_LONGEST_REFUSAL]
    is_refused_session = status == _BAD and (error is None or error["code"] != mcp_types.INVALID_PARAMS)
    if is_refused_session and "mcp-session-id" in request.headers and _OF_SESSIONS.search(said):
        return _refusal(request, kind="session_lost", status=status, found=f"HTTP {status}", said=said)
    if error is None:
        return _refusal(request, kind="refused", status=status, found=f"HTTP {status}", said=said)
    return httpx2.Response(status_code=status, json={"jsonrpc": "2.0", "id": None, "error": error})


def _rpc_error(text: str) -> dict[str, Any] | None:
    """Read an error of JSON-RPC, made whole; None for any other text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    error = value.get("error") if isinstance(value, dict) and "jsonrpc" in value else None
    if not isinstance(error, dict):
        return None
    code = error.get("code")
    return {
        **error,
        "code": code if isinstance(code, int) else mcp_types.INTERNAL_ERROR,
        "message": str(error.get("message") or f"error {code}"),
    }


def _content_type(response: httpx2.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _refusal(request: httpx2.Request, *, kind: str, status: int, found: str, said: str = "") -> httpx2.Response:
    error = {"code": HTTP_REFUSED, "message": found[:80] or "an answer without a type", "data": [kind, status, said]}
    return httpx2.Response(status_code=status, json={"jsonrpc": "2.0", "id": None, "error": error}, request=request)
