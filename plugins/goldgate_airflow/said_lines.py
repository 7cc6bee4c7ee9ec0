"""What a trigger said, for the log of a task that is deferred again."""

from collections import deque
from typing import Final

MOST_CHARS: Final = 65_536
"""It goes through Airflow's database, with the event that wakes the task."""


class SaidLines:
    """The last lines that were said, as many as have room."""

    def __init__(self, *, most_chars: int = MOST_CHARS) -> None:
        self._most_chars = most_chars
        self._kept: deque[str] = deque()
        self._chars = 0
        self._dropped = 0

    def keep(self, line: str) -> None:
        """Keep a line, in the place of the oldest ones."""
        self._kept.append(line)
        self._chars += len(line)
        while self._chars > self._most_chars:
            self._chars -= len(self._kept.popleft())
            self._dropped += 1

    def lines(self, pod: str) -> list[str]:
        """Tell what is kept, and how much of the log of a pod is not."""
        kept = list(self._kept)
        return [f"Earlier lines left out: {self._dropped} (kubectl logs {pod})", *kept] if self._dropped else kept
