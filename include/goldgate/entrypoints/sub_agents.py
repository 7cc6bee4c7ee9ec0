"""The agents that an agent may ask: folders beside its own, in no circle, and no deeper than it allows."""

from collections.abc import Iterator
from pathlib import Path

from goldgate.agent.bundle import AGENTS_FOLDER
from goldgate.agent.folder import AGENT_FILE, AgentFolder, read_agent
from goldgate.agent.foreign.folder import kind_of, read_foreign
from goldgate.contracts.base import ContractError, Problem
from goldgate.contracts.documents import read_yaml
from goldgate.contracts.policy import ReleasePolicy
from goldgate.domain.errors import PermanentError

_POLICY = "release.yaml"


def sub_agents(agent: AgentFolder) -> list[Path]:
    """Find the folders of the agents that an agent may ask, in the order of its grants.

    All that those may ask are looked at too, so that what cannot be frozen is told before anything is.

    Raises:
        ContractError: A folder is missing, or breaks its contracts.
        PermanentError: Agents ask each other in a circle, or deeper than `maxDepth` of one of them.
    """
    if agent.agent.spec.agents and (agent.folder / AGENTS_FOLDER).exists():
        raise PermanentError(
            f"Found `{AGENTS_FOLDER}/` in `{agent.folder}`; expected none, because the agents that it asks are frozen "
            "there. Give the folder another name."
        )
    _look(agent, way=(agent.agent.metadata.name,), left=agent.agent.spec.limits.max_depth)
    return list(_folders(agent))


def judging_files(folder: Path) -> list[str]:
    """Name what judges an agent besides what its name tells: the gold set of its policy, wherever it lies."""
    if not (folder / _POLICY).is_file():
        return []
    return [read_yaml(folder / _POLICY, ReleasePolicy).gold_set.path]


def _folders(agent: AgentFolder) -> Iterator[Path]:
    beside = agent.folder.resolve().parent
    yield from (beside / grant.agent for grant in agent.agent.spec.agents)


def _look(agent: AgentFolder, *, way: tuple[str, ...], left: int) -> None:
    for position, (grant, folder) in enumerate(zip(agent.agent.spec.agents, _folders(agent), strict=True)):
        path = " > ".join((*way, grant.agent))
        if grant.agent in way:
            raise PermanentError(f"Found agents that ask each other in a circle: {path}. Take one grant out.")
        if left <= 0:
            raise PermanentError(
                f"Found agents that ask agents deeper than `maxDepth` allows: {path}. Raise `limits.maxDepth` of "
                f"`{way[0]}` and of those below it, or take a grant out."
            )
        if not (folder / AGENT_FILE).is_file():
            field = f"spec.agents.{position}.agent"
            where = str(agent.folder / AGENT_FILE)
            expected = f"the name of an agent's folder in `{folder.parent}`"
            raise ContractError([Problem(where=where, field=field, found=f"`{grant.agent}`", expected=expected)])
        asked = read_agent(folder) if kind_of(folder) == "declared" else None
        name = asked.agent.metadata.name if asked is not None else read_foreign(folder).name
        if name != grant.agent:
            problem = Problem(
                where=str(folder / AGENT_FILE), field="metadata.name", found=f"`{name}`", expected=f"`{grant.agent}`"
            )
            raise ContractError([problem])
        if asked is not None:
            _look(asked, way=(*way, grant.agent), left=min(left - 1, asked.agent.spec.limits.max_depth))
