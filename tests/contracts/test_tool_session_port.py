"""Every tool session keeps the promises of `goldgate.ports.tools.ToolSession`."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from goldgate.adapters.mcp_tools.session import McpToolSession
from goldgate.contracts.documents import yaml_documents
from goldgate.contracts.resources import MCPServer
from goldgate.domain.errors import TransientError
from goldgate.ports.model import ToolDefinition
from tests.fakes.agent_folders import SERVER, SERVER_PROGRAM
from tests.fakes.in_memory_tool_session import InMemoryToolSession

ADD = ToolDefinition(name="add", description="Add two numbers.", input_schema={"type": "object"})
FAIL = ToolDefinition(name="fail", description="Fail.", input_schema={"type": "object"})


def _fail() -> str:
    raise ValueError("no such thing")


@pytest.fixture(params=["in memory", "mcp"], scope="module")
def session(request, tmp_path_factory):
    if request.param == "in memory":
        opened = InMemoryToolSession({"add": (ADD, lambda a, b: a + b), "fail": (FAIL, _fail)})
    else:
        folder = tmp_path_factory.mktemp("server")
        (folder / "server.py").write_text(SERVER_PROGRAM)
        (folder / "server.yaml").write_text(SERVER)
        value, _ = next(yaml_documents(folder / "server.yaml"))
        opened = McpToolSession(MCPServer.model_validate(value), folder=folder, path=os.environ["PATH"])
    yield opened
    opened.close()
    with pytest.raises(TransientError):
        opened.definitions()
    assert opened.call("add", {"a": 1, "b": 2}, within_s=1).is_error
    opened.close()


class TestToolSession:
    def test_lists_what_the_server_offers(self, session):
        offered = {definition.name: definition.description for definition in session.definitions()}

        assert offered["add"] == "Add two numbers."

    def test_calls_a_tool(self, session):
        result = session.call("add", {"a": 1, "b": 2}, within_s=20)

        assert (result.content, result.is_error) == ("3", False)

    @pytest.mark.parametrize(("name", "arguments"), [("fail", {}), ("add", {"a": 1}), ("unknown", {})])
    def test_turns_a_failure_into_a_result(self, session, name, arguments):
        result = session.call(name, arguments, within_s=20)

        assert result.is_error
        assert result.content

    def test_takes_calls_from_many_threads(self, session):
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda n: session.call("add", {"a": n, "b": n}, within_s=20).content, range(32)))

        assert results == [str(2 * n) for n in range(32)]
