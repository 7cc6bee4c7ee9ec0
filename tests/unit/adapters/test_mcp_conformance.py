"""What a client of MCP does with servers that keep the protocol, and with those that do not."""

import json
import logging
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from goldgate.adapters.mcp_tools.session import McpToolSession
from goldgate.contracts.resources import MCPServer
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.pinning import refuse_unfit_schemas
from goldgate.ports.tools import ToolResult
from tests.fakes import scripted_mcp_program

PROGRAM = Path(scripted_mcp_program.__file__)


class Clock:
    """Seconds that go up when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def session(folder: Path, *modes: str, clock=None, secrets=None, **spec: object) -> McpToolSession:
    shutil.copyfile(PROGRAM, folder / "server.py")
    spec = {"command": "python", "args": ["server.py", *modes], "timeoutSeconds": 20, **spec}
    resource = {"kind": "MCPServer", "metadata": {"name": "odd"}, "spec": spec}
    return McpToolSession(
        MCPServer.model_validate(resource),
        folder=folder,
        path=os.environ["PATH"],
        secrets=secrets,
        clock=clock or time.monotonic,
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    opened = session(tmp_path_factory.mktemp("odd"))
    yield opened
    opened.close()


@pytest.fixture
def fresh(tmp_path):
    opened = session(tmp_path)
    yield opened
    opened.close()


def call(opened: McpToolSession, name: str, *, within_s: float = 20, key: str = "", **arguments: object) -> ToolResult:
    return opened.call(name, arguments, within_s=within_s, key=key)


def await_log(caplog, event: str) -> None:
    """Wait until the thread of a server that ended has said so."""
    deadline = time.monotonic() + 20
    while event not in caplog.messages and time.monotonic() < deadline:
        time.sleep(0.01)


class TestACall:
    def test_carries_its_key_where_a_server_can_find_it(self, odd):
        sent = json.loads(call(odd, "echo", key="run-1-0", a=1).content)

        assert (sent["name"], sent["arguments"]) == ("echo", {"a": 1})
        assert sent["_meta"]["goldgate.dev/idempotency-key"] == "run-1-0"

    def test_gives_structured_content_as_it_came(self, odd):
        assert call(odd, "echo", a=[1, None]).structured == {"given": {"a": [1, None]}}

    def test_hands_on_what_a_failed_tool_says(self, odd):
        assert call(odd, "fail") == ToolResult(content="no such thing", is_error=True)

    @pytest.mark.parametrize("code", [-32601, -32602, -32603, -32000, -32001, 1])
    def test_hands_on_what_a_server_says_that_refuses_it(self, odd, code):
        refused = call(odd, "error", code=code, message="`a` must be positive")

        assert refused.is_error
        assert refused.content == "Tool `error` was refused by its server: `a` must be positive"
        assert not refused.is_fate_unknown

    @pytest.mark.parametrize("code", [-32050, -32051])
    def test_takes_a_server_that_uses_our_own_codes_for_one_that_refuses(self, odd, code):
        assert call(odd, "error", code=code, message="x").is_error

    def test_describes_what_is_no_text(self, odd):
        content = [
            {"type": "text", "text": "See:"},
            {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"},
            {"type": "audio", "data": "aGVsbG8h", "mimeType": "audio/wav"},
            {"type": "resource_link", "uri": "file:///a.txt", "name": "a"},
            {"type": "resource", "resource": {"uri": "file:///b.txt", "mimeType": "text/plain", "text": "B"}},
            {"type": "resource", "resource": {"uri": "file:///c.js", "mimeType": "x/y", "text": "C"}},
            {"type": "resource", "resource": {"uri": "file:///d.bin", "blob": "aGVsbG8="}},
        ]

        assert call(odd, "blocks", content=content).content.split("\n") == [
            "See:",
            "[image, image/png, 5 bytes, not shown]",
            "[audio, audio/wav, 6 bytes, not shown]",
            "[link to file:///a.txt: a]",
            "[resource file:///b.txt, text/plain]",
            "B",
            "[resource file:///c.js, x/y, 1 characters, not shown]",
            "[resource file:///d.bin, of unknown type, 5 bytes, not shown]",
        ]

    @pytest.mark.parametrize("is_error", [False, True])
    def test_hands_on_the_text_beside_what_nobody_can_read(self, odd, is_error):
        content = [
            {"type": "hologram", "data": 1},
            {"type": "text", "text": "Ask for less.", "annotations": {"priority": 7}},
            "loose",
        ]
        answered = call(odd, "result", result={"content": content, "isError": is_error})

        unknown = "[content of unknown type, not shown]"
        assert answered == ToolResult(content=f"{unknown}\nAsk for less.\n{unknown}", is_error=is_error)

    def test_takes_structured_content_alone_for_a_result(self, odd):
        answered = call(odd, "result", result={"structuredContent": {"kg": 5}})

        assert answered == ToolResult(content='{"kg": 5}', is_error=False, structured={"kg": 5})

    @pytest.mark.parametrize("odd_value", ["yes", 1, []])
    def test_takes_an_odd_mark_of_an_error_for_one(self, odd, odd_value):
        assert call(odd, "result", result={"content": [], "isError": odd_value}).is_error

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (
                '{"jsonrpc": "2.0", "id": NUMBER, "result": {"content": [{"type": "text", "text": "half \\ud83d"}]}}',
                "half \ufffd",
            ),
            (
                '{"jsonrpc": "2.0", "id": NUMBER, "error": "unit must be metric"}',
                "Tool `line` was refused by its server: unit must be metric",
            ),
            (
                '{"jsonrpc": "2.0", "id": NUMBER, "error": {"message": "unit must be metric"}}',
                "Tool `line` was refused by its server: unit must be metric",
            ),
            (
                '{"jsonrpc": "2.0", "id": NUMBER, "error": {"code": 1, "message": "no unit", "data": {"try": "kg"}}}',
                'Tool `line` was refused by its server: no unit ({"try": "kg"})',
            ),
            ('{"id": NUMBER, "result": {"content": []}}', "is no message of MCP"),
            ('{"jsonrpc": "2.0", "id": NUMBER, "result": "text"}', "is no message of MCP"),
            ('{"jsonrpc": "2.0", "id": NUMBER, "result": ' + "[" * 100_000 + "]" * 100_000 + "}", "no message of MCP"),
        ],
    )
    def test_that_was_answered_by_what_is_almost_a_message_is_over_at_once(self, odd, line, said):
        """Its fate is known: a person who is asked about it would be asked for nothing."""
        answered = call(odd, "line", line=line, within_s=10)

        assert said in answered.content
        assert not answered.is_fate_unknown

    def test_says_that_an_unreadable_result_came_from_a_call_that_was_made(self, odd):
        answered = call(odd, "malformed")

        assert (answered.is_error, answered.is_fate_unknown) == (True, False)
        assert answered.content == "Tool `malformed` was called, and answered with what is no result of MCP."

    def test_gives_no_input_that_a_tool_asks_for_in_the_middle(self, odd):
        assert call(odd, "input").is_error

    def test_is_made_beside_others_on_one_session(self, odd):
        """The server answers none before all six have come."""
        with ThreadPoolExecutor(6) as threads:
            said = list(threads.map(lambda _: call(odd, "together", count=6).content, range(6)))

        assert said == ["together"] * 6

    def test_that_times_out_is_cancelled_at_the_server_and_its_fate_is_unknown(self, odd):
        hung = call(odd, "hang", within_s=0.2)
        cancelled = json.loads(call(odd, "heard", method="notifications/cancelled").content)

        assert (hung.content, hung.is_fate_unknown) == ("Tool `hang` did not answer within 0.2 s.", True)
        assert len(cancelled) == 1

    def test_is_not_made_when_no_time_is_left(self, odd):
        assert not call(odd, "hang", within_s=0).is_fate_unknown


class TestAStrangeServer:
    def test_that_answers_twice_is_heard_once(self, odd):
        assert call(odd, "twice").content == "first"
        assert call(odd, "echo").structured == {"given": {}}

    def test_that_answers_somebody_else_has_not_answered(self, odd):
        assert call(odd, "other-id", within_s=0.2).is_fate_unknown

    def test_that_writes_what_is_no_message_is_understood_all_the_same(self, odd):
        assert call(odd, "garbage").content == "done"

    def test_that_reports_progress_and_logs_is_understood(self, odd):
        assert call(odd, "progress").content == "done"

    def test_may_tell_much_between_two_answers(self, odd):
        assert call(odd, "flood", count=5_000).content == "done"

    def test_that_floods_is_cut_off_and_started_again(self, fresh):
        flooded = call(fresh, "flood", count=30_000)

        assert flooded.is_fate_unknown
        assert call(fresh, "echo").structured == {"given": {}}

    def test_is_told_that_nothing_it_asks_for_is_offered_but_a_ping(self, fresh):
        asked = ["sampling/createMessage", "elicitation/create", "roots/list", "nobody/knows", "ping"]
        call(
            fresh, "ask", methods=asked, params={"messages": [], "maxTokens": 1, "message": "x", "requestedSchema": {}}
        )
        replies = []
        while len(replies) < len(asked):
            replies = json.loads(call(fresh, "replies").content)

        told = {reply["id"]: "error" if "error" in reply else "result" for reply in replies}
        assert told == {"s0": "error", "s1": "error", "s2": "error", "s3": "error", "s4": "result"}

    @pytest.mark.parametrize("name", ["large", "large-id-last"])
    def test_that_answers_too_much_costs_that_answer_only(self, odd, name):
        large = call(odd, name, size=6_000_000)

        assert (large.is_error, large.is_fate_unknown) == (True, False)
        assert "was called, but its answer is longer than 4000000 bytes" in large.content
        assert call(odd, "echo").structured == {"given": {}}

    def test_that_writes_a_line_of_100_mb_is_cut_off_within_bounded_memory(self, fresh):
        before = psutil.Process().memory_info().rss
        answered = call(fresh, "large-line", size=100_000_000)

        assert answered.is_fate_unknown
        assert psutil.Process().memory_info().rss - before < 60_000_000
        assert call(fresh, "echo").structured == {"given": {}}

    @pytest.mark.parametrize("name", ["exit", "half"])
    def test_that_ends_in_the_middle_leaves_a_fate_unknown(self, fresh, name):
        ended = call(fresh, name)

        assert ended.is_fate_unknown
        assert ended.content == f"Tool server `odd` ended during `{name}`; it may or may not have acted."
        assert call(fresh, "echo").structured == {"given": {}}


class TestTheEnvironment:
    def test_is_the_path_and_what_is_named_and_nothing_else(self, tmp_path):
        opened = session(tmp_path, env={"COLOUR": "red"}, envFrom={"KEY": {"env": "X"}}, secrets={"KEY": "s3cret-1"})
        got = json.loads(call(opened, "environment").content)
        opened.close()

        assert {name: value for name, value in got.items() if name != "LC_CTYPE"} == {
            "COLOUR": "red",
            "KEY": "[secret]",
            "PATH": os.environ["PATH"],
        }

    def test_of_secrets_is_in_no_error_and_no_log(self, tmp_path, caplog):
        opened = session(tmp_path, envFrom={"KEY": {"env": "X"}}, secrets={"KEY": "s3cret-1"})
        with caplog.at_level(logging.DEBUG):
            died = call(opened, "complain", text="x" * 9_000 + " cannot log in with s3cret-1")
            refused = call(opened, "error", code=1, message="bad key s3cret-1")
            await_log(caplog, "agent.tool.ended")
        opened.close()

        assert "cannot log in" not in died.content
        assert refused.content == "Tool `error` was refused by its server: bad key [secret]"
        logged = [str(vars(record)) for record in caplog.records if record.name.startswith("goldgate")]
        assert any("cannot log in with [secret]" in line for line in logged)
        assert not any("s3cret-1" in line for line in logged)
        assert max(map(len, logged)) < 6_000


class TestRestarts:
    def test_are_limited_within_ten_minutes(self, tmp_path):
        clock = Clock()
        opened = session(tmp_path, clock=clock, maxRestarts=1)
        for _ in range(2):
            assert call(opened, "exit").is_fate_unknown

        with pytest.raises(TransientError, match=r"started 2 times within ten minutes.*again in 600 s"):
            opened.definitions()
        assert call(opened, "echo").content == "Tool server `odd` is not available."
        clock.now = 600
        assert call(opened, "echo").structured == {"given": {}}
        opened.close()

    def test_are_none_where_none_are_allowed(self, tmp_path):
        opened = session(tmp_path, maxRestarts=0)
        call(opened, "exit")

        assert call(opened, "echo").content == "Tool server `odd` is not available."

    def test_follow_a_server_that_ended_while_nobody_asked(self, fresh):
        before = set(psutil.Process().children())
        fresh.definitions()
        (child,) = set(psutil.Process().children()) - before
        child.kill()
        child.wait()

        deadline = time.monotonic() + 10
        while not fresh._life.is_over and time.monotonic() < deadline:
            time.sleep(0.01)
        assert call(fresh, "echo").structured == {"given": {}}


class TestAnEnd:
    def test_is_the_end_of_what_the_program_started_too(self, tmp_path):
        opened = session(tmp_path, "with-child")
        before = set(psutil.Process().children())
        opened.definitions()
        (server,) = set(psutil.Process().children()) - before
        (left,) = server.children()

        opened.close()
        psutil.wait_procs([left], timeout=20)

        assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


class TestAStart:
    def test_goes_on_after_what_is_no_message(self, tmp_path):
        opened = session(tmp_path, "chatty")

        assert [each.name for each in opened.definitions()] == ["echo"]
        opened.close()

    def test_that_fails_says_what_the_program_wrote(self, tmp_path):
        with pytest.raises(TransientError, match=r"`odd` did not start: .*\nno licence"):
            session(tmp_path, "exit-at-start").definitions()

    def test_that_hangs_is_given_up_and_nothing_is_left(self, tmp_path):
        opened = session(tmp_path, "hang-at-start")
        before = psutil.Process().children()

        with pytest.raises(TransientError, match=r"did not start within 0\.2 s"):
            opened.definitions(within_s=0.2)
        opened.close()
        # One of an earlier test may have ended meanwhile.
        assert not set(psutil.Process().children()) - set(before)

    def test_refuses_a_version_that_nobody_speaks(self, tmp_path):
        with pytest.raises(TransientError, match="Unsupported protocol version from the server: 1999-01-01"):
            session(tmp_path, "old").definitions()


class TestAList:
    def test_is_read_page_by_page(self, tmp_path):
        opened = session(tmp_path, "pages")

        assert [each.name for each in opened.definitions()] == ["first", "second"]
        opened.close()

    @pytest.mark.parametrize("mode", ["endless", "circle"])
    def test_without_an_end_is_refused(self, tmp_path, mode):
        opened = session(tmp_path, mode)

        with pytest.raises(PermanentError, match="lists its tools without an end"):
            opened.definitions()
        opened.close()

    def test_that_names_two_tools_alike_is_refused(self, tmp_path):
        """One would be reviewed, and the other one called."""
        opened = session(tmp_path, "twice", "other")

        with pytest.raises(PermanentError, match="`odd` lists the tool `t` twice, with different definitions"):
            opened.definitions()
        opened.close()

    def test_that_tells_a_tool_twice_tells_it_once(self, tmp_path):
        opened = session(tmp_path, "twice")

        assert [each.name for each in opened.definitions()] == ["t"]
        opened.close()

    def test_tells_no_secret(self, tmp_path):
        """What it says is written to `tools.json`, and read by models."""
        opened = session(tmp_path, "tells", secrets={"KEY": "hunter22"})

        assert [each.description for each in opened.definitions()] == ["Use the key [secret]."]
        opened.close()

    def test_gives_each_tool_as_it_is_offered_beside_others_that_are_broken(self, tmp_path):
        """Whoever pins a broken one reads what is wrong with it; the others can be called."""
        opened = session(tmp_path, "bad-schema")

        offered = {each.name: each for each in opened.definitions()}
        opened.close()

        assert {name: each.input_schema for name, each in offered.items()} == {
            "dict": {"type": "dict"},
            "text": {"type": "str"},
            "none": {},
            "odd": {"type": "object"},
            "t": {"type": "object"},
        }
        assert (offered["odd"].description, offered["odd"].output_schema) == ("", {"type": "list"})
        for name in ("dict", "text", "none", "odd"):
            with pytest.raises(PermanentError, match=f"Tool `{name}` of `odd`"):
                refuse_unfit_schemas(offered[name], server="odd")

    def test_that_breaks_the_protocol_is_refused(self, tmp_path):
        opened = session(tmp_path, "no-list")

        with pytest.raises(PermanentError, match=r"lists what breaks the protocol; correct it: .*\ntools"):
            opened.definitions()
        opened.close()

    def test_that_is_refused_says_so(self, tmp_path):
        opened = session(tmp_path, "no-tools")

        with pytest.raises(TransientError, match="`odd` did not list its tools: Method not found"):
            opened.definitions()
        opened.close()

    def test_is_asked_for_again_when_it_is_old(self, tmp_path):
        clock = Clock()
        opened = session(tmp_path, clock=clock, recheckSeconds=60)
        first = opened.definitions()
        call(opened, "change", description="Other.")
        clock.now = 59.9
        still = opened.definitions()
        clock.now = 60
        after = opened.definitions()
        opened.close()

        assert first == still
        assert [each.description for each in after] == ["Other."]
        assert after[0].output_schema == {"type": "object"}

    def test_is_asked_for_again_when_the_server_says_that_it_changed(self, tmp_path):
        opened = session(tmp_path, clock=Clock())
        opened.definitions()
        call(opened, "change", description="Other.", says=True)
        after = opened.definitions()
        opened.close()

        assert [each.description for each in after] == ["Other."]
