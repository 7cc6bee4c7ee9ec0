"""`goldgate up|down|status|logs|demo`: everything on one machine."""

import click

from goldgate.entrypoints import local
from goldgate.entrypoints.commands.common import ExitCode, command
from goldgate.entrypoints.demo import run_demo
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.local_status import status_table
from goldgate.entrypoints.settings import Settings


@click.command()
@command
def up(*, screen: Screen, settings: Settings) -> None:
    """Start Airflow, MLflow, the router and the stand-in model, and wait until they answer."""
    found = local.up(settings, say=screen.progress)
    screen.result(found, status_table(found))


@click.command()
@command
def down(*, screen: Screen, settings: Settings) -> None:
    """End every process of the stack."""
    local.down(settings, say=screen.progress)


@click.command()
@command
def status(*, screen: Screen, settings: Settings) -> ExitCode:
    """Show what runs, and how it is. Ends with 1 unless everything is ready."""
    found = local.status(settings)
    screen.result(found, status_table(found))
    return ExitCode.DONE if found.ready else ExitCode.FAILED_GATE


@click.command()
@click.argument("program", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("-n", "--lines", default=50, show_default=True, help="How many lines of each log.")
@command
def logs(program: str | None, follow: bool, lines: int, *, screen: Screen, settings: Settings) -> None:  # noqa: ARG001 - tail writes by itself
    """Show the newest lines of one program's log, or of all."""
    raise SystemExit(local.logs(settings, name=program, follow=follow, lines=lines))


@click.command()
@click.argument("agent_name", metavar="AGENT")
@click.option("--story", default="story.yaml", show_default=True, help="A file of the agent's folder.")
@command
def demo(agent_name: str, story: str, *, screen: Screen, settings: Settings) -> None:  # noqa: ARG001 - it talks while it runs
    """Play AGENT's story: several releases with live traffic, and a rollback."""
    raise SystemExit(run_demo(settings, agent=agent_name, story=story))
