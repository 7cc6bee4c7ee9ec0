"""The story of a demonstration: its releases as folders on disk, its questions as live traffic."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from goldgate.contracts.documents import read_jsonl, read_yaml, yaml_documents
from goldgate.contracts.story import LiveQuestion, Story, StoryRelease, merge_patch
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.settings import Settings

RUN_PREFIX: Final = "demo-"
"""Every run of a demonstration begins with it, so that its releases are told from anybody else's."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """A story, read."""

    folder: Path
    story: Story
    questions: Sequence[LiveQuestion]


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One release, ready to be opened."""

    release: StoryRelease
    run_id: str
    source: Path


def read_story(settings: Settings, *, agent: str, story: str) -> Told:
    """Read an agent's story and its questions.

    Args:
        settings: Where agents are.
        agent: Whose story.
        story: File name in the agent's folder.

    Raises:
        ContractError: The story, or a question, breaks its contract.
        PermanentError: There is no such agent.
    """
    folder = settings.agents / agent
    if not folder.is_dir():
        there = sorted(path.parent.name for path in settings.agents.glob("*/agent.yaml"))
        raise PermanentError(f"No agent `{agent}` in `{settings.agents}`; there are: {', '.join(there) or 'none'}.")
    told = read_yaml(folder / story, Story)
    questions = read_jsonl(folder / told.live.path, LiveQuestion)
    if not questions:
        raise PermanentError(f"`{folder / told.live.path}` holds no question; expected at least one.")
    return Told(folder=folder, story=told, questions=questions)


def write_chapters(told: Told, *, into: Path) -> list[Chapter]:
    """Write each release's folder: the agent's, with the release's patch in its Agent document."""
    chapters = []
    for number, release in enumerate(told.story.releases, start=1):
        source = into / str(number) / told.folder.name
        if source.exists():
            shutil.rmtree(source)
        shutil.copytree(told.folder, source, ignore=shutil.ignore_patterns("__pycache__"))
        if release.patch:
            _patch_agent(source / "agent.yaml", release)
        run_id = f"{RUN_PREFIX}{number}-{release.name}"[:63].rstrip("-")
        chapters.append(Chapter(release=release, run_id=run_id, source=source))
    return chapters


def _patch_agent(path: Path, release: StoryRelease) -> None:
    documents = [document for document, _ in yaml_documents(path)]
    agents = [one for one in documents if isinstance(one, dict) and one.get("kind") == "Agent"]
    if len(agents) != 1:
        raise PermanentError(f"`{path}` holds {len(agents)} Agent documents; expected one to patch.")
    agents[0]["spec"] = merge_patch(agents[0].get("spec"), release.patch)
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True), encoding="utf-8")
