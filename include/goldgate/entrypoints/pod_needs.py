"""What a pod needs so that it can work on a run: an agent whose resources are all there, and its Secrets by name."""

from collections.abc import Mapping

from goldgate.contracts.env_references import env_from_of
from goldgate.contracts.llm import LLM
from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.contracts.resources import MCPServer
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.agent_resources import AgentPart, AnyAgent, env_below, read_resource, uses_of
from goldgate.ports.resources import Kind, Resources


def needs_of(agent: str, resources: Resources) -> Mapping[EnvName, FromEnv]:
    """Name the variables from Secrets that an agent's pod has.

    Args:
        agent: Name of the Agent.
        resources: Those of the cluster.

    Raises:
        TransientError: The Agent, or an LLM or MCPServer that it names, is missing or not as it must be. Its runs wait.
    """
    found = _read("Agent", agent, resources, asked_by="")
    if isinstance(found, LLM | MCPServer):
        raise TransientError(f"Found a {found.kind} in place of Agent `{agent}`. Apply the agent.")
    uses = uses_of(found)
    parts: list[AgentPart] = [found]
    parts += [_read("LLM", name, resources, asked_by=agent) for name in uses.llms]
    parts += [_read("MCPServer", name, resources, asked_by=agent) for name in uses.servers]
    return _together(parts, found)


def _together(parts: list[AgentPart], agent: AnyAgent) -> Mapping[EnvName, FromEnv]:
    try:
        return env_from_of(*parts, more=env_below(agent))
    except PermanentError as error:
        raise TransientError(f"Agent `{agent.metadata.name}` is not as it must be: {error}") from error


def _read(kind: Kind, name: str, resources: Resources, *, asked_by: str) -> AgentPart:
    document = resources.get(kind, name)
    whose = f", which Agent `{asked_by}` uses" if asked_by else ""
    if document is None:
        raise TransientError(
            f"Found no {kind} `{name}` in the cluster{whose}. `goldgate agent apply`, or `kubectl apply` of it, makes "
            "it; the run goes on by itself then."
        )
    try:
        return read_resource(document)
    except PermanentError as error:
        raise TransientError(f"{kind} `{name}`{whose} is not as it must be: {error}") from error
