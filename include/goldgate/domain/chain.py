"""The hash chain of the ledger: what makes a changed, lost or moved entry show.

An entry is any JSON object with `seq`, `previous` and `hash`. The chain proves that nothing was changed between its
first entry and its head; whoever can rewrite the entries *and* the head can make a new chain, so a head is worth
keeping somewhere else too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from goldgate.domain.digest import Digest, digest_json, short

GENESIS: Final = Digest("0" * 64)
"""What the first entry is chained to."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last entry, as remembered beside the chain: without it a missing tail would not show."""

    seq: int
    hash: str


def seal(fields: Mapping[str, object]) -> Digest:
    """Hash an entry: SHA-256 over the canonical JSON of all its fields but `hash`."""
    return digest_json({name: value for name, value in fields.items() if name != "hash"})


def problems_of_chain(entries: Sequence[Mapping[str, object]], *, head: Head | None) -> list[str]:
    """Check a whole chain.

    Args:
        entries: Oldest first.
        head: What was remembered of the last entry; None if nothing was.

    Returns:
        A sentence for each problem, in the order of the entries; empty if the chain holds.
    """
    problems: list[str] = []
    expected, last = 0, GENESIS
    for position, entry in enumerate(entries, start=1):
        problems += problems_of_entry(entry, where=f"Line {position}")
        problems += _problems_of_order(entry, position=position, expected=expected, last=last)
        expected, last = int(str(entry["seq"])) + 1, Digest(str(entry["hash"]))
    return problems + problems_of_head(entries[-1] if entries else None, head=head)


def problems_of_entry(entry: Mapping[str, object], *, where: str) -> list[str]:
    """Check one entry by itself. `where` begins the sentence: `Line 3`."""
    found = seal(entry)
    if found == entry["hash"]:
        return []
    told = f"its content has the hash {short(found)}, but it carries {short(str(entry['hash']))}"
    return [f"{where}: entry {entry['seq']} was changed: {told}."]


def problems_of_head(last: Mapping[str, object] | None, *, head: Head | None) -> list[str]:
    """Compare the last entry with what was remembered of it.

    A head that is exactly one entry behind, and to which the last entry is chained, is the trace of a crash between
    the two writes, and no problem.
    """
    if last is None:
        return [] if head is None else [f"All entries are missing: the head remembers entry {head.seq}."]
    seq, remembered = int(str(last["seq"])), head or Head(seq=-1, hash=GENESIS)
    if seq == remembered.seq:
        if last["hash"] == remembered.hash:
            return []
        return [f"Entry {seq} is another one than the head remembers ({short(remembered.hash)})."]
    if seq < remembered.seq:
        return [f"The end is missing: the last entry is {seq}, but the head remembers entry {remembered.seq}."]
    if seq == remembered.seq + 1 and last["previous"] == remembered.hash:
        return []
    known = "nothing" if head is None else f"entry {head.seq}"
    return [f"Entries up to {seq} are there, but the head remembers {known}: they were not added by the ledger."]


def _problems_of_order(entry: Mapping[str, object], *, position: int, expected: int, last: str) -> list[str]:
    seq = int(str(entry["seq"]))
    if seq > expected:
        missing = f"entry {expected} is" if seq == expected + 1 else f"entries {expected} to {seq - 1} are"
        return [f"Line {position}: {missing} missing before entry {seq}."]
    if seq < expected:
        return [f"Line {position}: entry {seq} stands where entry {expected} belongs: moved, or there twice."]
    if entry["previous"] != last:
        told = f"chained to {short(str(entry['previous']))}, but the entry before it is {short(last)}"
        return [f"Line {position}: entry {seq} is {told}."]
    return []
