"""The playbook on real folders, without any server."""

import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from goldgate.contracts.release import Candidate, ReleaseOrder
from goldgate.domain.digest import digest_bytes
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.agents import load_agent
from goldgate.entrypoints.freezing import freeze_agent
from goldgate.entrypoints.playbook import Playbook
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring
from tests.fakes.agent_folders import write_folder

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    """One agent, `tiny`, and an empty home."""
    write_folder(tmp_path / "agents" / "tiny")
    env = {"GOLDGATE_HOME": str(tmp_path / "home"), "GOLDGATE_AGENTS": str(tmp_path / "agents")}
    return Playbook(Wiring(Settings.from_env(env)))


def order(release_id: str = "r1", *, agent: str = "tiny", source: str = "") -> ReleaseOrder:
    return ReleaseOrder(release_id=release_id, agent=agent, source=source, reason="why", by="me", opened_at=AT)


class TestOpen:
    @pytest.mark.parametrize("source", ["", "/no/such/folder"])
    def test_claims_nothing_for_an_agent_that_is_not_there(self, playbook: Playbook, source: str):
        with pytest.raises(PermanentError, match=r"nobody|no folder"):
            playbook.open(order(agent="nobody", source=source))

        assert playbook.wiring.store.read("r1", ReleaseOrder) is None
        assert playbook.wiring.store.open_release("nobody", "r2", by="me", at=AT) is None

    def test_goes_on_with_a_release_whose_folder_is_gone_by_now(self, playbook: Playbook):
        """What was checked is frozen: a killed release does not need the folder again."""
        playbook.open(order())
        folder = playbook.wiring.settings.agents / "tiny"
        folder.rename(folder.with_name("gone"))

        assert playbook.open(order()) == order()


class TestWhatAgentsMayReferTo:
    def test_holds_every_setting_though_its_variable_is_not_set(
        self, playbook: Playbook, monkeypatch: pytest.MonkeyPatch
    ):
        settings = playbook.wiring.settings
        for name in settings.as_env():
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("KEY_OF_THE_AGENT", "k")

        env = playbook._env

        assert settings.as_env().items() <= env.items()
        assert env["KEY_OF_THE_AGENT"] == "k"


class TestValidate:
    def test_freezes_no_gold_set_whatever_it_is_called(self, playbook: Playbook):
        row = {"id": "a", "question": "Hi?", "expect": "answer", "must_contain": [["hello"]]}
        gold = json.dumps(row) + "\n"
        policy = {
            "version": 1,
            "gold_set": {"path": "eval/questions.jsonl", "digest": digest_bytes(gold.encode())},
            "evaluation": {"min_rows": 1},
            "gates": [{"metric": "quality", "at_least": 0}],
            "champion_gates": [{"metric": "quality", "margin": 1}],
        }
        files = {"eval/questions.jsonl": gold, "eval/notes.md": "x", "release.yaml": json.dumps(policy)}
        write_folder(playbook.wiring.settings.agents / "tiny", files=files)

        frozen = playbook.validate("tiny", source="").bundle.path

        assert (frozen / "eval/notes.md").exists()
        assert not (frozen / "eval/questions.jsonl").exists()


class TestLoadedAgent:
    def test_says_which_bundle_it_is(self, playbook: Playbook, tmp_path: Path):
        env = {"PATH": os.environ["PATH"], "MODEL_URL": "http://127.0.0.1:9/v1"}
        frozen = freeze_agent(playbook.wiring.settings.agents / "tiny", into=tmp_path / "bundles", env=env)

        with contextlib.closing(load_agent(frozen.path, env=env)) as loaded:
            assert loaded.digest == frozen.digest


class TestPolicy:
    def checked(self, playbook: Playbook) -> Candidate:
        rows = [{"id": f"q{number}", "question": f"Who am I? ({number})", "expect": "refusal"} for number in range(30)]
        gold = "".join(json.dumps(row) + "\n" for row in rows)
        gates = "gates: [{metric: quality, at_least: 0.5}]\nchampion_gates: [{metric: quality, margin: 0.2}]\n"
        policy = (
            f"version: 1\ngold_set: {{digest: {digest_bytes(gold.encode())}}}\nevaluation: {{min_rows: 30}}\n{gates}"
        )
        write_folder(playbook.wiring.settings.agents / "tiny", files={"gold.jsonl": gold, "release.yaml": policy})
        playbook.open(order())
        return playbook.check("r1")

    def test_is_named_by_its_digest_from_the_check_on(self, playbook: Playbook):
        candidate = self.checked(playbook)

        path = playbook.wiring.settings.agents / "tiny" / "release.yaml"
        assert candidate.policy_digest == digest_bytes(path.read_bytes())

    def test_may_change_in_the_agents_folder_for_the_next_release(self, playbook: Playbook):
        candidate = self.checked(playbook)
        write_folder(playbook.wiring.settings.agents / "tiny", files={"release.yaml": "version: 2"})

        assert playbook.check("r1") == candidate

    def test_is_refused_when_it_was_changed_during_the_release(self, playbook: Playbook):
        self.checked(playbook)
        path = playbook.judged_by("r1") / "release.yaml"
        path.write_text(path.read_text().replace("0.5", "0.1"))

        with pytest.raises(PermanentError, match="a policy is not changed during one"):
            playbook.judge("r1")

        assert [entry.outcome for entry in playbook.wiring.ledger.entries() if entry.step == "judge"] == ["failed"]
