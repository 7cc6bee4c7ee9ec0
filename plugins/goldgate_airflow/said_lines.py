"""What a trigger said, for the log of a task that is deferred again."""

import json
from collections import deque
from typing import Final

MOST_BYTES: Final = 65_536
"""It goes through Airflow's database, with the event that wakes the task."""

_LONGEST_RATIO: Final = 0.25
"""Of the room, for one line: beside a very long one there must be others."""

_SEPARATOR_BYTES: Final = len(", ")


class SaidLines:
    """The last lines that were said, as many as have room as JSON: the same sign takes up to twelve bytes there."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: deque[tuple[str, int]] = deque()
        self._bytes = 0
        self._dropped = 0

    def keep(self, line: str) -> None:
        """Keep a line, in the place of the oldest ones; of a very long one, its beginning."""
        shown = line
        while shown and _written(shown) > self._most_bytes * _LONGEST_RATIO:
            shown = shown[: len(shown) // 2]
        shown += "" if shown == line else f"… ({len(line) - len(shown)} characters left out)"
        self._kept.append((shown, _written(shown)))
        self._bytes += _written(shown)
        while self._bytes > self._most_bytes:
            self._bytes -= self._kept.popleft()[1]
            self._dropped += 1

    def lines(self, pod: str) -> list[str]:
        """Tell what is kept, and how much of the log of a pod is not."""
        kept = [line for line, _ in self._kept]
        return [f"Earlier lines left out: {self._dropped} (kubectl logs {pod})", *kept] if self._dropped else kept


def _written(line: str) -> int:
    return len(json.dumps(line)) + _SEPARATOR_BYTES
