"""Who was champion when, read from the ledger. Pure: entries in, versions out."""

from collections.abc import Sequence
from typing import Final

from goldgate.contracts.ledger import LedgerEntry

INTENT: Final = "intent"
"""Outcome of the entry that is written before an alias move."""

_MOVED: Final = {("promote", "promoted"), ("rollback", "rolled_back")}


def is_alias_entry(entry: LedgerEntry) -> bool:
    """Whether an entry tells of an alias move, meant or done."""
    return (entry.step, entry.outcome) in _MOVED or (entry.step in {"promote", "rollback"} and entry.outcome == INTENT)


def pending_move(entries: Sequence[LedgerEntry], *, champion: str | None) -> LedgerEntry | None:
    """Find the intent of a move that was done, but killed before it could say so.

    Args:
        entries: Of one agent, oldest first.
        champion: Who the registry says is champion now.

    Returns:
        The last intent, if no outcome followed it and the alias names its version.
    """
    alias_steps = [entry for entry in entries if entry.step in {"promote", "rollback"}]
    if not alias_steps or alias_steps[-1].outcome != INTENT:
        return None
    return alias_steps[-1] if alias_steps[-1].evidence.get("version") == champion else None


def champions(entries: Sequence[LedgerEntry], *, champion: str | None) -> list[str]:
    """List the versions that one can roll back through, the present champion last.

    A version that was rolled back from is taken out: it was champion, and was found wanting.

    Args:
        entries: Of one agent, oldest first.
        champion: Who the registry says is champion now.
    """
    moves = [entry for entry in entries if (entry.step, entry.outcome) in _MOVED]
    if (pending := pending_move(entries, champion=champion)) is not None:
        moves.append(pending)
    line: list[str] = []
    for move in moves:
        version = str(move.evidence["version"])
        if move.step == "rollback" and version in line:
            del line[line.index(version) :]
        line.append(version)
    return line


def ever_champion(entries: Sequence[LedgerEntry]) -> list[str]:
    """List every version that was champion at some time, each once, the first first."""
    moved = [str(entry.evidence["version"]) for entry in entries if (entry.step, entry.outcome) in _MOVED]
    return list(dict.fromkeys(moved))


def before(line: Sequence[str], champion: str) -> str | None:
    """Name the champion before the present one, or None if there is none.

    A champion that the ledger does not know was made by another hand: before it came the last one that it knows.
    """
    if champion not in line:
        return line[-1] if line else None
    position = max(index for index, version in enumerate(line) if version == champion)
    return line[position - 1] if position > 0 else None
