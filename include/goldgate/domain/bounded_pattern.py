"""Patterns that people write and that are held to texts of others: what each costs is known before it is used.

Python's `re` goes back and tries again, so that some short patterns take years on some short texts. Here every repeat
has an end, no repeated group repeats or chooses inside, and the ways to match at one place are counted and bounded.
"""

import re
import warnings
from typing import Final

MAX_WAYS: Final = 2_000
"""Ways to match at one place: with 20,000 characters of question, well under a second."""

MAX_REPEATS: Final = 200
"""Two long sentences."""

_QUANTIFIER = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}|[*+?]")
_NO_GROUPS = re.compile(r"\(\?(?!:)")


def pattern_problem(pattern: str) -> str | None:
    """Say why a pattern is not to be used; None if it may be."""
    if _NO_GROUPS.search(pattern):
        return "no look-around, no flags and no named groups: only `(...)` and `(?:...)`"
    if re.search(r"\\[1-9]", pattern):
        return "no reference to an earlier group"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern, re.IGNORECASE)
    except (re.error, FutureWarning, RecursionError, OverflowError) as error:
        return f"a regular expression ({error})"
    try:
        ways, place = _Ways(pattern).alternatives(0)
    except _RefusedError as refused:
        return str(refused)
    if place < len(pattern):
        return "balanced brackets"
    return None if ways <= MAX_WAYS else f"at most {MAX_WAYS} ways to match at one place, not {ways}"


class _RefusedError(Exception):
    """The pattern may cost too much, or cannot be read."""


class _Ways:
    """Counts the ways in which a pattern may match at one place."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def alternatives(self, place: int) -> tuple[int, int]:
        """Count those of alternatives, to the end of their group. Returns the count, and where they end."""
        total, ways = 0, 1
        while place < len(self._pattern) and self._pattern[place] != ")":
            if self._pattern[place] == "|":
                total, ways, place = total + ways, 1, place + 1
                continue
            inner, after = self._atom(place)
            repeats, place = self._repeats(after, inner)
            ways *= inner * repeats
        return total + ways, place

    def _atom(self, place: int) -> tuple[int, int]:
        match self._pattern[place]:
            case "(":
                is_plain = self._pattern.startswith("(?:", place)
                ways, end = self.alternatives(place + (3 if is_plain else 1))
                return ways, end + 1
            case "[":
                return 1, self._end_of_set(place)
            case "\\":
                return 1, place + 2
            case _:
                return 1, place + 1

    def _end_of_set(self, place: int) -> int:
        place += 2 if self._pattern.startswith("[^", place) else 1
        place += self._pattern.startswith("]", place)
        while self._pattern[place] != "]":
            place += 2 if self._pattern[place] == "\\" else 1
        return place + 1

    def _repeats(self, place: int, inner: int) -> tuple[int, int]:
        found = _QUANTIFIER.match(self._pattern, place)
        if found is None:
            return 1, place
        if found.group() in ("*", "+") or (found[2] and not found[3]):
            raise _RefusedError(f"every repeat with an end, such as `{{0,40}}`, not `{found.group()}`")
        end = found.end() + self._pattern.startswith(("?", "+"), found.end())
        low, high = (0, 1) if found.group() == "?" else (int(found[1]), int(found[3] or found[1]))
        if high > MAX_REPEATS:
            raise _RefusedError(f"at most {MAX_REPEATS} repeats, not {high}")
        if inner > 1 and high > 1:
            raise _RefusedError("no repeated group that repeats or chooses inside")
        return high - low + 1, end
