"""Agents and Tasks as a cluster has them.

An Agent names the digest of its bundle, whose archive lies beside it; one of inline prompts needs no bundle. What is
missing, or was changed without being frozen again, is waited for: a run that waits goes on when it was put right.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from goldgate.contracts.cluster import BUNDLE_ANNOTATION, as_written
from goldgate.contracts.documents import parse
from goldgate.contracts.env_references import env_from_of
from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.contracts.task_runs import Task
from goldgate.domain.digest import short
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.agent_resources import (
    changed_since_frozen,
    documents_in,
    env_written_on,
    key_of,
    read_agent_resource,
    read_resource,
    says_the_same,
    uses_of,
)
from goldgate.entrypoints.composed_agents import compose_agent, needed
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.stored_bundles import env_of_stored, fetch_bundle, parts_of_run, store_parts
from goldgate.ports.resources import Document, Resources

if TYPE_CHECKING:
    from goldgate.adapters.cluster.connection import Access

_DIGEST_CHARS: Final = 64


@contextmanager
def opened_resources(settings: Settings, access: "Access | None" = None) -> Iterator[Resources]:
    """Reach the resources of a cluster: the one of an access, else that of the settings."""
    # 0.2 s of lightkube, which nobody without a cluster waits for.
    from goldgate.adapters.cluster.connection import connect  # noqa: PLC0415
    from goldgate.adapters.cluster.resources import ClusterResources  # noqa: PLC0415 - as above

    cluster = connect(access or settings.cluster, namespace=settings.namespace, pod=settings.pod)
    try:
        yield ClusterResources(cluster)
    finally:
        cluster.client.close()


@dataclass(frozen=True, kw_only=True)
class ClusterAgents:
    """Brings the agents of one run to this machine."""

    resources: Resources
    bundles: Path
    """Folder of bundles; each becomes `<digest>/` in it."""
    run: str
    """Name of the run that is worked on."""
    env: Mapping[str, str]

    def bundle_of(self, name: str, bundle: str) -> Path:
        """Bring the bundle of an agent.

        Args:
            name: Of the Agent.
            bundle: The one that began the run, `<digest>` or `<digest>/agents/<name>`; empty: what the Agent names now.

        Raises:
            TransientError: Something is missing, or differs from what was frozen.
            PermanentError: Something is damaged, or breaks its contract.
        """
        if bundle:
            root = fetch_bundle(bundle[:_DIGEST_CHARS], run=self.run, resources=self.resources, into=self.bundles)
            return root / bundle[_DIGEST_CHARS:].lstrip("/")
        agent = needed("Agent", self.resources.get("Agent", name), name, by=f"TaskRun `{self.run}`")
        digest: str | None = (agent["metadata"].get("annotations") or {}).get(BUNDLE_ANNOTATION)
        if digest is None:
            return self._composed(agent)
        found = fetch_bundle(digest, run=self.run, resources=self.resources, into=self.bundles)
        refuse_drift(found, agent=agent, resources=self.resources)
        return found

    def find_task(self, name: str) -> Task:
        """Find a Task by its name.

        Raises:
            PermanentError: There is none, or it breaks its contract.
        """
        found = self.resources.get("Task", name)
        if found is None:
            raise PermanentError(f"Found no Task `{name}` in the namespace; expected one. Apply it, and run anew.")
        return parse(as_written(found), Task, where=f"Task `{name}`")

    def _composed(self, agent: Document) -> Path:
        # Only for an agent without a bundle: it holds agents to more than those that were frozen need.
        from goldgate.entrypoints.freezing import freeze_agent  # noqa: PLC0415

        folder = compose_agent(agent, resources=self.resources, into=self.bundles.parent / "composed" / self.run)
        frozen = freeze_agent(folder, into=self.bundles, env=self.env)
        # Before the run is begun by it: whoever takes it up finds it, whatever became of the resources.
        run = self.resources.get("TaskRun", self.run)
        if run is not None:
            store_parts(parts_of_run(frozen.path, digest=frozen.digest, run=run), resources=self.resources)
        return frozen.path


def refuse_drift(bundle: Path, *, agent: Document, resources: Resources) -> None:
    """Hold the resources of a cluster to the bundle that its Agent names: what people read there is what runs.

    Args:
        bundle: What was frozen.
        agent: The Agent as it was read when it named the bundle.
        resources: The cluster.

    Raises:
        TransientError: One is missing or says something else.
        ContractError: One breaks its contract.
    """
    name, changed = agent["metadata"]["name"], []
    for document in documents_in(bundle):
        kind, of = key_of(document)
        is_it = (kind, of) == ("Agent", name)
        found = agent if is_it else needed(kind, resources.get(kind, of), of, by=f"Agent `{name}`")
        if not says_the_same(document, found):
            changed.append(f"{kind} `{of}`")
    _refuse_changed(changed, name=name, digest=bundle.name)


def _refuse_changed(changed: Sequence[str], *, name: str, digest: str) -> None:
    if changed:
        raise TransientError(
            f"Found {' and '.join(changed)} changed since the bundle of Agent `{name}` ({short(digest)}) was "
            f"frozen; expected what is in the bundle. Run `goldgate agent apply {name}` to freeze what is meant, or "
            "apply what was there before."
        )


def env_from_for(name: str, *, resources: Resources, run: str = "", bundle: str = "") -> dict[EnvName, FromEnv]:
    """Name the variables that a pod needs from Secrets to run an agent.

    Args:
        name: Of the Agent.
        resources: Where it is, with its LLMs and MCPServers.
        run: Name of the run that the pod is for.
        bundle: By which that run was begun: it ends with it, whatever became of the Agent. Empty: it was not begun.

    Raises:
        TransientError: A resource is missing, or was changed since it was frozen; or what only the run's own pod says
            of it names a Secret that its agent does not.
        PermanentError: One breaks its contract, or two read one variable from different Secrets.
    """
    by = f"TaskRun `{run}`" if run else "a TaskRun"
    if not bundle:
        return _env_now(name, resources=resources, by=by)
    begun = env_of_stored(bundle[:_DIGEST_CHARS], run=run, agent=name, resources=resources)
    try:
        now = _env_now(name, resources=resources, by=by, begun=True)
    except (PermanentError, TransientError):
        if begun is None or (begun.env and not begun.is_vouched_for):
            raise
        return dict(begun.env)
    if begun is None:
        return now
    if not begun.is_vouched_for:
        _refuse_unnamed(begun.env, now=now, name=name, by=by)
    # Where both know a variable, the cluster says from which Secret it comes.
    return {**begun.env, **now}


def _refuse_unnamed(begun: Mapping[EnvName, FromEnv], *, now: Mapping[EnvName, FromEnv], name: str, by: str) -> None:
    """Give a pod no Secret on the word of the pod before it: that one may have been taken over."""
    named = {each.secret for each in now.values()}
    unnamed = [
        f"`{variable}` from Secret `{each.secret.name}`"
        for variable, each in begun.items()
        if each.secret is not None and each.secret not in named and variable not in now
    ]
    if unnamed:
        raise TransientError(
            f"Found {' and '.join(unnamed)} in the bundle by which {by} was begun, which its own pod laid down; "
            f"expected what Agent `{name}`, its LLMs and MCPServers name in the cluster. Have them name it again, or "
            "cancel the run and start it anew."
        )


def _env_now(name: str, *, resources: Resources, by: str, begun: bool = False) -> dict[EnvName, FromEnv]:
    found, more = _parts_of(name, resources=resources, by=by, seen=set(), begun=begun)
    return env_from_of(*(read_resource(each) for each in found), more=more)


def _parts_of(
    name: str, *, resources: Resources, by: str, seen: set[str], begun: bool
) -> tuple[list[Document], tuple[FromEnv, ...]]:
    """Read all that an agent uses. Where it has a bundle, that must be what was frozen, unless the run has begun."""
    document = needed("Agent", resources.get("Agent", name), name, by=by)
    told, uses = f"Agent `{name}`", uses_of(read_agent_resource(document))
    seen.add(name)
    others = [needed("LLM", resources.get("LLM", each), each, by=told) for each in uses.llms]
    others += [needed("MCPServer", resources.get("MCPServer", each), each, by=told) for each in uses.servers]
    found = [document, *others]
    digest = (document["metadata"].get("annotations") or {}).get(BUNDLE_ANNOTATION)
    if digest is not None:
        _refuse_changed([] if begun else changed_since_frozen(document, others), name=name, digest=digest)
        return found, env_written_on(document)
    more: tuple[FromEnv, ...] = ()
    for other in uses.agents:
        if other not in seen:
            theirs, below = _parts_of(other, resources=resources, by=told, seen=seen, begun=begun)
            found, more = found + theirs, more + below
    return found, more
