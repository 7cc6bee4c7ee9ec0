import pytest
import yaml

from goldgate.contracts.base import ContractError
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.demo_story import read_story, write_chapters
from goldgate.entrypoints.settings import Settings

AGENT = """
apiVersion: goldgate.dev/v1alpha1
kind: LLM
metadata: {name: model}
spec: {temperature: 0}
---
apiVersion: goldgate.dev/v1alpha1
kind: Agent
metadata: {name: tiny}
spec: {retrieval: {mode: hybrid, k: 5}}
"""

STORY = """
version: 1
live: {path: live.jsonl, requests_per_second: 5, callers: 10}
releases:
  - {name: first, reason: begin, patch: {retrieval: {mode: lexical}}, expect: promoted}
  - {name: second, reason: better, expect: promoted}
"""


@pytest.fixture
def settings(tmp_path):
    folder = tmp_path / "agents" / "tiny"
    folder.mkdir(parents=True)
    (folder / "agent.yaml").write_text(AGENT)
    (folder / "story.yaml").write_text(STORY)
    (folder / "live.jsonl").write_text('{"question": "why?"}\n')
    return Settings.from_env({"GOLDGATE_HOME": str(tmp_path / "home"), "GOLDGATE_AGENTS": str(tmp_path / "agents")})


class TestReadStory:
    def test_reads_releases_and_questions(self, settings):
        told = read_story(settings, agent="tiny", story="story.yaml")

        assert [release.name for release in told.story.releases] == ["first", "second"]
        assert [one.question for one in told.questions] == ["why?"]

    def test_names_the_agents_that_there_are(self, settings):
        with pytest.raises(PermanentError, match="there are: tiny"):
            read_story(settings, agent="tinny", story="story.yaml")

    def test_refuses_an_agent_without_a_story(self, settings):
        with pytest.raises(ContractError, match="no such file"):
            read_story(settings, agent="tiny", story="tale.yaml")

    def test_refuses_a_story_without_a_question(self, settings):
        (settings.agents / "tiny" / "live.jsonl").write_text("")

        with pytest.raises(PermanentError, match="no question"):
            read_story(settings, agent="tiny", story="story.yaml")


class TestWriteChapters:
    def documents(self, chapter):
        return list(yaml.safe_load_all((chapter.source / "agent.yaml").read_text()))

    def test_patches_only_the_spec_of_the_agent(self, settings, tmp_path):
        first, _ = write_chapters(read_story(settings, agent="tiny", story="story.yaml"), into=tmp_path / "demo")

        model, agent = self.documents(first)

        assert model["spec"] == {"temperature": 0}
        assert agent["spec"] == {"retrieval": {"mode": "lexical", "k": 5}}
        assert agent["metadata"] == {"name": "tiny"}

    def test_leaves_the_file_as_it_is_without_a_patch(self, settings, tmp_path):
        _, second = write_chapters(read_story(settings, agent="tiny", story="story.yaml"), into=tmp_path / "demo")

        assert (second.source / "agent.yaml").read_text() == AGENT

    def test_leaves_the_agents_own_folder_alone(self, settings, tmp_path):
        write_chapters(read_story(settings, agent="tiny", story="story.yaml"), into=tmp_path / "demo")

        assert (settings.agents / "tiny" / "agent.yaml").read_text() == AGENT

    def test_names_each_run_so_that_its_release_has_the_same_name(self, settings, tmp_path):
        chapters = write_chapters(read_story(settings, agent="tiny", story="story.yaml"), into=tmp_path / "demo")

        assert [chapter.run_id for chapter in chapters] == ["demo-1-first", "demo-2-second"]
