"""`goldgate agent ...`, `goldgate rollback`, `goldgate traffic`: one agent at a time."""

import getpass
import os

import click
from pydantic import JsonValue

from goldgate.agent.foreign.folder import kind_of
from goldgate.contracts.release import Promotion
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.commands.agent_folders import named_folder
from goldgate.entrypoints.commands.agents_in_cluster import apply_to_cluster, write_manifest
from goldgate.entrypoints.commands.common import ExitCode, command, command_with
from goldgate.entrypoints.commands.namespaces import in_namespace
from goldgate.entrypoints.display import Screen, grid, printable
from goldgate.entrypoints.freezing import propose_agent_pins
from goldgate.entrypoints.inspection import agent_name, refuse_broken
from goldgate.entrypoints.playbook import POLICY, Playbook
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring


@click.group()
def agent() -> None:
    """Look at agents, check them, and bring them into a cluster."""


for part in (in_namespace(apply_to_cluster), write_manifest):
    agent.add_command(part)


@agent.command("list")
@command
def list_agents(*, screen: Screen, settings: Settings) -> None:
    """Show the agents of this checkout."""
    names = sorted(path.parent.name for path in settings.agents.glob("*/agent.yaml"))
    screen.result(names, "\n".join(names) or f"No agent in {settings.agents}.")


@agent.command()
@click.argument("name_or_folder")
@command_with("table", "wide", "json", "yaml")
def validate(name_or_folder: str, *, screen: Screen, settings: Settings) -> None:
    """Check an agent's contracts: resources, prompts, tools, corpus, gold set and its pin, policy, secrets."""
    folder = named_folder(name_or_folder)
    if folder is not None:
        refuse_broken(folder, policy=POLICY)
    name = name_or_folder if folder is None else agent_name(folder)
    found = Playbook(Wiring(settings)).validate(name, source="" if folder is None else str(folder))
    report: dict[str, JsonValue] = {
        "agent": found.bundle.agent,
        "bundle_digest": found.bundle.digest,
        "files": found.bundle.files,
        "prompt": found.bundle.prompt_id,
        "model": found.bundle.model,
        "tools": list(found.bundle.tools),
        "agents": list(found.bundle.agents),
        "gold_digest": found.gold.digest,
        "gold_rows": len(found.gold.rows),
    }
    if screen.form == "wide":
        cells = [", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in report.values()]
        screen.result(report, grid([key.upper() for key in report], [[cell or "<none>" for cell in cells]]))
        return
    screen.result(report, "\n".join(f"{key}: {value}" for key, value in report.items()))


@agent.command("pin")
@click.argument("name_or_folder")
@click.option("--yes", is_flag=True, help="Write without asking. For a change that was reviewed elsewhere.")
@command
def pin_tools(name_or_folder: str, *, yes: bool, screen: Screen, settings: Settings) -> ExitCode:
    """Pin the tools that an agent may call, as their servers offer them now, in its `tools.json`.

    What changes is shown first. Read it: a tool's description is an instruction to the model.
    """
    folder = named_folder(name_or_folder) or settings.agents / name_or_folder
    if kind_of(folder) != "declared":
        raise PermanentError(f"Found an agent in `{folder}` that was written elsewhere; it has no tools here to pin.")
    proposal = propose_agent_pins(
        folder,
        into=settings.home / "pinning",
        env=settings.completed(os.environ),
        corpus_cache=settings.home / "corpora",
    )
    value: dict[str, JsonValue] = {"path": str(proposal.path), "tools": [tool.label for tool in proposal.pins]}
    if not proposal.changes:
        screen.result({**value, "changed": False}, f"Nothing changes in {proposal.path}.")
        return ExitCode.DONE
    screen.progress(printable(proposal.diff) or "The definitions are the same; the file is written anew.")
    if not yes and not _agreed(f"Write {proposal.path}?"):
        raise PermanentError(f"`{proposal.path}` stays as it was. With `--yes` nobody is asked.")
    proposal.accept()
    screen.result({**value, "changed": True}, f"Pinned in {proposal.path}: {', '.join(t.label for t in proposal.pins)}")
    return ExitCode.DONE


def _agreed(question: str) -> bool:
    """Ask on the terminal; where nobody answers, nobody agreed."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        return False


@click.command()
@click.argument("agent_name", metavar="AGENT")
@click.option("--to", "version", default=None, help="Version to go back to. Default: the champion before this one.")
@click.option("--reason", required=True, help="Why: it stands in the ledger.")
@command
def rollback(agent_name: str, version: str | None, reason: str, *, screen: Screen, settings: Settings) -> ExitCode:
    """Move AGENT's alias `champion` back. Live traffic follows within a second."""
    moved: Promotion = Playbook(Wiring(settings)).rollback(agent_name, to=version, by=getpass.getuser(), reason=reason)
    screen.result(
        moved, f"{moved.outcome}: version {moved.version} (before: {moved.previous or 'none'}). {moved.reason}"
    )
    return ExitCode.DONE if moved.outcome == "rolled_back" else ExitCode.ABORTED


@click.command()
@click.argument("agent_name", metavar="AGENT")
@command
def traffic(agent_name: str, *, screen: Screen, settings: Settings) -> None:
    """Say who serves AGENT now, by the registry."""
    found = Wiring(settings).registry.traffic(agent_name)
    canary = found.canary
    value = {
        "agent": agent_name,
        "champion": found.champion,
        "canary": None
        if canary is None
        else {"version": canary.version, "ratio": canary.ratio, "until": canary.until.isoformat()},
    }
    trial = (
        "none"
        if canary is None
        else f"version {canary.version} on {canary.ratio:.1%} until {canary.until:%H:%M:%S} UTC"
    )
    screen.result(value, f"champion: {found.champion or 'none'}\ncanary: {trial}")
