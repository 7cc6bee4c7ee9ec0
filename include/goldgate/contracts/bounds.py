"""How much may stand in a field of a resource: a number beyond that is a slip of whoever wrote it, and no limit."""

from typing import Final

MOST_STEPS: Final = 100
"""Model calls of one run."""
LONGEST_WORK_SECONDS: Final = 86_400
"""A day of work, waiting for people not counted."""
LONGEST_DEADLINE_SECONDS: Final = 31_536_000
"""A year, waiting for people counted. A moment beyond the year 9999 cannot be written."""
MOST_DEPTH: Final = 8
"""Agents above an agent."""
MOST_TOKENS: Final = 1_000_000_000
"""A thousand times the longest conversation that a model takes."""
MOST_CHARS: Final = 1_000_000_000
MOST_USD: Final = 1_000_000
MOST_BYTES: Final = 1_000_000_000
"""Of one request or response, which is held in memory."""
MOST_SCRATCH_BYTES: Final = 1_000_000_000_000
"""Of a pod's own folder."""
MOST_REQUESTS: Final = 1_000_000
"""In a minute, at once, or in a row."""
MOST_WEIGHT: Final = 1_000_000
MOST_PARTS: Final = 10_000
"""Of one text: seven gigabytes."""
