import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from goldgate.agent.folder import read_agent
from goldgate.contracts.base import ContractError
from goldgate.contracts.bundle import digest_files
from goldgate.contracts.cluster import AGENT_LABEL, BUNDLE_ANNOTATION, ENV_ANNOTATION, ROOT_LABEL
from goldgate.contracts.env_references import ClashingSecretsError
from goldgate.contracts.resource_parts import SecretKey
from goldgate.domain.digest import digest_bytes
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.cluster_agents import ClusterAgents, env_from_for
from goldgate.ports.resources import Document
from tests.fakes.agent_folders import LLM, SERVER, SERVER_PROGRAM, agent, pin_tools, write_folder
from tests.fakes.applied_agents import KEY, applied, document, inline_agent, inline_llm
from tests.fakes.in_memory_resources import InMemoryResources

ENV = {"PATH": os.environ["PATH"], "MODEL_URL": "http://127.0.0.1:1/v1"}
ASKS_HELPER = "agents: [{agent: helper, description: Knows.}]\n"
MOVED = json.dumps({"HELPER_KEY": {"env": "HELPER_KEY", "secret": {"name": "elsewhere", "key": "helper"}}})
RUN = document("TaskRun", "run-1", agentRef="tiny", userMessage="Hello?")


def named(name: str, spec: str = "") -> str:
    return agent(spec).replace("name: tiny", f"name: {name}")


def changed(documents: list[Document], kind: str, **spec: object) -> list[Document]:
    return [{**each, "spec": {**each["spec"], **spec}} if each["kind"] == kind else each for each in documents]


Agents = Callable[..., ClusterAgents]


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    def made(*documents: Document, run: str = "run-1") -> ClusterAgents:
        resources = InMemoryResources(*documents)
        return ClusterAgents(resources=resources, bundles=tmp_path / "home/bundles", run=run, env=ENV)

    return made


@pytest.fixture
def tiny(tmp_path: Path) -> list[Document]:
    """All that stands in a cluster for the agent `tiny`, which asks `helper`."""
    helper = LLM.replace("  price", "  apiKeyFrom: {env: HELPER_KEY, secret: {name: models, key: helper}}\n  price")
    write_folder(tmp_path / "agents/helper", helper, named("helper"))
    folder = write_folder(tmp_path / "agents/tiny", LLM, named("tiny", ASKS_HELPER))
    return applied(folder, into=tmp_path / "frozen", env=ENV)


class TestBundleOf:
    def test_brings_what_the_agent_names(self, agents: Agents, tiny: list[Document], tmp_path: Path):
        found = agents(*tiny).bundle_of("tiny", "")

        (frozen,) = (path for path in (tmp_path / "frozen").iterdir() if len(path.name) == 64)
        assert found.name == frozen.name
        assert digest_files(found) == digest_files(frozen)

    def test_reads_each_resource_of_the_agent_once(self, tiny: list[Document], tmp_path: Path):
        resources = InMemoryResources(*tiny)

        ClusterAgents(resources=resources, bundles=tmp_path / "bundles", run="run-1", env=ENV).bundle_of("tiny", "")

        asked = [key for key in resources.read if key[0] in {"Agent", "LLM", "MCPServer"}]
        assert ("Agent", "tiny") in asked
        assert len(asked) == len(set(asked))

    def test_brings_the_one_that_began_the_run_whatever_the_agent_is_now(
        self, agents: Agents, tiny: list[Document], tmp_path: Path
    ):
        before = agents(*tiny).bundle_of("tiny", "").name
        write_folder(tmp_path / "agents/tiny", LLM, named("tiny"), files={"prompts/system.md": "Other.\n"})
        now = applied(tmp_path / "agents/tiny", into=tmp_path / "frozen", env=ENV)
        other = ClusterAgents(
            resources=InMemoryResources(*tiny, *now), bundles=tmp_path / "elsewhere", run="run-1", env=ENV
        )

        found = other.bundle_of("tiny", before)

        assert found.name == before
        assert other.bundle_of("tiny", "").name != before

    def test_finds_an_agent_inside_another_without_its_resource(self, agents: Agents, tiny: list[Document]):
        digest = next(each["metadata"]["annotations"][BUNDLE_ANNOTATION] for each in tiny if each["kind"] == "Agent")

        found = agents(*tiny).bundle_of("helper", f"{digest}/agents/helper")

        assert read_agent(found).agent.metadata.name == "helper"

    @pytest.mark.parametrize(
        ("left", "missing"), [({"Part", "LLM"}, "Agent `tiny`"), ({"Part", "Agent"}, "LLM `model`")]
    )
    def test_waits_for_what_is_missing_and_names_it(
        self, agents: Agents, tiny: list[Document], left: set[str], missing: str
    ):
        with pytest.raises(TransientError, match=f"Found no {missing}"):
            agents(*(each for each in tiny if each["kind"] in left)).bundle_of("tiny", "")

    @pytest.mark.parametrize(
        ("kind", "change"), [("LLM", {"timeoutSeconds": 11}), ("Agent", {"description": "Something else."})]
    )
    def test_waits_for_what_was_changed_without_being_frozen(
        self, agents: Agents, tiny: list[Document], kind: str, change: dict[str, object]
    ):
        """What people read in the cluster is what runs."""
        with pytest.raises(TransientError, match=rf"{kind} `\w+` changed since .*goldgate agent apply tiny"):
            agents(*changed(tiny, kind, **change)).bundle_of("tiny", "")

    def test_secrets_may_differ_from_cluster_to_cluster(self, agents: Agents, tmp_path: Path):
        keyed = LLM.replace("  price", "  apiKeyFrom: {env: MODEL_KEY}\n  price")
        tiny = applied(write_folder(tmp_path / "a/tiny", keyed, agent()), into=tmp_path / "frozen", env=ENV)

        found = agents(*changed(tiny, "LLM", apiKeyFrom=KEY)).bundle_of("tiny", "")

        assert found.is_dir()

    def test_brings_tool_servers_with_their_pins(self, agents: Agents, tmp_path: Path):
        grant = "tools: [{mcpServer: calc, allow: [add]}]\n"
        folder = write_folder(tmp_path / "a/tiny", LLM, SERVER, agent(grant), files={"server.py": SERVER_PROGRAM})
        documents = applied(pin_tools(folder), into=tmp_path / "frozen", env=ENV)

        found = agents(*documents).bundle_of("tiny", "")

        assert (found / "server.py").read_text() == SERVER_PROGRAM
        with pytest.raises(TransientError, match="MCPServer `calc` changed"):
            agents(*changed(documents, "MCPServer", timeoutSeconds=3)).bundle_of("tiny", "")


