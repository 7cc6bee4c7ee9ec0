"""A candidate out of the agents folder, out of any folder, or out of git."""

import os
import subprocess
from pathlib import Path

import pytest

from goldgate.adapters.git_source import last_change, resolve_source
from goldgate.domain.errors import PermanentError

AUTHOR = {
    "GIT_AUTHOR_NAME": "n",
    "GIT_AUTHOR_EMAIL": "n@example.org",
    "GIT_COMMITTER_NAME": "n",
    "GIT_COMMITTER_EMAIL": "n@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(*arguments: str, at: Path) -> str:
    ran = subprocess.run(
        ["git", "-C", str(at), *arguments], check=True, capture_output=True, env={**os.environ, **AUTHOR}
    )
    return ran.stdout.decode().strip()


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """Two agents in a repository; `helper` says `one` at tag `v1` and `two` now."""
    folder = tmp_path / "repo" / "include" / "agents"
    for agent in ("helper", "other"):
        (folder / agent).mkdir(parents=True)
        (folder / agent / "agent.yaml").write_text("one")
    repo = tmp_path / "repo"
    git("init", "--quiet", at=repo)
    git("add", ".", at=repo)
    git("commit", "--quiet", "-m", "one", at=repo)
    git("tag", "v1", at=repo)
    (folder / "helper" / "agent.yaml").write_text("two")
    git("commit", "--quiet", "-am", "two", at=repo)
    return folder


class TestResolveSource:
    def test_takes_the_agents_folder_as_it_lies(self, agents: Path, tmp_path: Path):
        found = resolve_source("", agent="helper", agents=agents, into=tmp_path / "into")

        assert found.folder == agents / "helper"
        assert found.revision == git("rev-parse", "HEAD", at=agents)

    def test_says_when_the_folder_has_changes_that_no_commit_holds(self, agents: Path, tmp_path: Path):
        (agents / "helper" / "new.md").write_text("x")

        found = resolve_source("", agent="helper", agents=agents, into=tmp_path / "into")

        assert found.revision == git("rev-parse", "HEAD", at=agents) + "+changes"

    def test_takes_another_folder(self, agents: Path, tmp_path: Path):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "agent.yaml").write_text("x")

        found = resolve_source(str(elsewhere), agent="helper", agents=agents, into=tmp_path / "into")

        assert (found.folder, found.revision) == (elsewhere, None)

    @pytest.mark.parametrize("ref", ["v1", "HEAD~1"])
    def test_takes_a_commit_out_of_git(self, agents: Path, tmp_path: Path, ref: str):
        for _ in range(2):
            found = resolve_source(f"git:{ref}", agent="helper", agents=agents, into=tmp_path / "into")

        assert found.folder == tmp_path / "into" / "helper"
        assert (found.folder / "agent.yaml").read_text() == "one"
        assert found.revision == git("rev-parse", "v1", at=agents)
        assert sorted(path.name for path in (tmp_path / "into").iterdir()) == ["helper", "other"]

    @pytest.mark.parametrize(
        ("source", "agent", "said"),
        [
            ("", "nobody", "Agents there: helper, other"),
            ("/no/such/folder", "helper", "is no folder"),
            ("git:nowhere", "helper", "knows no commit, branch or tag `nowhere`"),
            ("git:v1", "nobody", "no agent `nobody`"),
            ("git:", "helper", "expected `git:` and a commit"),
            ("git:--upload-pack=x", "helper", "expected `git:` and a commit"),
        ],
    )
    def test_says_what_is_not_there(self, agents: Path, tmp_path: Path, source: str, agent: str, said: str):
        with pytest.raises(PermanentError, match=said):
            resolve_source(source, agent=agent, agents=agents, into=tmp_path / "into")

    def test_says_that_a_folder_is_no_agent(self, agents: Path, tmp_path: Path):
        with pytest.raises(PermanentError, match=r"no `agent\.yaml`"):
            resolve_source(str(tmp_path), agent="helper", agents=agents, into=tmp_path / "into")

    def test_says_that_there_is_no_repository(self, tmp_path: Path):
        (tmp_path / "agents" / "helper").mkdir(parents=True)

        with pytest.raises(PermanentError, match="not in a git repository"):
            resolve_source("git:v1", agent="helper", agents=tmp_path / "agents", into=tmp_path / "into")


class TestLastChange:
    def test_is_the_last_commit_that_touched_the_paths(self, agents: Path):
        assert last_change([agents / "other"]) == git("rev-parse", "v1", at=agents)
        assert last_change([agents / "other", agents / "helper" / "agent.yaml"]) == git("rev-parse", "HEAD", at=agents)

    def test_says_that_no_commit_holds_what_lies_there(self, agents: Path):
        (agents / "other" / "new.md").write_text("new")

        assert last_change([agents / "other"]) == git("rev-parse", "v1", at=agents) + "+changes"
        assert last_change([agents / "helper"]) == git("rev-parse", "HEAD", at=agents)

    def test_is_unknown_where_no_commit_knows_the_paths(self, agents: Path, tmp_path: Path):
        (agents / "new").mkdir()

        assert last_change([agents / "new"]) is None
        assert last_change([tmp_path]) is None
