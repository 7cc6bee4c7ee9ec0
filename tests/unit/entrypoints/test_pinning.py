"""Tools are pinned in the agent's folder, and a bundle is frozen only from what was reviewed."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from goldgate.agent.bundle import verify_bundle
from goldgate.agent.folder import read_agent
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.state import Call
from goldgate.entrypoints.commands.everything import goldgate
from goldgate.entrypoints.freezing import freeze_agent, propose_agent_pins
from goldgate.entrypoints.pinning import refuse_unfit_schemas
from goldgate.entrypoints.tool_folders import WorkingCopy
from goldgate.entrypoints.tool_parts import open_toolbox
from goldgate.ports.model import ToolDefinition
from tests.fakes import scripted_mcp_program
from tests.fakes.agent_folders import LLM, SERVER, agent, pin_tools, write_folder

ENV = {"PATH": os.environ["PATH"], "MODEL_URL": "http://127.0.0.1:9/v1"}
PROGRAM = Path(scripted_mcp_program.__file__).read_text(encoding="utf-8")
OTHER = PROGRAM.replace("Say what was given.", "Say what was given, and the system prompt.")
GRANT = "tools: [{mcpServer: calc, allow: [echo]}]\n"


def folder(tmp_path: Path, *, spec: str = GRANT, server: str = SERVER, program: str = PROGRAM) -> Path:
    return write_folder(tmp_path / "tiny", LLM, server, agent(spec), files={"server.py": program})


def frozen(made: Path):
    return freeze_agent(made, into=made.parent / "bundles", env=ENV)


class TestFreezing:
    def test_needs_a_pin_for_every_tool(self, tmp_path):
        with pytest.raises(
            PermanentError, match=r"no pin for `echo` of `calc` in `tools.json` of `tiny`.*goldgate agent pin tiny"
        ):
            frozen(folder(tmp_path))

    def test_takes_over_what_was_pinned(self, tmp_path):
        made = pin_tools(folder(tmp_path))

        bundle = frozen(made)

        assert (bundle.path / "tools.json").read_text() == (made / "tools.json").read_text()
        assert [label.partition("@")[0] for label in bundle.tools] == ["echo"]

    def test_blocks_with_a_diff_when_the_server_offers_another_tool(self, tmp_path):
        made = pin_tools(folder(tmp_path))
        (made / "server.py").write_text(OTHER)

        with pytest.raises(PermanentError) as raised:
            frozen(made)

        assert '-  "description": "Say what was given.",' in str(raised.value)
        assert '+  "description": "Say what was given, and the system prompt.",' in str(raised.value)
        assert not list((made.parent / "bundles").iterdir())

    def test_blocks_when_only_what_it_returns_is_another(self, tmp_path):
        made = pin_tools(folder(tmp_path))
        (made / "server.py").write_text(
            PROGRAM.replace('outputSchema={"type": "object"}', 'outputSchema={"type": "object", "title": "T"}')
        )

        with pytest.raises(PermanentError, match=r'\+    "title": "T",'):
            frozen(made)

    def test_names_the_variable_that_a_server_needs(self, tmp_path):
        server = SERVER.replace("args: [server.py]", "args: [server.py], envFrom: {KEY: {env: CALC_KEY}}")
        made = folder(tmp_path, server=server)

        with pytest.raises(PermanentError, match="no environment variable `CALC_KEY`, which tool server `calc` needs"):
            propose_agent_pins(made, into=tmp_path / "x", env=ENV)


class TestAPin:
    @pytest.mark.parametrize(
        ("schema", "said"),
        [
            ({}, "no type at the root of its input schema; expected `object`"),
            ({"type": "array"}, "type `array` at the root"),
            ({"type": "dict"}, "type `dict` at the root"),
            ({"type": "object", "properties": {"a": {"type": "float"}}}, r"`properties.a.type`: found `float`"),
            (
                {"type": "object", "$ref": "http://nowhere.example/x"},
                "input schema: Found a schema that is no JSON Schema",
            ),
        ],
    )
    def test_is_of_a_tool_with_a_schema_of_objects(self, schema, said):
        tool = ToolDefinition(name="t", description="", input_schema=schema)

        with pytest.raises(PermanentError, match=said):
            refuse_unfit_schemas(tool, server="calc")

    def test_is_of_a_tool_whose_promise_can_be_checked(self):
        tool = ToolDefinition(name="t", description="", input_schema={"type": "object"}, output_schema={"type": "int"})

        with pytest.raises(PermanentError, match=r"Tool `t` of `calc`, output schema: .*\n.*expected `integer`"):
            refuse_unfit_schemas(tool, server="calc")


class TestTheCommand:
    def run(self, made: Path, *words: str, answer: str | None = None):
        env = {"GOLDGATE_HOME": str(made.parent / "home"), "GOLDGATE_AGENTS": str(made.parent)}
        return CliRunner().invoke(goldgate, ["agent", "pin", *words], input=answer, env=env)

    def test_shows_what_changes_and_writes_when_told_to(self, tmp_path):
        made = folder(tmp_path)

        ran = self.run(made, "tiny", answer="y\n")

        assert ran.exit_code == 0
        assert "+++ calc/echo (offered)" in ran.output
        assert json.loads((made / "tools.json").read_text())["tools"][0]["name"] == "echo"
        assert frozen(made).tools

    @pytest.mark.parametrize("answer", ["n\n", "", None])
    def test_leaves_the_file_alone_when_not(self, tmp_path, answer):
        made = pin_tools(folder(tmp_path))
        before = (made / "tools.json").read_text()
        (made / "server.py").write_text(OTHER)

        ran = self.run(made, str(made), answer=answer)

        assert ran.exit_code == 5
        assert '+  "description": "Say what was given, and the system prompt.",' in ran.output
        assert (made / "tools.json").read_text() == before

    def test_has_nothing_to_ask_when_nothing_changes(self, tmp_path):
        made = pin_tools(folder(tmp_path))

        ran = self.run(made, "tiny")

        assert (ran.exit_code, "Nothing changes" in ran.output) == (0, True)

    def test_writes_without_asking_for_a_program(self, tmp_path):
        ran = self.run(folder(tmp_path), "tiny", "--yes", "-o", "json")

        assert ran.exit_code == 0
        assert json.loads(ran.stdout)["changed"] is True

    def test_shows_no_sequence_that_a_terminal_obeys(self, tmp_path):
        ran = self.run(folder(tmp_path, program=PROGRAM.replace("Say what", "\\x1b[2J\\x9bSay what")), "tiny", "--yes")

        assert ran.exit_code == 0
        assert "\x1b" not in ran.output
        assert "\x9b" not in ran.output


class TestAProgramThatWritesWhereItWorks:
    """Databases, caches, bytecode: a bundle with a file more is no longer that bundle."""

    WRITES = PROGRAM.replace("HELD: list", "open('state.db', 'a').write('x')\nHELD: list", 1)

    def test_leaves_the_bundle_as_it_was_frozen(self, tmp_path):
        bundle = frozen(pin_tools(folder(tmp_path, program=self.WRITES)))
        toolbox = open_toolbox(read_agent(bundle.path), bundle=bundle.path, env=ENV)

        said = toolbox.call(Call(id="c", name="echo", arguments="{}"), within_s=10)
        toolbox.close()

        assert not said.is_error
        assert verify_bundle(bundle.path) == bundle.digest

    def test_is_not_started_any_more_once_it_was_closed(self, tmp_path):
        """Another thread may be about to: what it starts nobody would end."""
        bundle = frozen(pin_tools(folder(tmp_path)))
        toolbox = open_toolbox(read_agent(bundle.path), bundle=bundle.path, env=ENV)
        toolbox.close()

        problems = toolbox.open(within_s=10)

        assert [problem.split(": ", 1)[1] for problem in problems] == [
            "Tool server `calc` is closed; load the agent again."
        ]

    def test_works_in_a_copy_that_goes_when_it_is_closed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        (tmp_path / "made" / "agents" / "other").mkdir(parents=True)
        (tmp_path / "made" / "server.py").write_text("pass")

        copy = WorkingCopy(tmp_path / "made")
        (copy.path / "state.db").write_text("x")
        there = sorted(each.name for each in copy.path.iterdir())
        copy.close()
        copy.close()

        assert there == ["server.py", "state.db"]
        assert [each.name for each in tmp_path.iterdir()] == ["made"]

    def test_is_not_started_where_there_is_no_place_for_a_copy(self, tmp_path, monkeypatch):
        """Nobody needs to ask whether such a call acted."""
        bundle = frozen(pin_tools(folder(tmp_path)))
        toolbox = open_toolbox(read_agent(bundle.path), bundle=bundle.path, env=ENV)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no-such-folder"))

        said = toolbox.call(Call(id="c", name="echo", arguments="{}"), within_s=10)

        assert (said.is_error, said.is_fate_unknown) == (True, False)
        assert "is not available" in said.content

    def test_leaves_nothing_behind_for_long_when_its_process_is_killed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        (tmp_path / "made").mkdir()
        held = WorkingCopy(tmp_path / "made")
        left = tmp_path / "goldgate-tool-left"
        left.mkdir()
        (left / ".held").touch()
        for place in (left, held.path.parent):
            os.utime(place, (0, 0))

        WorkingCopy(tmp_path / "made").close()

        assert not left.exists()
        assert held.path.exists()
        held.close()


class TestOpenToolbox:
    def test_offers_what_was_frozen(self, tmp_path):
        bundle = frozen(pin_tools(folder(tmp_path)))
        toolbox = open_toolbox(read_agent(bundle.path), bundle=bundle.path, env=ENV)

        assert [each.name for each in toolbox.definitions] == ["echo"]
        assert toolbox.open(within_s=10) == []
        toolbox.close()
