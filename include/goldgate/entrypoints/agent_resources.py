"""The resources of an agent, as they stand in its bundle and as they stand in a cluster."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from goldgate.agent.bundle import AGENTS_FOLDER
from goldgate.agent.folder import AGENT_FILE
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.cluster import BUNDLE_ANNOTATION, ENV_ANNOTATION, as_written
from goldgate.contracts.documents import parse, yaml_documents
from goldgate.contracts.env_references import env_from_of, without_secrets
from goldgate.contracts.foreign import EndpointAgent, PythonAgent, agent_kind
from goldgate.contracts.llm import LLM
from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.contracts.resources import Agent, MCPServer
from goldgate.ports.resources import Document, Kind

AnyAgent = Agent | PythonAgent | EndpointAgent
AgentPart = AnyAgent | LLM | MCPServer

_ORDER: Final = ("MCPServer", "LLM", "Agent")
"""The Agent comes last: once it names a bundle, everything else stands."""


@dataclass(frozen=True, kw_only=True)
class Uses:
    """What an agent names of other resources."""

    llms: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


def uses_of(agent: AnyAgent) -> Uses:
    """Name the resources that an agent uses, each once."""
    match agent:
        case Agent(spec=spec):
            fallbacks = (each.llm for each in spec.fallbacks if each.llm is not None)
            return Uses(
                llms=tuple(dict.fromkeys((spec.llm, *fallbacks))),
                servers=tuple(grant.mcp_server for grant in spec.tools),
                agents=tuple(grant.agent for grant in spec.agents),
            )
        case EndpointAgent(spec=spec):
            return Uses(llms=(spec.endpoint.llm,))
    return Uses()


def read_resource(document: Document) -> AgentPart:
    """Hold an object of a cluster, or a document of `agent.yaml`, to its contract.

    Raises:
        ContractError: It breaks it, or is no resource of an agent.
    """
    match document.get("kind"):
        case "LLM":
            return parse(as_written(document), LLM, where=_where(document))
        case "MCPServer":
            return parse(as_written(document), MCPServer, where=_where(document))
    return read_agent_resource(document)


def read_agent_resource(document: Document) -> AnyAgent:
    """Hold an Agent to the one of the three contracts that it is written by.

    Raises:
        ContractError: It breaks it, or is no Agent.
    """
    written, where = as_written(document), _where(document)
    match agent_kind(document):
        case "python":
            return parse(written, PythonAgent, where=where)
        case "endpoint":
            return parse(written, EndpointAgent, where=where)
        case "declared":
            return parse(written, Agent, where=where)
    expected = "one of " + ", ".join(_ORDER)
    raise ContractError([Problem(where=where, field="kind", found=f"`{document.get('kind')}`", expected=expected)])


def _where(document: Document) -> str:
    return f"{document.get('kind')} `{(document.get('metadata') or {}).get('name')}`"


def documents_in(bundle: Path) -> list[Document]:
    """Read the documents of a bundle's `agent.yaml`, in the order in which they are applied."""
    documents = [value for value, _ in yaml_documents(bundle / AGENT_FILE) if isinstance(value, dict)]
    return sorted(documents, key=lambda each: (_ORDER.index(each["kind"]), each["metadata"]["name"]))


def resources_of(bundle: Path, *, digest: str) -> list[Document]:
    """Write the resources of a bundle, the Agent with what leads to it."""
    return [_led_to(document, bundle, digest=digest) for document in documents_in(bundle)]


def _led_to(document: Document, bundle: Path, *, digest: str) -> Document:
    written = as_written(document)
    if written["kind"] != "Agent":
        return written
    below = {name: each.model_dump(mode="json") for name, each in _env_below(bundle).items()}
    led = {BUNDLE_ANNOTATION: digest, ENV_ANNOTATION: json.dumps(below, separators=(",", ":"))}
    metadata = written["metadata"]
    return {**written, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **led}}}


def _env_below(bundle: Path) -> dict[EnvName, FromEnv]:
    """Name what the agents inside a bundle read from Secrets: they have no resources of their own."""
    found = [read_resource(each) for below in _below(bundle) for each in documents_in(below)]
    return env_from_of(*found)


def _below(bundle: Path) -> Iterator[Path]:
    folder = bundle / AGENTS_FOLDER
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield each
        yield from _below(each)


def env_below(agent: AnyAgent) -> tuple[FromEnv, ...]:
    """Read what the agents inside the bundle of an applied Agent need from Secrets.

    Raises:
        ContractError: The annotation was damaged.
    """
    text = agent.metadata.annotations.get(ENV_ANNOTATION, "{}")
    where = f"annotation `{ENV_ANNOTATION}` of Agent `{agent.metadata.name}`"
    try:
        held: Any = json.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem(where=where, field="", found=error.msg, expected="JSON, as `goldgate agent apply` writes it")
        raise ContractError([problem]) from error
    values = held.values() if isinstance(held, dict) else [held]
    return tuple(parse(value, FromEnv, where=where) for value in values)


def says_the_same(one: Document, other: Document) -> bool:
    """Whether two documents of a resource mean the same for an agent, wherever its Secrets come from.

    Raises:
        ContractError: One of them breaks its contract.
    """
    specs = (read_resource(each).spec.model_dump(mode="json", by_alias=True) for each in (one, other))
    first, second = (without_secrets(each) for each in specs)
    return bool(first == second)


def key_of(document: Document) -> tuple[Kind, str]:
    """Name a document by what a cluster knows it by."""
    return document["kind"], document["metadata"]["name"]
