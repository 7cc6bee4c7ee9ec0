"""Tool servers over streamable HTTP: a real one of the SDK, and web servers that are none."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from mcp.server import MCPServer as SdkServer
from mcp.server.mcpserver import Context

from goldgate.adapters.mcp_tools.session import McpToolSession
from goldgate.contracts.resources import MCPServer
from goldgate.domain.errors import PermanentError, TransientError
from tests.fakes.scripted_web import Asked, ScriptedWeb, Told

KEY = "Bearer s3cret-token-1"


def session(url: str, **spec: object) -> McpToolSession:
    resource = {"url": url, "headersFrom": {"Authorization": {"env": "X"}}, "timeoutSeconds": 5, **spec}
    server = MCPServer.model_validate({"kind": "MCPServer", "metadata": {"name": "far"}, "spec": resource})
    return McpToolSession(server, folder=Path(), path="", secrets={"Authorization": KEY})


def sdk_server(seen: list[str]) -> SdkServer:
    server = SdkServer("far", log_level="ERROR")
    all_here = asyncio.Event()
    waiting = []

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def hang() -> str:
        """Never answer."""
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")
        return ""

    @server.tool()
    async def together(count: int) -> str:
        """Answer when so many have come."""
        waiting.append(1)
        if len(waiting) == count:
            all_here.set()
        await all_here.wait()
        return "together"

    @server.tool()
    def large(size: int) -> str:
        """Say much."""
        return "x" * size

    @server.tool()
    async def headers(ctx: Context) -> str:
        """Show what came with the request."""
        return json.dumps(dict(ctx.request_context.request.headers))

    return server


@contextmanager
def serving(seen: list[str], *, json_response: bool) -> Iterator[McpToolSession]:
    app = sdk_server(seen).streamable_http_app(json_response=json_response)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    opened = session(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp")
    yield opened
    opened.close()
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module", params=[False, True], ids=["streamed", "json"])
def real(request) -> Iterator[McpToolSession]:
    with serving([], json_response=request.param) as opened:
        yield opened


class TestARealServer:
    def test_lists_and_is_called(self, real):
        assert "add" in {each.name for each in real.definitions()}
        assert real.call("add", {"a": 1, "b": 2}, within_s=10).content == "3"

    def test_gets_the_secret_header_which_nobody_reads_after(self, real):
        got = json.loads(real.call("headers", {}, within_s=10).content)

        assert got["authorization"] == "[secret]"

    def test_answers_many_side_by_side(self, real):
        with ThreadPoolExecutor(6) as threads:
            said = list(threads.map(lambda _: real.call("together", {"count": 6}, within_s=10).content, range(6)))

        assert said == ["together"] * 6

    def test_that_hangs_is_given_up_in_time(self, real):
        hung = real.call("hang", {}, within_s=0.2)

        assert (hung.content, hung.is_fate_unknown) == ("Tool `hang` did not answer within 0.2 s.", True)

    def test_is_told_when_a_call_is_given_up(self):
        """By the end of the stream. A server that answers in JSON does not look whether anybody still listens."""
        seen: list[str] = []
        with serving(seen, json_response=False) as opened:
            opened.call("hang", {}, within_s=0.2)
            deadline = time.monotonic() + 10
            while not seen and time.monotonic() < deadline:
                time.sleep(0.01)
            cancelled = list(seen)

        assert cancelled == ["cancelled"]

    def test_that_answers_too_much_is_not_read_to_the_end(self, real):
        large = real.call("large", {"size": 6_000_000}, within_s=10)

        assert large.is_error
        assert len(large.content) < 300
        assert real.call("add", {"a": 1, "b": 2}, within_s=10).content == "3"

    def test_refuses_what_it_does_not_know(self, real):
        refused = real.call("unknown", {}, within_s=10)

        assert refused.is_error
        assert "unknown" in refused.content


def speaks(call: Callable[[Asked], Told]) -> Callable[[Asked], Told]:
    """An old MCP server with sessions; `call` answers `tools/call`."""
    sessions = iter("abcdefgh")

    def answer(asked: Asked) -> Told:
        method = (asked.body or {}).get("method")
        number = (asked.body or {}).get("id")
        if asked.method == "GET":
            return Told(status=405)
        match method:
            case "initialize":
                made = {"capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
                result = {**made, "protocolVersion": asked.body["params"]["protocolVersion"]}
                headers = {"Mcp-Session-Id": next(sessions)}
                return Told(body={"jsonrpc": "2.0", "id": number, "result": result}, headers=headers)
            case "tools/list":
                return Told(body={"jsonrpc": "2.0", "id": number, "result": {"tools": []}})
            case "tools/call":
                return call(asked)
            case "server/discover":
                return Told(status=404)
            case _:
                return Told(status=202)

    return answer


def result(asked: Asked, text: str = "done") -> Told:
    content = {"content": [{"type": "text", "text": text}]}
    return Told(body={"jsonrpc": "2.0", "id": asked.body["id"], "result": content})


class TestAListing:
    def test_that_the_server_forgot_the_session_of_is_asked_for_in_a_new_one(self):
        """Definitions are asked for before a call: without a new session no call would ever be made again."""
        opening = speaks(result)

        def forgets(asked: Asked) -> Told:
            is_listing = (asked.body or {}).get("method") == "tools/list"
            return Told(status=404) if is_listing and asked.headers["mcp-session-id"] == "a" else opening(asked)

        with ScriptedWeb(forgets) as web:
            opened = session(web.url + "/mcp")
            listed = opened.definitions(within_s=10)
            opened.close()

        assert listed == []


class TestACall:
    def made(self, told: Callable[[Asked], Told], **spec: object):
        with ScriptedWeb(speaks(told)) as web:
            opened = session(web.url + "/mcp", **spec)
            answered = opened.call("act", {}, within_s=10)
            opened.close()
        return answered, web

    def test_that_the_server_forgot_the_session_of_is_made_once_in_a_new_one(self):
        """HTTP 404 says that it was not made: the protocol asks for a new session."""
        answered, web = self.made(
            lambda asked: Told(status=404) if asked.headers["mcp-session-id"] == "a" else result(asked)
        )

        assert answered.content == "done"
        called = [each for each in web.asked if (each.body or {}).get("method") == "tools/call"]
        assert [each.headers["mcp-session-id"] for each in called] == ["a", "b"]

    @pytest.mark.parametrize(
        "said",
        [
            {"jsonrpc": "2.0", "error": {"code": -32000, "message": "Bad Request: No valid session ID provided"}},
            {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "Bad Request: Server not initialized"}},
            "unknown Mcp-Session-Id",
        ],
    )
    def test_is_made_in_a_new_session_too_where_http_400_says_that_it_was_forgotten(self, said):
        """As servers of the TypeScript SDK do after they were started anew."""
        answered, web = self.made(
            lambda asked: Told(status=400, body=said) if asked.headers["mcp-session-id"] == "a" else result(asked)
        )

        assert answered.content == "done"
        assert sum((each.body or {}).get("method") == "tools/call" for each in web.asked) == 2

    def test_is_not_made_again_for_arguments_that_speak_of_a_session(self):
        error = {"code": -32602, "message": "unknown chat session"}
        answered, web = self.made(lambda _: Told(status=400, body={"jsonrpc": "2.0", "error": error}))

        assert answered.content == "Tool `act` was refused by its server: unknown chat session"
        assert sum((each.body or {}).get("method") == "tools/call" for each in web.asked) == 1

    def test_is_not_made_again_and_again_for_a_server_that_forgets_at_once(self):
        answered, web = self.made(lambda _: Told(status=404))

        assert answered.is_error
        assert sum((each.body or {}).get("method") == "tools/call" for each in web.asked) == 2

    @pytest.mark.parametrize(
        ("told", "is_fate_unknown"),
        [
            (Told(status=401), False),
            (Told(status=403, body={"error": "no"}), False),
            (Told(status=429), False),
            (Told(status=500), True),
            (Told(status=503, body="<html>", headers={"Content-Type": "text/html"}), True),
            (Told(status=200, body="<html>", headers={"Content-Type": "text/html"}), True),
            (Told(status=200, body={}, headers={"Content-Encoding": "gzip"}), True),
        ],
    )
    def test_that_http_refuses_or_loses_says_which(self, told, is_fate_unknown):
        answered, _ = self.made(lambda _: told)

        assert (answered.is_error, answered.is_fate_unknown) == (True, is_fate_unknown)
        assert "HTTP" in answered.content
        assert "html" not in answered.content

    @pytest.mark.parametrize(
        ("status", "said"), [(400, {"error": "unit must be metric"}), (422, {"detail": KEY}), (500, "locked")]
    )
    def test_that_http_refuses_hands_on_what_the_server_said(self, status, said):
        answered, _ = self.made(lambda _: Told(status=status, body=said))

        assert f"(HTTP {status})" in answered.content
        assert json.dumps(said).replace(KEY, "[secret]") in answered.content

    def test_that_is_answered_with_an_error_of_the_protocol_hands_it_on(self):
        def refuse(asked: Asked) -> Told:
            error = {"code": -32602, "message": f"not with {KEY}"}
            return Told(status=400, body={"jsonrpc": "2.0", "id": asked.body["id"], "error": error})

        answered, _ = self.made(refuse)

        assert answered.content == "Tool `act` was refused by its server: not with [secret]"

    def test_that_is_answered_with_half_a_character_is_answered_with_the_rest(self):
        """As programs do that cut a text by its length in UTF-16."""
        answered, _ = self.made(lambda asked: result(asked, text="half \ud83d, and \U0001f600"))

        assert answered.content == "half \ufffd, and \U0001f600"

    @pytest.mark.parametrize("body", [[], "x", {"jsonrpc": "2.0"}, {"jsonrpc": "2.0", "id": 9, "method": "x"}])
    def test_that_is_answered_with_other_json_is_an_error_in_time(self, body):
        answered, _ = self.made(lambda _: Told(body=body), timeoutSeconds=0.5)

        assert answered.is_error

    def test_that_is_answered_with_nonsense_leaves_none_of_it_in_the_log(self, caplog):
        self.made(lambda _: Told(body=[KEY]), timeoutSeconds=0.5)

        assert KEY not in caplog.text

    def test_is_not_sent_where_a_redirect_leads_outside(self):
        with ScriptedWeb(speaks(result)) as elsewhere:
            answered, _ = self.made(lambda _: Told(status=307, headers={"Location": elsewhere.url + "/mcp"}))

            assert answered.is_error
            assert elsewhere.asked == []


class TestAnAddressThatIsNoServer:
    @pytest.mark.parametrize(
        ("told", "error", "said"),
        [
            (Told(status=401), PermanentError, "refuses the key: HTTP 401. Correct what its `headersFrom` names"),
            (Told(status=403), PermanentError, "refuses the key: HTTP 403"),
            (Told(status=404), PermanentError, "answered with HTTP 404; expected MCP over streamable HTTP"),
            (Told(status=405, body={}), PermanentError, "answered with HTTP 405"),
            (Told(status=429), TransientError, "fails: HTTP 429"),
            (Told(status=502), TransientError, "fails: HTTP 502"),
            (
                Told(body="<html>", headers={"Content-Type": "text/html; charset=x"}),
                PermanentError,
                "answered with text/html; expected MCP",
            ),
        ],
    )
    def test_is_told_apart(self, told, error, said):
        with ScriptedWeb(lambda _: told) as web:
            opened = session(web.url)
            with pytest.raises(error, match=said) as raised:
                opened.definitions(within_s=10)
            opened.close()

        assert "s3cret" not in str(raised.value)

    def test_is_told_when_nobody_listens(self):
        opened = session("http://127.0.0.1:9/mcp")

        with pytest.raises(TransientError, match="cannot be reached: ConnectError"):
            opened.definitions(within_s=10)
        assert opened.call("act", {}, within_s=10).content == "Tool server `far` is not available."
        opened.close()

    def test_is_tried_again_however_often_it_was_not_there(self):
        """The limit of restarts is for programs."""
        opened = session("http://127.0.0.1:9/mcp")
        for _ in range(6):
            with pytest.raises(TransientError, match="cannot be reached"):
                opened.definitions(within_s=10)
        opened.close()