class TestAgentsOfYamlAlone:
    def test_are_written_as_a_folder_and_frozen(self, agents: Agents):
        found = agents(inline_agent(), inline_llm(), RUN).bundle_of("kind", "")

        read = read_agent(found)
        assert (read.prompts.system, read.prompts.user) == (
            "Be kind. \u00e9\u2028\U0001f600\n",
            "{context}\n{question}\n",
        )
        assert read.llm.spec.model == "scripted-1"

    def test_are_the_same_bundle_wherever_they_are_frozen(self, agents: Agents, tmp_path: Path):
        first = agents(inline_agent(), inline_llm(), RUN).bundle_of("kind", "")
        elsewhere = [{**each, "metadata": {**each["metadata"], "labels": {"a": "b"}}} for each in (inline_agent(), RUN)]
        other = ClusterAgents(
            resources=InMemoryResources(*elsewhere, inline_llm()), bundles=tmp_path / "b", run="run-1", env=ENV
        )

        assert other.bundle_of("kind", "").name == first.name

    def test_end_a_run_as_they_began_it(self, agents: Agents, tmp_path: Path):
        """Another process takes the run up after the Agent was changed: it finds what began the run."""
        first = agents(inline_agent(), inline_llm(), RUN)
        begun = first.bundle_of("kind", "").name
        first.resources.apply(inline_agent(description="Is not."))
        later = ClusterAgents(resources=first.resources, bundles=tmp_path / "b", run="run-1", env=ENV)

        found = later.bundle_of("kind", begun)

        assert read_agent(found).agent.spec.description == "Is kind."
        assert later.bundle_of("kind", "").name != begun

    def test_may_ask_each_other(self, agents: Agents):
        asks = inline_agent("asks", agents=[{"agent": "kind", "description": "Is kind."}])

        found = agents(asks, inline_agent(), inline_llm(), RUN).bundle_of("asks", "")

        assert read_agent(found / "agents/kind").agent.metadata.name == "kind"

    def test_in_a_circle_are_refused(self, agents: Agents):
        one, two = (
            inline_agent(name, agents=[{"agent": other, "description": "d"}], limits={"maxDepth": 8})
            for name, other in (("one", "two"), ("two", "one"))
        )

        with pytest.raises(PermanentError, match="circle"):
            agents(one, two, inline_llm(), RUN).bundle_of("one", "")

    @pytest.mark.parametrize(
        ("spec", "found"),
        [
            ({"prompts": {"system": "s.md", "userText": "{context}{question}"}}, "prompts in files"),
            ({"corpus": {"files": ["*.md"]}}, "a corpus"),
            ({"tools": [{"mcpServer": "calc", "allow": ["add"]}]}, "tools, whose pins lie in a file"),
        ],
    )
    def test_wait_for_a_bundle_if_they_need_files(self, agents: Agents, spec: dict[str, object], found: str):
        with pytest.raises(TransientError, match=rf"{found}.*goldgate agent apply kind"):
            agents(inline_agent(**spec), inline_llm(), RUN).bundle_of("kind", "")

    @pytest.mark.parametrize(
        ("kind_of", "found"),
        [
            ({"python": {"callable": "agent:predict"}}, "a callable"),
            ({"endpoint": {"llm": "model", "systemPrompt": "s.md"}}, "a system prompt in a file"),
        ],
    )
    def test_written_elsewhere_wait_for_a_bundle_as_well(self, agents: Agents, kind_of: dict[str, object], found: str):
        other = document("Agent", "kind", description="d", **kind_of)

        with pytest.raises(TransientError, match=found):
            agents(other, inline_llm(), RUN).bundle_of("kind", "")

    def test_that_are_an_endpoint_need_no_folder(self, agents: Agents):
        endpoint = document("Agent", "kind", description="d", endpoint={"llm": "model"})

        found = agents(endpoint, inline_llm(), RUN).bundle_of("kind", "")

        assert (found / "agent.yaml").is_file()

    def test_wait_for_their_llm(self, agents: Agents):
        with pytest.raises(TransientError, match="Found no LLM `model`, which Agent `kind` uses"):
            agents(inline_agent(), RUN).bundle_of("kind", "")

    def test_that_break_their_contract_are_refused(self, agents: Agents):
        with pytest.raises(ContractError, match="Agent `kind`"):
            agents(inline_agent(colour="red"), inline_llm(), RUN).bundle_of("kind", "")


