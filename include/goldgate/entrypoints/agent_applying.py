"""Bring an agent into a cluster: its bundle in parts, its resources beside them. Take away what no run needs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldgate.agent.bundle import read_manifest
from goldgate.contracts.cluster import AGENT_LABEL, BUNDLE_ANNOTATION
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.agent_resources import (
    documents_in,
    key_of,
    read_agent_resource,
    resources_of,
    says_the_same,
    uses_of,
)
from goldgate.entrypoints.freezing import freeze_agent
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.stored_bundles import parts_of_agent, store_parts
from goldgate.entrypoints.sub_agents import judging_files
from goldgate.ports.resources import Applied, Document, Kind, Resources
from goldgate.ports.task_runs import TaskRunStore
from goldgate.release.check import refuse_secrets


class TakenNameError(PermanentError):
    """Another agent uses a resource of that name, which says something else. Nothing was applied."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of one resource."""

    kind: Kind
    name: str
    outcome: Applied


def frozen_folder(folder: Path, *, settings: Settings, env: Mapping[str, str]) -> Path:
    """Freeze an agent's folder as a release does, so that a digest in a cluster is one that releases know.

    Raises:
        PermanentError: It holds secrets, or cannot be frozen.
        TransientError: A tool server could not be started.
    """
    refuse_secrets(folder)
    bundles, corpora = settings.home / "bundles", settings.home / "corpora"
    leave_out = judging_files(folder)
    return freeze_agent(folder, into=bundles, env=env, corpus_cache=corpora, leave_out=leave_out).path


def manifest_of(bundle: Path) -> list[Document]:
    """Write all that stands in a cluster for a bundle, in the order in which it is to be applied."""
    known = read_manifest(bundle)
    parts = parts_of_agent(bundle, digest=known.digest, agent=known.agent)
    return [*parts, *resources_of(bundle, digest=known.digest)]


def apply_agent(bundle: Path, *, resources: Resources, replaces: bool = False) -> list[Change]:
    """Apply a bundle. Done again, nothing changes; cut off in between, runs begin by the bundle that was there before.

    Args:
        bundle: The frozen agent.
        resources: The cluster's.
        replaces: Also LLMs and MCPServers that other agents use: those agents wait until they are applied again.

    Raises:
        TakenNameError: Another agent uses one of that name, and `replaces` is not said.
    """
    known = read_manifest(bundle)
    if not replaces:
        _refuse_taken(bundle, agent=known.agent, resources=resources)
    parts = parts_of_agent(bundle, digest=known.digest, agent=known.agent)
    stored = store_parts(parts, resources=resources)
    changes = [Change(kind="Part", name=part["metadata"]["name"], outcome=stored) for part in parts[:1]]
    for document in resources_of(bundle, digest=known.digest):
        kind, name = key_of(document)
        changes.append(Change(kind=kind, name=name, outcome=resources.apply(document)))
    return changes


def prune_bundles(agent: str, *, resources: Resources, store: TaskRunStore) -> list[str]:
    """Remove the earlier bundles of an agent that no run needs any more.

    A run that begins in this very moment and is lost before it recorded its bundle may find that gone; it then waits,
    says so, and can be cancelled.

    Returns:
        Their digests.
    """
    held: defaultdict[str, list[str]] = defaultdict(list)
    for part in resources.all("Part", labels={AGENT_LABEL: agent}):
        digest = (part["metadata"].get("annotations") or {}).get(BUNDLE_ANNOTATION, "")
        if digest:
            held[digest].append(part["metadata"]["name"])
    needed = {*_named_now(agent, resources=resources), *_begun_by(store)}
    gone = sorted(held.keys() - needed)
    for digest in gone:
        for name in held[digest]:
            resources.remove("Part", name)
    return gone


def _named_now(agent: str, *, resources: Resources) -> Iterator[str]:
    found = resources.get("Agent", agent)
    if found is not None:
        yield (found["metadata"].get("annotations") or {}).get(BUNDLE_ANNOTATION, "")


def _begun_by(store: TaskRunStore) -> Iterator[str]:
    """Name the bundles of all runs that are not over; those of agents inside others by the outer one."""
    for name in store.names():
        run = store.read(name)
        if run is not None and not run.status.phase.is_terminal:
            bundle = run.status.progress.bundle or run.metadata.annotations.get(BUNDLE_ANNOTATION, "")
            yield bundle.partition("/")[0]


def _refuse_taken(bundle: Path, *, agent: str, resources: Resources) -> None:
    """Hold a bundle to changing nothing that other agents of the cluster were frozen with."""
    changed = [key_of(each) for each in documents_in(bundle) if each["kind"] != "Agent" and _is_other(each, resources)]
    if not changed:
        return
    users = _users_of(changed, of=agent, resources=resources)
    if users:
        told = " and ".join(f"{kind} `{name}` (also of {', '.join(by)})" for (kind, name), by in users.items())
        raise TakenNameError(
            f"Found {told} in the cluster, and other ones in the bundle of `{agent}`; expected the same, or names of "
            f"their own in `agent.yaml`. With `--replace` they are changed, and those agents wait for `goldgate agent "
            "apply`."
        )


def _is_other(document: Document, resources: Resources) -> bool:
    found = resources.get(*key_of(document))
    return found is not None and not says_the_same(document, found)


def _users_of(
    changed: Sequence[tuple[Kind, str]], *, of: str, resources: Resources
) -> dict[tuple[Kind, str], list[str]]:
    users: dict[tuple[Kind, str], list[str]] = {}
    for document in resources.all("Agent"):
        other = document["metadata"]["name"]
        if other == of:
            continue
        uses = uses_of(read_agent_resource(document))
        for kind, name in changed:
            if name in (uses.llms if kind == "LLM" else uses.servers):
                users.setdefault((kind, name), []).append(f"`{other}`")
    return users
