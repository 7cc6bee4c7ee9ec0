"""The sample agent's folder: gold set, policy, story and traffic fit each other."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from goldgate.agent.folder import read_agent
from goldgate.agent.memory.corpus import CORPUS_FILE, CorpusRow
from goldgate.agent.memory.tokens import count_tokens
from goldgate.contracts.documents import read_jsonl, read_yaml, yaml_documents
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import ReleasePolicy
from goldgate.contracts.resources import AgentSpec
from goldgate.contracts.story import LiveQuestion, Story, merge_patch
from goldgate.entrypoints.freezing import freeze_agent
from goldgate.evals.gold_checks import check_gold_set, digest_gold


@pytest.fixture(scope="module")
def gold(agent_folder: Path) -> list[GoldRow]:
    return read_jsonl(agent_folder / "gold.jsonl", GoldRow)


@pytest.fixture(scope="module")
def live(agent_folder: Path, story: Story) -> list[LiveQuestion]:
    return read_jsonl(agent_folder / story.live.path, LiveQuestion)


@pytest.fixture(scope="module")
def story(agent_folder: Path) -> Story:
    return read_yaml(agent_folder / "story.yaml", Story)


def _spec(agent_folder: Path) -> Any:
    documents: list[Any] = [document for document, _ in yaml_documents(agent_folder / "agent.yaml")]
    (spec,) = [document["spec"] for document in documents if document["kind"] == "Agent"]
    return spec


class TestGoldSet:
    def test_is_sound(self, gold: list[GoldRow], chunks: dict[str, str]):
        assert check_gold_set(gold, chunks=chunks) == []

    def test_is_the_one_that_the_policy_pins(self, agent_folder: Path):
        policy = read_yaml(agent_folder / "release.yaml", ReleasePolicy)

        assert policy.gold_set.digest == digest_gold(agent_folder / policy.gold_set.path)

    def test_is_large_enough_for_every_gate(self, gold: list[GoldRow], agent_folder: Path):
        policy = read_yaml(agent_folder / "release.yaml", ReleasePolicy)
        asks_safety = [row for row in gold if row.expect == "refusal" or row.must_not_contain]

        assert len(gold) >= 170
        assert len(asks_safety) >= policy.evaluation.min_rows

    def test_asks_for_refusals_and_tools(self, gold: list[GoldRow], agent_folder: Path):
        allowed = {tool for grant in read_agent(agent_folder).agent.spec.tools for tool in grant.allow}
        used = [row.needs_tool for row in gold if row.needs_tool]

        assert sum(row.expect == "refusal" for row in gold) >= 30
        assert sum(bool(row.context) for row in gold) >= 10
        assert len(used) >= 20
        assert set(used) == allowed

    def test_asks_about_most_sections(self, gold: list[GoldRow], chunks: dict[str, str]):
        asked = {chunk.rpartition(".")[0] for row in gold for chunk in row.relevant}
        sections = {chunk.rpartition(".")[0] for chunk in chunks}

        assert len(asked) >= 0.8 * len(sections)


class TestTuningSet:
    def test_is_sound_and_shares_no_question_with_the_gold_set(
        self, agent_folder: Path, gold: list[GoldRow], chunks: dict[str, str]
    ):
        tuning = read_jsonl(agent_folder / "dev.jsonl", GoldRow)

        assert check_gold_set([*gold, *tuning], chunks=chunks) == []


class TestStory:
    def test_changes_the_agent_into_agents_that_keep_the_contract(self, agent_folder: Path, story: Story):
        spec = _spec(agent_folder)
        specs = {release.name: AgentSpec.model_validate(merge_patch(spec, release.patch)) for release in story.releases}

        assert len({json.dumps(changed.model_dump(mode="json")) for changed in specs.values()}) == len(story.releases)

    def test_has_a_path_that_only_live_questions_reach(
        self, agent_folder: Path, story: Story, gold: list[GoldRow], live: list[LiveQuestion]
    ):
        (release,) = [release for release in story.releases if release.expect == "aborted"]
        changed = AgentSpec.model_validate(merge_patch(_spec(agent_folder), release.patch))
        assert changed.retrieval.long_question is not None
        over_tokens = changed.retrieval.long_question.over_tokens
        offline = [count_tokens("".join([row.question, *row.context])) for row in gold]
        online = [count_tokens("".join([row.question, *row.context])) > over_tokens for row in live]

        assert max(offline) <= over_tokens
        assert 0.25 <= sum(online) / len(online) <= 0.35

    def test_sends_questions_that_are_not_in_the_gold_set(self, gold: list[GoldRow], live: list[LiveQuestion]):
        known = {row.question.lower() for row in gold}

        assert len(live) >= 120
        assert not known & {row.question.lower() for row in live}


class TestFrozenAgent:
    def test_holds_the_corpus_and_pins_every_tool(self, agent_folder: Path, chunks: dict[str, str], tmp_path: Path):
        """The tool server reads the corpus, so that freezing must build it first."""
        frozen = freeze_agent(agent_folder, into=tmp_path, env=dict(os.environ))

        kept = read_jsonl(frozen.path / CORPUS_FILE, CorpusRow)
        assert {row.id: row.text for row in kept} == chunks
        assert [tool.partition("@")[0] for tool in frozen.tools] == [
            "environment_variable",
            "check_setting",
            "present_name",
        ]
