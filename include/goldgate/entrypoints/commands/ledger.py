"""`goldgate ledger ...`: what was decided, when, by whom, on which evidence."""

import click

from goldgate.domain.digest import short
from goldgate.entrypoints.commands.common import ExitCode, command
from goldgate.entrypoints.display import Screen, table
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring


@click.group()
def ledger() -> None:
    """Read and verify the release ledger."""


@ledger.command()
@click.option("--agent", default=None, help="Only this agent.")
@click.option("--release-id", default=None, help="Only this release.")
@command
def show(agent: str | None, release_id: str | None, *, screen: Screen, settings: Settings) -> None:
    """Show entries, oldest first."""
    entries = [
        entry for entry in Wiring(settings).ledger.entries(agent=agent) if release_id in {None, entry.release_id}
    ]
    rows = [
        (
            str(entry.seq),
            entry.at.isoformat(timespec="seconds"),
            entry.agent,
            entry.release_id,
            entry.step,
            entry.outcome,
            entry.by,
            short(entry.hash),
        )
        for entry in entries
    ]
    columns = ("seq", "at", "agent", "release", "step", "outcome", "by", "hash")
    screen.result(entries, table("", columns, rows) if rows else "The ledger has no such entry.")


@ledger.command()
@command
def verify(*, screen: Screen, settings: Settings) -> ExitCode:
    """Check the whole chain. Ends with 1 if it does not hold."""
    found = Wiring(settings).ledger
    problems = found.verify()
    count = len(found.entries()) if not problems else None
    text = "\n".join(problems) if problems else f"The ledger holds: {count} entries."
    screen.result({"holds": not problems, "entries": count, "problems": list(problems)}, text)
    return ExitCode.FAILED_GATE if problems else ExitCode.DONE
