"""Connections whose whole exchange keeps a time, and whose responses keep a size.

The time-outs of the official client are for each read: an endpoint that sends a byte now and then would hold a run for
ever. Here every wait counts against the whole, name resolution excepted.
"""

import math
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

_MOST_ERROR_BYTES = 65_536
"""What is read of an error answer: it is told in 300 characters."""

_PIECE_BYTES = 16_384
_OF_THE_BODY = frozenset({b"content-encoding", b"content-type"})
_ZIPPED = frozenset({b"gzip", b"x-gzip", b"deflate"})
_EITHER_HEAD = zlib.MAX_WBITS | 32
"""Has zlib tell gzip and deflate apart by their first bytes."""
_CONNECTIONS, _IDLE_CONNECTIONS, _IDLE_S = 1000, 100, 5.0
"""As the official client has them."""


_BROKEN = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
    zlib.error,
)


class OversizedError(Exception):
    """More came than the resource allows. Reading has ended."""


class _Timer(threading.local):
    """When the exchange of this thread has to be over. A request is made and read by one thread."""

    ends_s = math.inf

    def start(self, within_s: float | None) -> None:
        self.ends_s = time.monotonic() + within_s if within_s is not None else math.inf

    def left_s(self, timeout_s: float | None) -> float | None:
        """Narrow a time-out to what is left of the whole."""
        left_s = self.ends_s - time.monotonic()
        if left_s <= 0:
            raise httpcore2.ReadTimeout("the whole exchange took too long")
        shortest_s = min(left_s, timeout_s if timeout_s is not None else math.inf)
        return shortest_s if shortest_s < math.inf else None


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose every wait counts against the whole exchange."""

    def __init__(self, stream: httpcore2.NetworkStream, timer: _Timer) -> None:
        self._stream = stream
        self._timer = timer

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._timer.left_s(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE_BYTES):
            self._stream.write(buffer[start : start + _PIECE_BYTES], self._timer.left_s(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._timer.left_s(timeout))
        return _TimedStream(secured, self._timer)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _TimedBackend(httpcore2.SyncBackend):
    """Opens such connections. A name that nobody resolves takes as long as the system's resolver waits."""

    def __init__(self, timer: _Timer) -> None:
        self._timer = timer

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter of a name with a part that is too long
            raise httpcore2.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        for position, address in enumerate(addresses):
            left_s = self._timer.left_s(timeout)
            share_s = left_s / (len(addresses) - position) if left_s is not None else None
            try:
                stream = super().connect_tcp(address, port, share_s, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if position == len(addresses) - 1:
                    raise
            else:
                return _TimedStream(stream, self._timer)
        raise httpcore2.ConnectError(f"no address for {host}")


class BoundedTransport(httpx2.BaseTransport):
    """Carries requests; the read time-out of one is for the whole of it, and its response has a largest size."""

    def __init__(self, *, max_bytes: int, proxy: httpcore2.Proxy | None) -> None:
        self._max_bytes = max_bytes
        self._timer = _Timer()
        self._pool = httpcore2.ConnectionPool(
            proxy=proxy,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_S,
            network_backend=_TimedBackend(self._timer),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and begin to read its response."""
        self._timer.start(request.extensions.get("timeout", {}).get("read"))
        url = request.url
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.read(),
            extensions=request.extensions,
        )
        with _as_the_client_tells_it():
            response = self._pool.handle_request(asked)
        is_answer = 200 <= response.status < 300  # noqa: PLR2004 - of HTTP
        stream = _BoundedStream(response, max_bytes=self._max_bytes if is_answer else None)
        # By these two the client would unpack without a bound, and decode by any codec of Python.
        headers = [(name, value) for name, value in response.headers if name.lower() not in _OF_THE_BODY]
        return httpx2.Response(response.status, headers=headers, stream=stream, extensions=response.extensions)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _BoundedStream(httpx2.SyncByteStream):
    """The body of a response, as far as it is read."""

    def __init__(self, response: httpcore2.Response, *, max_bytes: int | None) -> None:
        self._response = response
        self._max_bytes = max_bytes

    def __iter__(self) -> Iterator[bytes]:
        read = 0
        with _as_the_client_tells_it():
            for part in self._unpacked():
                read += len(part)
                if self._max_bytes is not None and read > self._max_bytes:
                    raise OversizedError(f"its response is longer than {self._max_bytes} bytes (`maxResponseBytes`)")
                yield part
                if self._max_bytes is None and read > _MOST_ERROR_BYTES:
                    return

    def _unpacked(self) -> Iterator[bytes]:
        """Unpack what was not to be packed, piece by piece: 300 kB may become 300 MB."""
        packed_by = next((by for name, by in self._response.headers if name.lower() == b"content-encoding"), b"")
        parts: Iterator[bytes] = iter(self._response.iter_stream())
        if packed_by.strip().lower() not in _ZIPPED:
            yield from parts
            return
        zipped = zlib.decompressobj(_EITHER_HEAD)
        for part in parts:
            left = part
            while left:
                yield zipped.decompress(left, _PIECE_BYTES)
                left = zipped.unconsumed_tail

    def close(self) -> None:
        self._response.close()


@contextmanager
def _as_the_client_tells_it() -> Iterator[None]:
    """Translate the errors of the connection into those that the official client knows."""
    try:
        yield
    except httpcore2.TimeoutException as error:
        raise httpx2.ReadTimeout(str(error)) from error
    except _BROKEN as error:
        raise httpx2.ReadError(str(error)) from error
