import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from goldgate.adapters.mcp_tools.session import McpToolSession
from goldgate.contracts.resources import MCPServer
from goldgate.domain.errors import TransientError
from tests.fakes.agent_folders import SERVER_PROGRAM
from tests.waiting import until

MUTE = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        said = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}}}
        result = {**said, "serverInfo": {"name": "mute", "version": "1"}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
    elif asked["method"] == "tools/list":
        open("listing", "w")
    elif "id" in asked:
        error = {"code": -32601, "message": "unknown method"}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}), flush=True)
"""
"""It never says which tools it has."""


def await_file(path: Path) -> None:
    until(path.exists, what=f"no file {path.name}")


def session(folder: Path, **spec: object) -> McpToolSession:
    (folder / "server.py").write_text(SERVER_PROGRAM)
    resource = {"kind": "MCPServer", "metadata": {"name": "calc"}, "spec": {"command": "python", **spec}}
    return McpToolSession(MCPServer.model_validate(resource), folder=folder, path=os.environ["PATH"])


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("running")
    opened = session(folder, args=["server.py"], env={"COLOUR": "red"}, timeoutSeconds=5)
    yield opened
    opened.close()
    assert sorted(path.name for path in folder.iterdir()) == ["server.py"]


class TestARunningServer:
    def test_gets_the_path_and_its_own_variables_only(self, running):
        names = set(running.call("names", {}, within_s=20).content.split())

        assert names - {"LC_CTYPE"} == {"COLOUR", "PATH"}

    def test_that_hangs_is_told_and_goes_on_serving(self, running):
        hung = running.call("hang", {}, within_s=0.1)
        after = running.call("add", {"a": 1, "b": 2}, within_s=20)

        assert (hung.is_error, hung.content) == (True, "Tool `hang` did not answer within 0.1 s.")
        assert after.content == "3"

    def test_that_dies_is_told_and_started_again_by_the_next_call(self, running):
        died = running.call("leave", {}, within_s=20)
        after = running.call("add", {"a": 1, "b": 2}, within_s=20)

        assert died.is_error
        assert died.content == "Tool server `calc` ended during `leave`; it may or may not have acted."
        assert after.content == "3"


class TestAServerThatCannotStart:
    def test_tells_people_what_it_wrote_and_the_model_only_that_it_is_not_there(self, tmp_path):
        """What a program writes may hold anything, its secrets too."""
        opened = session(tmp_path, args=["gone.py"])

        result = opened.call("add", {}, within_s=20)

        assert (result.is_error, result.content) == (True, "Tool server `calc` is not available.")
        with pytest.raises(TransientError, match=r"`calc` did not start: .*\n.*gone\.py"):
            opened.definitions(within_s=20)

    def test_names_a_program_that_is_not_there(self, tmp_path):
        with pytest.raises(TransientError, match="no program `no-such-program` on the PATH"):
            session(tmp_path, command="no-such-program").definitions()

    def test_is_told_to_whoever_waits_when_it_is_ended(self, tmp_path):
        (tmp_path / "never.py").write_text("import time; open('begun', 'w'); time.sleep(3600)")
        opened = session(tmp_path, args=["never.py"])
        with ThreadPoolExecutor(1) as others:
            waits = others.submit(opened.definitions, within_s=600)
            await_file(tmp_path / "begun")

            opened.close()

            with pytest.raises(TransientError, match="`calc` was ended before it had started"):
                waits.result(timeout=60)

    def test_that_lists_for_one_caller_keeps_no_other_beyond_its_time(self, tmp_path):
        (tmp_path / "mute.py").write_text(MUTE)
        opened = session(tmp_path, args=["mute.py"])
        with ThreadPoolExecutor(1) as others:
            first = others.submit(opened.definitions, within_s=600)
            await_file(tmp_path / "listing")

            with pytest.raises(TransientError):
                opened.definitions(within_s=0.1)

            assert not first.done()
            opened.close()

    def test_is_given_up_in_time(self, tmp_path):
        opened = session(tmp_path, command="sleep", args=["60"])

        with pytest.raises(TransientError, match=r"did not start within 0.1 s"):
            opened.definitions(within_s=0.1)
