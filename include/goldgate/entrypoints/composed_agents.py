"""Agents that stand in their resources alone: prompts in the Agent, no knowledge, no tools. `kubectl apply` is enough.

Their folder is written from the resources as anybody would write it, and then frozen like every other.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from goldgate.agent.folder import AGENT_FILE
from goldgate.contracts.foreign import PythonAgent
from goldgate.contracts.resources import Agent
from goldgate.domain.errors import TransientError
from goldgate.entrypoints.agent_resources import AnyAgent, read_agent_resource, uses_of
from goldgate.ports.resources import Document, Resources


def compose_agent(agent: Document, *, resources: Resources, into: Path) -> Path:
    """Write the folders of an agent and of those it may ask.

    Args:
        agent: The Agent, as the cluster has it.
        resources: Where its LLMs and the agents that it may ask are.
        into: Gets `<name>/` for each; what was composed there before is replaced.

    Returns:
        The folder of the agent.

    Raises:
        ContractError: A resource breaks its contract.
        TransientError: One is missing, or the agent needs files. Both can be put right.
    """
    shutil.rmtree(into, ignore_errors=True)
    name: str = agent["metadata"]["name"]
    _write(agent, resources=resources, into=into)
    return into / name


def needed(kind: str, found: Document | None, name: str, *, by: str) -> Document:
    """Have a resource that an agent uses.

    Raises:
        TransientError: There is none.
    """
    if found is None:
        raise TransientError(
            f"Found no {kind} `{name}`, which {by} uses; expected one in the namespace. Apply it, by "
            "`goldgate agent apply` or `kubectl apply`: what waits for it goes on by itself."
        )
    return found


def _write(agent: Document, *, resources: Resources, into: Path) -> None:
    read = read_agent_resource(agent)
    _refuse_files(read)
    name, uses = read.metadata.name, uses_of(read)
    folder, told = into / name, f"Agent `{name}`"
    documents = [agent, *(needed("LLM", resources.get("LLM", llm), llm, by=told) for llm in uses.llms)]
    folder.mkdir(parents=True)
    with (folder / AGENT_FILE).open("w", encoding="utf-8") as file:
        plain = [_plain(document) for document in documents]
        yaml.safe_dump_all(plain, file, sort_keys=True, allow_unicode=True, explicit_start=True)
    for other in uses.agents:
        if not (into / other).exists():  # a circle is told when the folder is frozen
            found = needed("Agent", resources.get("Agent", other), other, by=told)
            _write(found, resources=resources, into=into)


def _plain(document: Document) -> Document:
    """Leave everything out that is not the agent's: labels and annotations differ from cluster to cluster."""
    named = {"name": document["metadata"]["name"]}
    return {**{key: document[key] for key in ("apiVersion", "kind", "spec")}, "metadata": named}


def _refuse_files(agent: AnyAgent) -> None:
    if missing := list(_files(agent)):
        raise TransientError(
            f"Found Agent `{agent.metadata.name}` without a bundle, and with {', '.join(missing)}; expected "
            "`systemText` and `userText`, and nothing that lies in a folder. Run "
            f"`goldgate agent apply {agent.metadata.name}`: it brings the folder, and what waits goes on by itself."
        )


def _files(agent: AnyAgent) -> Iterator[str]:
    match agent:
        case Agent(spec=spec):
            if spec.prompts.system is not None or spec.prompts.user is not None:
                yield "prompts in files"
            if spec.corpus.files or spec.corpus.builder:
                yield "a corpus"
            if spec.tools:
                yield "tools, whose pins lie in a file"
        case PythonAgent():
            yield "a callable"
        case _:
            if agent.spec.endpoint.system_prompt is not None:
                yield "a system prompt in a file"