class TestFindTask:
    def test_reads_what_is_to_be_asked(self, agents: Agents):
        found = agents(document("Task", "greet", agentRef="kind", userMessage="Hello?")).find_task("greet")

        assert (found.spec.agent_ref, found.spec.user_message) == ("kind", "Hello?")

    def test_refuses_a_task_that_is_not_there(self, agents: Agents):
        with pytest.raises(PermanentError, match="Found no Task `greet`"):
            agents().find_task("greet")


class TestEnvFromFor:
    @pytest.mark.usefixtures("tiny")
    def test_names_the_secrets_of_the_agent_and_of_those_inside_its_bundle(self, tmp_path: Path):
        keyed = LLM.replace("  price", "  apiKeyFrom: {env: MODEL_KEY}\n  price")
        write_folder(tmp_path / "agents/tiny", keyed, named("tiny", ASKS_HELPER))
        now = applied(tmp_path / "agents/tiny", into=tmp_path / "frozen", env=ENV)

        assert list(env_from_for("tiny", resources=InMemoryResources(*now))) == ["HELPER_KEY"]
        in_cluster = InMemoryResources(*changed(now, "LLM", apiKeyFrom=KEY))
        assert list(env_from_for("tiny", resources=in_cluster)) == ["HELPER_KEY", "MODEL_KEY"]

    def test_follows_agents_of_yaml_alone_to_those_they_ask(self):
        one, two = (
            inline_agent(name, llm=name, agents=[{"agent": other, "description": "d"}])
            for name, other in (("one", "two"), ("two", "one"))
        )
        keyed = {"env": "OTHER_KEY", "secret": {"name": "models", "key": "other"}}
        llms = [inline_llm("one", apiKeyFrom=KEY), inline_llm("two", apiKeyFrom=keyed)]

        assert list(env_from_for("one", resources=InMemoryResources(one, two, *llms))) == ["MODEL_KEY", "OTHER_KEY"]

    def test_refuses_one_variable_from_two_secrets(self):
        other = {"env": "MODEL_KEY", "secret": {"name": "models", "key": "other"}}
        llms = [inline_llm(apiKeyFrom=KEY), inline_llm("spare", apiKeyFrom=other)]
        resources = InMemoryResources(inline_agent(fallbacks=[{"llm": "spare"}]), *llms)

        with pytest.raises(ClashingSecretsError):
            env_from_for("kind", resources=resources)

    @pytest.mark.parametrize("documents", [[], [inline_agent()]], ids=["no agent", "no LLM"])
    def test_waits_for_what_is_missing(self, documents: list[Document]):
        with pytest.raises(TransientError, match="Found no"):
            env_from_for("kind", resources=InMemoryResources(*documents))

    def test_waits_for_what_was_changed_without_being_frozen(self, tiny: list[Document]):
        """No pod need be made to find that out."""
        resources = InMemoryResources(*changed(tiny, "LLM", timeoutSeconds=11))

        with pytest.raises(TransientError, match=r"LLM `model` changed since .*goldgate agent apply tiny"):
            env_from_for("tiny", resources=resources)

    def test_gives_a_run_what_its_own_bundle_needs(self, tmp_path: Path, tiny: list[Document]):
        """Days after it began, its agent may read other variables, and be another agent."""
        keyed = LLM.replace("  price", "  apiKeyFrom: {env: NEW_KEY, secret: {name: models, key: new}}\n  price")
        begun = next(each["metadata"]["annotations"][BUNDLE_ANNOTATION] for each in tiny if each["kind"] == "Agent")
        write_folder(tmp_path / "agents/tiny", keyed, named("tiny"))
        now = applied(tmp_path / "agents/tiny", into=tmp_path / "frozen", env=ENV)
        resources = InMemoryResources(*tiny, *now)

        own = env_from_for("tiny", resources=resources, run="run-1", bundle=begun)

        assert list(own) == ["HELPER_KEY", "NEW_KEY"]
        assert list(env_from_for("tiny", resources=resources, run="run-1")) == ["NEW_KEY"]

    def test_gives_a_run_its_own_whatever_became_of_the_agent(self, tiny: list[Document]):
        begun = next(each["metadata"]["annotations"][BUNDLE_ANNOTATION] for each in tiny if each["kind"] == "Agent")
        parts = [each for each in tiny if each["kind"] == "Part"]

        own = env_from_for("tiny", resources=InMemoryResources(*parts), run="run-1", bundle=begun)

        assert list(own) == ["HELPER_KEY"]
        with pytest.raises(TransientError, match="Found no Agent"):
            env_from_for("tiny", resources=InMemoryResources(), run="run-1", bundle=begun)

    @pytest.mark.parametrize(
        "label", [{}, {"labels": {ROOT_LABEL: "run-1", AGENT_LABEL: "kind"}}], ids=["run", "bundle"]
    )
    def test_gives_no_secret_on_the_word_of_a_pod(self, label: dict[str, dict[str, str]]):
        """A pod that was taken over names a bundle of its own in its run's status, with whatever Secret it likes."""
        mine = {"env": "MINE", "secret": {"name": "airflow-metadata", "key": "connection"}}
        place = "bundle-" + "a" * 40 if label else "run-" + digest_bytes(f"run-1/{'a' * 64}".encode())[:40]
        annotations = {ENV_ANNOTATION: json.dumps({"MINE": mine})}
        forged = document("Part", f"{place}-0", digest="0" * 64, index=0, count=1, text="")
        forged["metadata"] |= {"annotations": annotations, **label}
        agent_too = [inline_agent(), inline_llm(apiKeyFrom=KEY)]

        for documents in ([forged, *agent_too], [forged]):
            with pytest.raises(TransientError):
                env_from_for("kind", resources=InMemoryResources(*documents), run="run-1", bundle="a" * 64)

    def test_gives_a_run_of_yaml_alone_what_its_agent_still_names(self):
        place = "run-" + digest_bytes(f"run-1/{'a' * 64}".encode())[:40]
        begun = document("Part", f"{place}-0", digest="0" * 64, index=0, count=1, text="")
        begun["metadata"]["annotations"] = {ENV_ANNOTATION: json.dumps({"OTHER_NAME": {**KEY, "env": "OTHER_NAME"}})}
        resources = InMemoryResources(begun, inline_agent(), inline_llm(apiKeyFrom=KEY))

        own = env_from_for("kind", resources=resources, run="run-1", bundle="a" * 64)

        assert list(own) == ["OTHER_NAME", "MODEL_KEY"]

    def test_takes_the_secret_that_the_cluster_names_now(self, tiny: list[Document]):
        begun = next(each["metadata"]["annotations"][BUNDLE_ANNOTATION] for each in tiny if each["kind"] == "Agent")
        moved = [
            {
                **each,
                "metadata": {
                    **each["metadata"],
                    "annotations": {**each["metadata"]["annotations"], ENV_ANNOTATION: MOVED},
                },
            }
            if each["kind"] == "Agent"
            else each
            for each in tiny
        ]

        own = env_from_for("tiny", resources=InMemoryResources(*moved), run="run-1", bundle=begun)

        assert own["HELPER_KEY"].secret == SecretKey(name="elsewhere", key="helper")

    @pytest.mark.parametrize("text", ["{", "[1]", json.dumps({"A": {"env": "lower"}})])
    def test_refuses_a_damaged_annotation(self, text: str):
        damaged = inline_agent()
        damaged["metadata"]["annotations"] = {BUNDLE_ANNOTATION: "0" * 64, ENV_ANNOTATION: text}

        with pytest.raises(ContractError, match=ENV_ANNOTATION):
            env_from_for("kind", resources=InMemoryResources(damaged, inline_llm()))
