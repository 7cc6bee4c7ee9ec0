"""`goldgate ledger ...`: what was decided, when, by whom, on which evidence."""

from collections.abc import Sequence

import click

from goldgate.contracts.ledger import LedgerEntry
from goldgate.contracts.release import Closing
from goldgate.domain.digest import short
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.commands.common import ExitCode, command
from goldgate.entrypoints.display import Screen, table
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring
from goldgate.ports.records import ReleaseStore


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
    """Check the whole chain, and that every closed release is in it. Ends with 1 if it does not hold."""
    wiring = Wiring(settings)
    problems = wiring.ledger.verify()
    entries = [] if problems else wiring.ledger.entries()
    count = None if problems else len(entries)
    problems = problems or _missing_closings(wiring.store, entries)
    text = "\n".join(problems) if problems else f"The ledger holds: {count} entries."
    screen.result({"holds": not problems, "entries": count, "problems": list(problems)}, text)
    return ExitCode.FAILED_GATE if problems else ExitCode.DONE


def _missing_closings(store: ReleaseStore, entries: Sequence[LedgerEntry]) -> list[str]:
    """Compare with the releases on disk: a ledger that is gone as a whole has no chain that could show it."""
    told = {entry.release_id for entry in entries if entry.step == "close"}
    problems: list[str] = []
    for release_id in store.release_ids():
        try:
            closing = store.read(release_id, Closing)
        except PermanentError as error:
            problems.append(str(error))
            continue
        if closing is not None and release_id not in told:
            problems.append(
                f"Release `{release_id}` was closed ({closing.outcome} at `{closing.step}`), but the ledger has no "
                f"`close` entry of it. Restore the ledger from a copy; if only this release is missing, because its "
                f"closing was cut short, run `goldgate release close {release_id}`."
            )
    return problems
