"""Split what a program writes into lines, holding no more than one line's worth of it."""

import re
from dataclasses import dataclass
from typing import Final

_KEPT: Final = 512
"""Of a line that is too long, so much of its beginning and its end is kept: its id may stand there."""

_ID_FIRST: Final = re.compile(rb'\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(\d{1,18})\s*,')
_ID_LAST: Final = re.compile(rb'"id"\s*:\s*(\d{1,18})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


@dataclass(frozen=True, kw_only=True)
class TooLong:
    """A line that was not kept."""

    head: bytes
    tail: bytes
    size: int

    @property
    def answers(self) -> int | None:
        """Id of the request that the line answers, as far as its ends tell."""
        if (first := _ID_FIRST.match(self.head)) is not None:
            return int(first.group(1))
        last = _ID_LAST.search(self.tail)
        return int(last.group(1)) if last else None


class BoundedLines:
    """Takes bytes as they come and gives whole lines. Memory is bounded by the longest line that is kept."""

    def __init__(self, *, most_bytes: int) -> None:
        self._most = most_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._head = b""
        self._tail = b""

    @property
    def pending(self) -> int:
        """Bytes of the line that has not ended yet, kept or not."""
        return self._size

    def feed(self, chunk: bytes) -> list[bytes | TooLong]:
        """Take bytes; give the lines that they end, without their newline."""
        *ended, rest = chunk.split(b"\n")
        lines = []
        for part in ended:
            self._take(part)
            lines.append(self._line())
        self._take(rest)
        return lines

    def _take(self, part: bytes) -> None:
        self._size += len(part)
        if len(self._head) < _KEPT:
            self._head += part[: _KEPT - len(self._head)]
        if self._size <= self._most:
            self._parts.append(part)
        else:
            self._tail = (b"".join(self._parts)[-_KEPT:] + self._tail + part[-_KEPT:])[-_KEPT:]
            self._parts.clear()

    def _line(self) -> bytes | TooLong:
        if self._size <= self._most:
            line: bytes | TooLong = b"".join(self._parts)
        else:
            line = TooLong(head=self._head, tail=self._tail, size=self._size)
        self._parts, self._size, self._head, self._tail = [], 0, b"", b""
        return line
