import os
from pathlib import Path

import pytest

from goldgate.contracts.cluster import BUNDLE_ANNOTATION
from goldgate.contracts.resource_parts import Metadata
from goldgate.contracts.task_runs import RunProgress, TaskRun, TaskRunSpec, TaskRunStatus
from goldgate.domain.runs.state import Phase
from goldgate.entrypoints.agent_applying import (
    TakenNameError,
    apply_agent,
    frozen_folder,
    manifest_of,
    prune_bundles,
)
from goldgate.entrypoints.settings import Settings
from goldgate.ports.resources import Applied
from goldgate.release.check import SecretsFoundError
from tests.fakes.agent_folders import LLM, SERVER, SERVER_PROGRAM, agent, pin_tools, write_folder
from tests.fakes.applied_agents import inline_agent, inline_llm
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_resources import InMemoryResources
from tests.fakes.in_memory_task_runs import InMemoryTaskRunStore

ENV = {"PATH": os.environ["PATH"], "MODEL_URL": "http://127.0.0.1:1/v1"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"GOLDGATE_HOME": str(tmp_path / "home"), "GOLDGATE_AGENTS": str(tmp_path / "agents")})


def bundle(settings: Settings, *, prompt: str = "Answer.\n") -> Path:
    files = {"prompts/system.md": prompt, "gold.jsonl": "{}\n"}
    write_folder(settings.agents / "tiny", LLM, agent(), files=files)
    return frozen_folder(settings.agents / "tiny", settings=settings, env=ENV)


def bundle_with_tools(settings: Settings) -> Path:
    grant = "tools: [{mcpServer: calc, allow: [add]}]\n"
    folder = write_folder(settings.agents / "tiny", LLM, SERVER, agent(grant), files={"server.py": SERVER_PROGRAM})
    return frozen_folder(pin_tools(folder), settings=settings, env=ENV)


def run(name: str, *, begun_by: str = "", phase: Phase = Phase.READY_FOR_LLM, asked_by: str = "") -> TaskRun:
    annotations = {BUNDLE_ANNOTATION: asked_by} if asked_by else {}
    return TaskRun(
        kind="TaskRun",
        metadata=Metadata(name=name, annotations=annotations),
        spec=TaskRunSpec(agent_ref="tiny", user_message="Hello?"),
        status=TaskRunStatus(phase=phase, progress=RunProgress(bundle=begun_by)),
    )


class TestFrozenFolder:
    def test_is_the_bundle_that_a_release_freezes(self, settings: Settings):
        """What judges the agent is no part of it."""
        assert not (bundle(settings) / "gold.jsonl").exists()

    def test_refuses_secrets_before_anything_else(self, settings: Settings):
        key = "sk-" + "a1B2" * 10
        folder = write_folder(settings.agents / "tiny", files={"notes.md": f"api_key = '{key}'\n"})

        with pytest.raises(SecretsFoundError):
            frozen_folder(folder, settings=settings, env=ENV)


class TestApplyAgent:
    def test_applies_everything_and_the_agent_last(self, settings: Settings):
        resources = InMemoryResources()
        frozen = bundle_with_tools(settings)

        changes = apply_agent(frozen, resources=resources)

        assert [(each.kind, each.outcome) for each in changes] == [
            ("Part", Applied.CREATED),
            ("MCPServer", Applied.CREATED),
            ("LLM", Applied.CREATED),
            ("Agent", Applied.CREATED),
        ]
        found = resources.get("Agent", "tiny")
        assert found is not None
        assert found["metadata"]["annotations"][BUNDLE_ANNOTATION] == frozen.name

    def test_changes_nothing_the_second_time(self, settings: Settings):
        resources = InMemoryResources()
        apply_agent(bundle(settings), resources=resources)

        again = apply_agent(bundle(settings), resources=resources)

        assert {each.outcome for each in again} == {Applied.UNCHANGED}

    def test_tells_what_changed(self, settings: Settings):
        resources = InMemoryResources()
        apply_agent(bundle(settings), resources=resources)

        changes = apply_agent(bundle(settings, prompt="Answer kindly.\n"), resources=resources)

        assert {each.kind: each.outcome for each in changes} == {
            "Part": Applied.CREATED,
            "LLM": Applied.UNCHANGED,
            "Agent": Applied.CONFIGURED,
        }

    def test_changes_no_llm_that_another_agent_uses(self, settings: Settings):
        """The other one would wait, and whoever applies this one would not know."""
        resources = InMemoryResources(inline_llm(), inline_agent("kind"))

        with pytest.raises(TakenNameError, match=r"LLM `model` \(also of `kind`\)"):
            apply_agent(bundle(settings), resources=resources)

        assert resources.all("Part") == []

    def test_changes_it_if_told_so(self, settings: Settings):
        resources = InMemoryResources(inline_llm(), inline_agent("kind"))

        changes = apply_agent(bundle(settings), resources=resources, replaces=True)

        assert {each.kind: each.outcome for each in changes}["LLM"] is Applied.CONFIGURED

    def test_shares_an_llm_that_says_the_same(self, settings: Settings):
        frozen = bundle(settings)
        (shared,) = (each for each in manifest_of(frozen) if each["kind"] == "LLM")
        resources = InMemoryResources(shared, inline_agent("kind"))

        changes = apply_agent(frozen, resources=resources)

        assert {each.kind: each.outcome for each in changes}["LLM"] is Applied.UNCHANGED


class TestManifestOf:
    def test_is_what_is_applied(self, settings: Settings):
        frozen = bundle(settings)
        applied, written = InMemoryResources(), InMemoryResources(*manifest_of(frozen))

        apply_agent(frozen, resources=applied)

        for kind in ("Part", "LLM", "Agent"):
            assert [each["spec"] for each in applied.all(kind)] == [each["spec"] for each in written.all(kind)]
            assert [each["metadata"]["name"] for each in written.all(kind)]


class TestPruneBundles:
    def test_keeps_what_the_agent_names_and_what_runs_were_begun_by(self, settings: Settings):
        resources, store = InMemoryResources(), InMemoryTaskRunStore(clock=FrozenClock())
        bundles = [bundle(settings, prompt=f"Answer {number}.\n") for number in range(5)]
        for each in bundles:
            apply_agent(each, resources=resources)
        old, begun, inside, over, now = (each.name for each in bundles)
        store.create(run("begun", begun_by=begun))
        store.create(run("asked", asked_by=f"{inside}/agents/helper"))
        store.create(run("over", begun_by=over, phase=Phase.FINAL_ANSWER))

        gone = prune_bundles("tiny", resources=resources, store=store)

        left = {part["metadata"]["annotations"][BUNDLE_ANNOTATION] for part in resources.all("Part")}
        assert gone == sorted([old, over])
        assert left == {begun, inside, now}

    def test_leaves_the_bundles_of_other_agents(self, settings: Settings):
        resources = InMemoryResources()
        apply_agent(bundle(settings), resources=resources)

        gone = prune_bundles("other", resources=resources, store=InMemoryTaskRunStore(clock=FrozenClock()))

        assert gone == []
        assert resources.all("Part")
