import pytest

from goldgate.agent.foreign.folder import kind_of, read_foreign
from goldgate.contracts.base import ContractError
from tests.fakes.agent_folders import write_folder
from tests.fakes.foreign_folders import document, write_endpoint, write_python


def problems(folder) -> list[str]:
    with pytest.raises(ContractError) as caught:
        read_foreign(folder)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


class TestKindOf:
    def test_follows_the_key_of_the_spec(self, tmp_path):
        assert kind_of(write_python(tmp_path / "p")) == "python"
        assert kind_of(write_endpoint(tmp_path / "e")) == "endpoint"
        assert kind_of(write_folder(tmp_path / "d")) == "declared"

    def test_leaves_a_file_without_an_agent_to_those_who_read_declared_ones(self, tmp_path):
        (tmp_path / "agent.yaml").write_text("kind: LLM\n")

        assert kind_of(tmp_path) == "declared"


class TestReadForeign:
    def test_reads_a_callable(self, tmp_path):
        found = read_foreign(write_python(tmp_path, "model: {name: m-1, free: true}\n"))

        assert (found.name, found.model, found.nature) == ("brought", "m-1", "acts")

    def test_reads_an_endpoint_with_its_llm_and_its_prompt(self, tmp_path):
        (tmp_path / "system.md").write_text("Be brief.")

        found = read_foreign(write_endpoint(tmp_path, endpoint="{llm: model, systemPrompt: system.md}"))

        assert (found.model, found.system_prompt, found.nature) == ("scripted-1", "Be brief.", "pure")

    def test_tells_every_problem_of_a_callable_at_once(self, tmp_path):
        python = "requirements: requirements.txt\n"
        folder = write_python(tmp_path, python=python)
        (folder / "agent.py").rename(folder / "other.py")
        (folder / "requirements.txt").write_text("httpx\n")

        assert problems(folder) == [
            (
                "agent.yaml:7: `spec.python.callable`: found no such module for `agent:predict`, "
                "expected `agent.py` in the agent's folder"
            ),
            "requirements.txt:1: found `httpx`, expected `name==version`",
        ]

    @pytest.mark.parametrize(
        ("encoding", "said"),
        [
            ("utf-16", "requirements.txt: found invalid start byte, expected UTF-8"),
            ("utf-8-sig", "requirements.txt:1: found a byte order mark, expected UTF-8 without one"),
        ],
    )
    def test_tells_of_a_file_that_an_editor_saved_in_another_encoding(self, tmp_path, encoding, said):
        folder = write_python(tmp_path, python="requirements: requirements.txt\n")
        (folder / "requirements.txt").write_text("# pins\n", encoding=encoding)

        assert problems(folder) == [said]

    @pytest.mark.parametrize(
        ("python", "said"),
        [
            ("requirements: none.txt\n", "found `none.txt`, expected a file of the agent's folder"),
            ("pythonVersion: '2.7'\n", "`spec.python.pythonVersion`"),
            ("env: {HOME: /}\n", "no variable that the runtime sets itself: HOME"),
            ("env: {A: b}\nenvFrom: {A: {env: A}}\n", "each variable in one of `env` and `envFrom`: A"),
            ("image: x\n", "found an unknown field"),
        ],
    )
    def test_refuses(self, tmp_path, python, said):
        assert said in "\n".join(problems(write_python(tmp_path, python=python)))

    def test_refuses_both_keys(self, tmp_path):
        said = problems(write_python(tmp_path, "endpoint: {llm: model}\n"))

        assert said == [
            "agent.yaml:8: `spec.endpoint`: found an unknown field, expected no such field (see include/docs/schemas)"
        ]

    def test_refuses_a_block_without_the_sentence_that_is_then_said(self, tmp_path):
        said = "\n".join(problems(write_python(tmp_path, "safety: {blockInjections: true}\n")))

        assert "`refusal`, the sentence that is answered when a question is blocked" in said

    def test_refuses_an_endpoint_whose_llm_is_not_there(self, tmp_path):
        said = problems(write_endpoint(tmp_path, endpoint="{llm: other}"))

        assert said == [
            (
                "agent.yaml:14: `spec.endpoint.llm`: found `other`, "
                "expected the name of a document of kind LLM (here: `model`)"
            )
        ]

    def test_refuses_two_agents(self, tmp_path):
        folder = write_python(tmp_path)
        text = (folder / "agent.yaml").read_text()
        (folder / "agent.yaml").write_text(f"{text}---\n{document('python: {callable: agent:predict}')}")

        assert problems(folder) == ["agent.yaml: found 2 documents of kind Agent, expected exactly one"]
