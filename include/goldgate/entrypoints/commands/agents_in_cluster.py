"""`goldgate agent apply|manifest`: an agent as resources of a cluster."""

import json
import os
from contextlib import closing
from pathlib import Path

import click

from goldgate.agent.bundle import read_manifest
from goldgate.domain.digest import short
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.agent_applying import Change, apply_agent, frozen_folder, manifest_of, prune_bundles
from goldgate.entrypoints.cluster_agents import opened_resources
from goldgate.entrypoints.commands.agent_folders import named_folder
from goldgate.entrypoints.commands.common import command, command_with
from goldgate.entrypoints.display import Screen, as_yaml
from goldgate.entrypoints.run_store import open_store
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring
from goldgate.ports.resources import Resources


@click.command("apply")
@click.argument("name_or_folder")
@click.option("--version", default=None, help="A registered version, in place of the folder.")
@click.option("--champion", is_flag=True, help="The version that serves now, in place of the folder.")
@click.option("--replace", is_flag=True, help="Also LLMs and MCPServers of other agents, which then wait.")
@click.option("--prune", is_flag=True, help="Remove earlier bundles of the agent that no run needs.")
@command
def apply_to_cluster(
    name_or_folder: str,
    version: str | None,
    *,
    champion: bool,
    replace: bool,
    prune: bool,
    screen: Screen,
    settings: Settings,
) -> None:
    """Bring an agent into the cluster: its bundle, its LLMs, its MCPServers, and the Agent that names them."""
    if not settings.cluster:
        raise PermanentError(
            "Found no GOLDGATE_CLUSTER; expected the cluster that the agent is for: the path of a kubeconfig, with `#` "
            "and the context where it is not the current one. Set it. `goldgate agent manifest` needs none."
        )
    bundle = _bundle(name_or_folder, version=version, champion=champion, settings=settings)
    known = read_manifest(bundle)
    with opened_resources(settings) as resources:
        changes = apply_agent(bundle, resources=resources, replaces=replace)
        pruned = _pruned(known.agent, resources=resources, settings=settings) if prune else []
    lines = [_line(change, digest=known.digest) for change in changes]
    lines += [f"bundle {short(digest)} removed" for digest in pruned]
    value = {"agent": known.agent, "bundle_digest": known.digest, "changes": changes, "pruned": pruned}
    screen.result(value, "\n".join(lines))


@click.command("manifest")
@click.argument("name_or_folder")
@click.option("--version", default=None, help="A registered version, in place of the folder.")
@click.option("--champion", is_flag=True, help="The version that serves now, in place of the folder.")
@command_with("yaml", "json")
def write_manifest(
    name_or_folder: str, version: str | None, *, champion: bool, screen: Screen, settings: Settings
) -> None:
    """Write what `apply` would bring into a cluster, parts included: for a repository that a cluster follows."""
    documents = manifest_of(_bundle(name_or_folder, version=version, champion=champion, settings=settings))
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    click.echo(json.dumps(listed, indent=2, ensure_ascii=False) if screen.form == "json" else as_yaml(listed))


def _bundle(name_or_folder: str, *, version: str | None, champion: bool, settings: Settings) -> Path:
    if version is None and not champion:
        folder = named_folder(name_or_folder) or settings.agents / name_or_folder
        return frozen_folder(folder, settings=settings, env=settings.completed(os.environ))
    if version is not None and champion:
        raise click.UsageError("Give one of --version and --champion.")
    wanted = version or Wiring(settings).registry.traffic(name_or_folder).champion
    if wanted is None:
        raise PermanentError(f"Found no champion of agent `{name_or_folder}`. Release it, or name a --version.")
    return Wiring(settings).registry.fetch_bundle(name_or_folder, wanted, into=settings.home / "bundles")


def _pruned(agent: str, *, resources: Resources, settings: Settings) -> list[str]:
    with closing(open_store(settings)) as store:
        return prune_bundles(agent, resources=resources, store=store)


def _line(change: Change, *, digest: str) -> str:
    what = f"bundle {short(digest)}" if change.kind == "Part" else f"{change.kind.lower()}.goldgate.dev/{change.name}"
    return f"{what} {change.outcome.value}"
