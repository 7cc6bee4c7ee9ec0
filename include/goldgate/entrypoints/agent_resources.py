"""The resources of an agent, as they stand in its bundle and as they stand in a cluster."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from goldgate.agent.bundle import AGENTS_FOLDER
from goldgate.agent.folder import AGENT_FILE
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.cluster import BUNDLE_ANNOTATION, ENV_ANNOTATION, FROZEN_ANNOTATION, as_written
from goldgate.contracts.documents import parse, yaml_documents
from goldgate.contracts.env_references import env_from_of, without_secrets
from goldgate.contracts.foreign import EndpointAgent, PythonAgent, agent_kind
from goldgate.contracts.llm import LLM
from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.contracts.resources import Agent, MCPServer
from goldgate.domain.digest import digest_json, short
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
    below = [read_resource(each) for folder in _below(bundle) for each in documents_in(folder)]
    frozen = {"/".join(key_of(each)): _said(each) for each in documents_in(bundle)}
    led = {
        BUNDLE_ANNOTATION: digest,
        ENV_ANNOTATION: written_env(env_from_of(*below)),
        FROZEN_ANNOTATION: json.dumps(frozen, separators=(",", ":")),
    }
    metadata = written["metadata"]
    return {**written, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **led}}}


def env_of_bundle(bundle: Path) -> dict[EnvName, FromEnv]:
    """Name what a bundle reads from Secrets, the agents inside it included."""
    return env_from_of(*(read_resource(each) for folder in (bundle, *_below(bundle)) for each in documents_in(folder)))


def written_env(env: Mapping[EnvName, FromEnv]) -> str:
    """Write references for an annotation."""
    return json.dumps({name: each.model_dump(mode="json") for name, each in env.items()}, separators=(",", ":"))


def _below(bundle: Path) -> Iterator[Path]:
    folder = bundle / AGENTS_FOLDER
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield each
        yield from _below(each)


def env_written_on(document: Document) -> tuple[FromEnv, ...]:
    """Read the references that stand in the annotation of an Agent or of a part.

    Raises:
        ContractError: The annotation was damaged.
    """
    values, where = _annotated(document, ENV_ANNOTATION)
    return tuple(parse(value, FromEnv, where=where) for value in values.values())


def changed_since_frozen(agent: Document, others: Iterable[Document]) -> list[str]:
    """Name the resources that say something else than those by which an Agent was frozen.

    Args:
        agent: The Agent, as the cluster has it.
        others: LLMs and MCPServers that it uses, as the cluster has them.

    Raises:
        ContractError: A resource breaks its contract, or the annotation was damaged.
    """
    frozen, _ = _annotated(agent, FROZEN_ANNOTATION)
    found = {key_of(each): each for each in (agent, *others)}
    return [
        f"{kind} `{name}`"
        for (kind, name), each in found.items()
        if frozen.get(f"{kind}/{name}", said := _said(each)) != said
    ]


def _annotated(document: Document, annotation: str) -> tuple[dict[str, Any], str]:
    metadata = document["metadata"]
    where = f"annotation `{annotation}` of {document['kind']} `{metadata['name']}`"
    expected = "a JSON object, as `goldgate agent apply` writes it"
    try:
        held = json.loads((metadata.get("annotations") or {}).get(annotation, "{}"))
    except json.JSONDecodeError as error:
        raise ContractError([Problem(where=where, field="", found=error.msg, expected=expected)]) from error
    if not isinstance(held, dict):
        raise ContractError([Problem(where=where, field="", found=f"`{held}`", expected=expected)])
    return held, where


def says_the_same(one: Document, other: Document) -> bool:
    """Whether two documents of a resource mean the same for an agent, wherever its Secrets come from.

    Raises:
        ContractError: One of them breaks its contract.
    """
    return _said(one) == _said(other)


def _said(document: Document) -> str:
    return short(digest_json(without_secrets(read_resource(document).spec.model_dump(mode="json", by_alias=True))))


def key_of(document: Document) -> tuple[Kind, str]:
    """Name a document by what a cluster knows it by."""
    return document["kind"], document["metadata"]["name"]
