"""The tools of the sample agent, over MCP."""

import asyncio
from pathlib import Path
from types import ModuleType
from typing import Any

import mcp
import pytest

CORPUS = (
    '{"id": "core.parallelism", "text": "Option: [core] parallelism\\nType: integer\\nDefault: 32\\n'
    'Environment variable: AIRFLOW__CORE__PARALLELISM"}\n'
    '{"id": "common.io.limit", "text": "Option: [common.io] limit\\nType: float\\nDefault: 0.5\\n'
    'Environment variable: AIRFLOW__COMMON_IO__LIMIT"}\n'
    '{"id": "api.port", "text": "Option: [api] port\\nType: string\\nDefault: 8080\\n'
    'Environment variable: AIRFLOW__API__PORT\\nFormerly: [webserver] web_server_port"}\n'
    '{"id": "email.on_retry", "text": "Option: [email] on_retry\\nType: boolean\\nDefault: True\\n'
    'Environment variable: AIRFLOW__EMAIL__ON_RETRY"}\n'
)


@pytest.fixture
def server(server_program: ModuleType, tmp_path: Path) -> Any:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(CORPUS, encoding="utf-8")
    return server_program.make_server(server_program.read_reference(corpus))


def _call(server: Any, tool: str, **arguments: str) -> tuple[bool, str]:
    async def call() -> Any:
        async with mcp.Client(server) as client:
            return await client.call_tool(tool, arguments)

    result = asyncio.run(call())
    return bool(result.is_error), result.content[0].text


def _schemas(server: Any) -> dict[str, dict[str, Any]]:
    async def list_tools() -> Any:
        async with mcp.Client(server) as client:
            return await client.list_tools()

    return {tool.name: tool.input_schema for tool in asyncio.run(list_tools()).tools}


class TestDefinitions:
    def test_refuse_arguments_that_a_tool_does_not_have(self, server: Any):
        assert {schema["additionalProperties"] for schema in _schemas(server).values()} == {False}

    def test_name_the_sections_of_the_corpus_in_their_patterns(self, server: Any):
        """So that `airflow.cfg` or a host name is never taken for an option."""
        pattern = _schemas(server)["environment_variable"]["properties"]["option"]["pattern"]

        assert pattern == r"^(common\.io|webserver|email|core|api)\.[a-z][a-z0-9_]*$"


class TestEnvironmentVariable:
    def test_names_the_variable(self, server: Any):
        is_error, text = _call(server, "environment_variable", option="common.io.limit")

        assert (is_error, text) == (
            False,
            "`common.io.limit` is set by the environment variable AIRFLOW__COMMON_IO__LIMIT.",
        )

    def test_proposes_what_may_have_been_meant(self, server: Any):
        is_error, text = _call(server, "environment_variable", option="core.paralelism")

        assert is_error
        assert "Did you mean `core.parallelism`?" in text

    def test_gives_the_present_name_of_a_former_one(self, server: Any):
        is_error, text = _call(server, "environment_variable", option="webserver.web_server_port")

        assert is_error
        assert "is called `api.port` in this version" in text

    def test_refuses_a_section_that_does_not_exist(self, server: Any):
        is_error, text = _call(server, "environment_variable", option="airflow.cfg")

        assert is_error
        assert "pattern" in text


class TestCheckSetting:
    @pytest.mark.parametrize(
        ("setting", "verdict"),
        [
            ("core.parallelism=64", "`64` is valid"),
            ("core.parallelism = 64", "`64` is valid"),
            ("core.parallelism=6.4", "`6.4` is not valid"),
            ("core.parallelism=lots", "`lots` is not valid"),
            ("common.io.limit=0.25", "`0.25` is valid"),
            ("email.on_retry=False", "`False` is valid"),
            ("email.on_retry=no", "`no` is not valid"),
            ("api.port=eighty", "`eighty` is valid"),
        ],
    )
    def test_says_whether_the_value_has_the_type(self, server: Any, setting: str, verdict: str):
        is_error, text = _call(server, "check_setting", setting=setting)

        assert not is_error
        assert text.startswith(verdict)

    def test_tells_type_and_default(self, server: Any):
        _, text = _call(server, "check_setting", setting="core.parallelism=lots")

        assert text.endswith("it takes a value of type integer. Default: 32.")


class TestPresentName:
    def test_finds_a_renamed_option(self, server: Any):
        _, text = _call(server, "present_name", option="webserver.web_server_port")

        assert text == "`webserver.web_server_port` was renamed; in this version it is `api.port`."

    def test_says_that_a_name_is_still_right(self, server: Any):
        _, text = _call(server, "present_name", option="core.parallelism")

        assert text == "`core.parallelism` still has that name in this version."
