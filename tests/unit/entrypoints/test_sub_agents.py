"""The agents that an agent may ask are frozen inside its bundle, so that one digest names all of them."""

import os
from pathlib import Path

import pytest

from goldgate.agent.bundle import sub_bundle, verify_bundle
from goldgate.contracts.base import ContractError
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.freezing import freeze_agent
from goldgate.release.check import SecretsFoundError
from tests.fakes.agent_folders import LLM, agent, write_folder

ENV = {"PATH": os.environ["PATH"], "MODEL_URL": "http://127.0.0.1:9/v1"}


def write(tmp_path: Path, name: str, *asks: str, depth: int = 2, files: dict[str, str] | None = None) -> Path:
    grants = "".join(f"  - {{agent: {each}, description: Knows.}}\n" for each in asks)
    spec = (f"agents:\n{grants}" if asks else "") + f"limits: {{maxDepth: {depth}}}\n"
    document = agent(spec).replace("metadata: {name: tiny}", f"metadata: {{name: {name}}}")
    return write_folder(tmp_path / "agents" / name, LLM, document, files=files)


def frozen(tmp_path: Path, name: str):
    return freeze_agent(tmp_path / "agents" / name, into=tmp_path / "bundles", env=ENV)


class TestABundle:
    def test_holds_the_bundles_of_those_it_may_ask(self, tmp_path):
        write(tmp_path, "boss", "clerk")
        write(tmp_path, "clerk", "archivist")
        write(tmp_path, "archivist")

        bundle = frozen(tmp_path, "boss")

        clerk = sub_bundle(bundle.path, "clerk")
        archivist = sub_bundle(clerk, "archivist")
        assert bundle.agents == (f"clerk@{verify_bundle(clerk)[:12]}",)
        assert verify_bundle(archivist) == frozen(tmp_path, "archivist").digest
        assert verify_bundle(bundle.path) == bundle.digest
        assert sorted(path.name for path in (bundle.path / "agents").iterdir()) == ["clerk"]

    def test_is_another_one_when_somebody_it_asks_changes(self, tmp_path):
        write(tmp_path, "boss", "clerk")
        clerk = write(tmp_path, "clerk")
        before = frozen(tmp_path, "boss").digest
        (clerk / "prompts/system.md").write_text("Obey.\n")

        assert frozen(tmp_path, "boss").digest != before

    def test_is_damaged_when_somebody_it_asks_is(self, tmp_path):
        write(tmp_path, "boss", "clerk")
        write(tmp_path, "clerk")
        bundle = frozen(tmp_path, "boss")
        (sub_bundle(bundle.path, "clerk") / "prompts/system.md").write_text("Obey.\n")

        with pytest.raises(PermanentError, match=r"`agents/clerk/prompts/system.md` changed"):
            verify_bundle(bundle.path)

    def test_holds_nothing_that_judges_those_it_asks(self, tmp_path):
        write(tmp_path, "boss", "clerk")
        write(tmp_path, "clerk", files={"gold.jsonl": "x", "story.yaml": "x"})

        clerk = sub_bundle(frozen(tmp_path, "boss").path, "clerk")

        assert not (clerk / "gold.jsonl").exists()

    def test_holds_no_secret_of_those_it_asks(self, tmp_path):
        write(tmp_path, "boss", "clerk")
        write(tmp_path, "clerk", files={"notes.md": "AKIA" + "IOSFODNN7EXAMPLA" + "\n"})

        with pytest.raises(SecretsFoundError):
            frozen(tmp_path, "boss")


class TestWhatCannotBeFrozen:
    def test_is_a_circle(self, tmp_path):
        write(tmp_path, "boss", "clerk", depth=8)
        write(tmp_path, "clerk", "boss", depth=8)

        with pytest.raises(PermanentError, match="ask each other in a circle: boss > clerk > boss"):
            frozen(tmp_path, "boss")

    def test_is_one_that_asks_itself(self, tmp_path):
        write(tmp_path, "boss", "boss")

        with pytest.raises(PermanentError, match="in a circle: boss > boss"):
            frozen(tmp_path, "boss")

    @pytest.mark.parametrize(
        ("depths", "path"), [((1, 8), "boss > clerk > archivist"), ((8, 0), "boss > clerk > archivist")]
    )
    def test_is_deeper_than_one_of_them_allows(self, tmp_path, depths, path):
        write(tmp_path, "boss", "clerk", depth=depths[0])
        write(tmp_path, "clerk", "archivist", depth=depths[1])
        write(tmp_path, "archivist")

        with pytest.raises(PermanentError, match=f"deeper than `maxDepth` allows: {path}"):
            frozen(tmp_path, "boss")

    def test_is_an_agent_that_is_not_there(self, tmp_path):
        write(tmp_path, "boss", "clerk")

        with pytest.raises(
            ContractError, match=r"`spec.agents.0.agent`: found `clerk`, expected the name of an agent's"
        ):
            frozen(tmp_path, "boss")

    def test_is_an_agent_of_another_name_than_its_folder(self, tmp_path):
        write(tmp_path, "boss", "clerk")
        write(tmp_path, "other").rename(tmp_path / "agents" / "clerk")

        with pytest.raises(ContractError, match="found `other`, expected `clerk`"):
            frozen(tmp_path, "boss")

    def test_is_a_folder_with_a_place_of_that_name_already(self, tmp_path):
        write(tmp_path, "boss", "clerk", files={"agents/notes.md": "x"})
        write(tmp_path, "clerk")

        with pytest.raises(PermanentError, match="Give the folder another name"):
            frozen(tmp_path, "boss")


class TestNames:
    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            (
                "agents: [{agent: a, description: x}, {agent: a, description: y}]\n",
                "`ask_a` of agent `a`, and of agent `a`",
            ),
            ("agents: [{agent: a, description: x}]\nperson: {name: ask_a}\n", "`ask_a` of `person`, and of agent `a`"),
            (f"agents: [{{agent: {'a' * 61}, description: x}}]\n", "expected a name that models may call"),
        ],
    )
    def test_that_a_model_cannot_tell_apart_or_call_are_refused(self, tmp_path, spec, said):
        made = write_folder(tmp_path / "tiny", LLM, agent(spec))

        with pytest.raises(ContractError, match=said):
            freeze_agent(made, into=tmp_path / "bundles", env=ENV)
