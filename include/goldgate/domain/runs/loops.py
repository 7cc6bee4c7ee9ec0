"""Loops of tool calls, seen while they run.

A model that goes in circles is told so once, in place of the call it asked for; if it goes on, its run is stopped.
Polling is no loop: a call whose results differ may be repeated a good while.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from goldgate.domain.runs.state import Made

SAME_RESULTS = 2
"""A third call that gave twice the same result is a loop. One repetition happens to careful models that check."""

SAME_CALLS = 8
"""A call made so often, whatever it gave, is a loop all the same."""

LONGEST_CYCLE = 4
CYCLES = 3
"""A round of two to four calls that goes round a third time."""

STALE = 6
"""So many results in a row that all were seen before, whatever was called: nothing new comes."""

STALE_ACTS = 12
"""So many of them if there are calls among them that act. What counts of an act is that it was done: ten messages that
were sent, and gave `ok` each, are no loop, and a model that acts for ever is one."""

ACT = "+"
"""How the result of a call that acts begins."""

NOT_MADE = "-"
"""In place of the result of a call that was not made because it repeats."""

STALENESS = "stale"
"""The kind of a loop in which nothing new comes, and what it is remembered by."""

TRAIL = 64
"""How many calls are remembered. More than the longest pattern needs."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A pattern that was found."""

    kind: str
    signature: str
    """The same for the same pattern: told once, it is stopped the second time."""
    description: str
    """For the model and for people."""


def find_loop(trail: Sequence[Made], asked: str) -> Loop | None:
    """Look whether a call that the model asks for continues a loop.

    Args:
        trail: The calls so far, oldest first.
        asked: Digest of the call's name and arguments.
    """
    return _repetition(trail, asked) or _cycle(trail, asked)


def find_staleness(trail: Sequence[Made]) -> Loop | None:
    """Look whether the last results told nothing new."""
    results = [made.result for made in trail if made.result not in {"", NOT_MADE}]
    row = STALE_ACTS if any(result.startswith(ACT) for result in results[-STALE:]) else STALE
    if len(results) <= row:
        return None
    if any(results[at] not in results[:at] for at in range(len(results) - row, len(results))):
        return None
    description = f"the last {row} results of tools were all seen before"
    return Loop(kind=STALENESS, signature=STALENESS, description=description)


def _repetition(trail: Sequence[Made], asked: str) -> Loop | None:
    before = [made.result for made in trail if made.call == asked]
    last = next((result for result in reversed(before) if result != NOT_MADE), "")
    alike = len(list(itertools.takewhile(lambda result: result in {NOT_MADE, last}, reversed(before))))
    if alike < SAME_RESULTS and len(before) < SAME_CALLS:
        return None
    if alike < SAME_RESULTS:
        happened = f"made {len(before)} times, with no end in sight"
    elif last:
        happened = f"made {len(before)} times, with the same result each time"
    else:
        happened = f"asked for {len(before)} times before in this reply"
    description = f"the same call with the same arguments was {happened}"
    return Loop(kind="repetition", signature=f"repetition:{asked}", description=description)


def _cycle(trail: Sequence[Made], asked: str) -> Loop | None:
    made = [*(each.call for each in trail), asked]
    for length in range(2, LONGEST_CYCLE + 1):
        tail = made[-length * CYCLES :]
        if len(tail) < length * CYCLES or len(set(tail)) == 1:
            continue
        if all(tail[position] == tail[position % length] for position in range(len(tail))):
            return Loop(
                kind="cycle",
                signature="cycle:" + ",".join(sorted(set(tail))),
                description=f"the same round of {length} calls goes round for the {CYCLES}rd time",
            )
    return None
