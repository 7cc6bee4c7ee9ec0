from pathlib import Path

import pytest

from goldgate.agent.folder import read_agent
from goldgate.contracts.base import ContractError
from tests.fakes.agent_folders import LLM, SERVER, agent, write_folder

FILES = "{system: prompts/system.md, user: prompts/user.md}"


def problems(folder: Path) -> list[str]:
    with pytest.raises(ContractError) as caught:
        read_agent(folder)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


class TestReadAgent:
    def test_resolves_documents_in_any_order(self, tmp_path: Path):
        grant = "tools: [{mcpServer: calc, allow: [add]}]\n"
        found = read_agent(write_folder(tmp_path, agent(grant), SERVER, LLM))

        assert found.agent.metadata.name == "tiny"
        assert found.llm.spec.model == "scripted-1"
        assert [server.metadata.name for server in found.servers] == ["calc"]
        assert found.prompt_id.startswith("tiny@")
        assert found.folder == tmp_path

    def test_tells_every_problem_with_file_and_line(self, tmp_path: Path):
        broken = agent(
            """\
            retrieval: {mode: lexical}
            corpus: {files: ["corpus/*.md"], builder: build.py}
            tools: [{mcpServer: nobody, allow: [add]}]
            """
        ).replace("llm: model", "llm: other")
        write_folder(tmp_path, LLM, broken, files={"prompts/user.md": "{question}\n\n{today}\n"})

        assert problems(tmp_path) == [
            "agent.yaml:14: `spec.llm`: found `other`, expected the name of a document of kind LLM (here: `model`)",
            (
                "agent.yaml:18: `spec.tools.0.mcpServer`: found `nobody`, expected the name of a document of kind "
                "MCPServer (here there is none)"
            ),
            "agent.yaml:17: `spec.corpus.files.0`: found `corpus/*.md`, expected a pattern that matches a file",
            "agent.yaml:17: `spec.corpus.builder`: found `build.py`, expected a file of the agent's folder",
            "prompts/user.md:1: found no `{context}`, expected `{context}` exactly once",
            "prompts/user.md:3: found `{today}`, expected only `{question}` and `{context}`",
        ]

    def test_refuses_an_unknown_field_and_an_unknown_kind_together(self, tmp_path: Path):
        write_folder(tmp_path, LLM, agent("colour: red\n"), "kind: Robot\n")

        assert problems(tmp_path) == [
            "agent.yaml:16: `spec.colour`: found an unknown field, expected no such field (see include/docs/schemas)",
            "agent.yaml:18: `kind`: found `Robot`, expected one of LLM, MCPServer, Agent",
        ]

    @pytest.mark.parametrize(("documents", "count"), [((LLM,), 0), ((LLM, agent(), agent()), 2)])
    def test_wants_exactly_one_agent(self, tmp_path: Path, documents, count):
        told = problems(write_folder(tmp_path, *documents))

        assert f"agent.yaml: found {count} documents of kind Agent, expected exactly one" in told

    def test_refuses_two_documents_of_one_kind_and_name(self, tmp_path: Path):
        told = problems(write_folder(tmp_path, LLM, LLM, agent()))

        assert told == ["agent.yaml:11: `metadata.name`: found a second LLM `model`, expected unique names"]

    def test_refuses_a_second_grant_for_a_server(self, tmp_path: Path):
        grants = "tools: [{mcpServer: calc, allow: [add]}, {mcpServer: calc, allow: [fail]}]\n"
        told = problems(write_folder(tmp_path, LLM, SERVER, agent(grants)))

        assert len(told) == 1
        assert "found `calc` twice, expected one grant for each server" in told[0]

    @pytest.mark.parametrize(
        ("allow", "told"),
        [
            ("[math.add, math_add]", "found `math_add` of tool server `calc`, and of tool server `calc`"),
            ('["add all"]', "found `add all`, expected a name that models may call"),
        ],
    )
    def test_refuses_a_tool_without_a_name_of_its_own_that_endpoints_take(self, tmp_path: Path, allow, told):
        write_folder(tmp_path, LLM, SERVER, agent(f"tools: [{{mcpServer: calc, allow: {allow}}}]\n"))

        (problem,) = problems(tmp_path)

        assert told in problem

    def test_takes_prompts_that_stand_in_the_resource_itself(self, tmp_path: Path):
        own = agent().replace(FILES, '{systemText: "Be kind.", userText: "{context} {question}"}')
        (tmp_path / "agent.yaml").write_text(f"{LLM}---\n{own}")

        found = read_agent(tmp_path)

        assert (found.prompts.system, found.prompts.user) == ("Be kind.", "{context} {question}")

    def test_holds_prompts_in_the_resource_to_the_same_rules(self, tmp_path: Path):
        own = agent().replace(FILES, '{systemText: "Be {kind}.", userText: "{question}"}')
        (tmp_path / "agent.yaml").write_text(f"{LLM}---\n{own}")

        system, user = problems(tmp_path)
        assert system.startswith("agent.yaml:15: `spec.prompts.systemText`: found `'Be {kind}.'`")
        assert system.endswith("expected no variable in a system prompt (here: `{kind}`)")
        assert user.startswith("agent.yaml:15: `spec.prompts.userText`: found `'{question}'`")
        assert user.endswith("expected `{context}` exactly once (here: no `{context}`)")

    def test_refuses_a_prompt_that_lies_outside_through_a_link(self, tmp_path: Path):
        folder = write_folder(tmp_path / "agent")
        (tmp_path / "secret").write_text("{context}{question}")
        (folder / "prompts/user.md").unlink()
        (folder / "prompts/user.md").symlink_to(tmp_path / "secret")

        assert problems(folder)[0].endswith("found `prompts/user.md`, expected a file of the agent's folder")

    def test_says_that_there_is_no_agent_file(self, tmp_path: Path):
        assert problems(tmp_path) == ["agent.yaml: found no such file, expected a file"]

    def test_gives_another_prompt_id_for_another_prompt(self, tmp_path: Path):
        one = read_agent(write_folder(tmp_path / "a"))
        two = read_agent(write_folder(tmp_path / "b", files={"prompts/system.md": "Other.\n"}))

        assert one.prompt_id != two.prompt_id
