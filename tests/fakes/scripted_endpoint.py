"""An HTTP endpoint on this machine that answers by script."""

import contextlib
import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One HTTP answer."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    """No answer at all, until the endpoint is closed."""
    raw: bytes | None = None
    """Sent in place of `body`, as it is."""
    wire: bytes | None = None
    """Sent in place of the whole answer, status line and all; then the connection is closed."""
    trickle: Sequence[bytes] = ()
    """Sent in place of the whole answer, piece by piece; the last piece repeats until nobody listens."""
    pause_s: float = 0.01
    """Between two pieces."""


class ScriptedEndpoint:
    """Answers POST requests in the order of its script; the last answer repeats. Use as a context manager."""

    def __init__(self, *script: Answer) -> None:
        self._script = list(script)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.sent_pieces = 0
        self.was_hung_up_on = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = (
                True  # head and body go in two writes: else the second waits 40 ms for an acknowledgement
            )

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint._answer(self, body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.requests.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if answer.hang:
            self._closing.wait()
            handler.close_connection = True
            return
        if answer.wire is not None or answer.trickle:
            handler.close_connection = True
            self._send_raw(handler, answer)
            return
        content = answer.raw
        if content is None:
            content = json.dumps(answer.body(body) if callable(answer.body) else answer.body).encode()
        handler.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _send_raw(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.wire is not None:
            handler.wfile.write(answer.wire)
            return
        pieces = itertools.chain(answer.trickle, itertools.repeat(answer.trickle[-1]))
        with contextlib.suppress(OSError):
            for piece in pieces:
                handler.wfile.write(piece)
                self.sent_pieces += 1
                if self._closing.wait(answer.pause_s):
                    return
        self.was_hung_up_on.set()


def completion(
    content: str | None = "Hello.",
    *,
    tool_calls: Sequence[Mapping[str, Any]] = (),
    usage: Mapping[str, Any] | None = None,
    finish_reason: str = "stop",
) -> dict[str, Any]:
    """The body of a chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if tool_calls:
        message["tool_calls"] = list(tool_calls)
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage or {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
