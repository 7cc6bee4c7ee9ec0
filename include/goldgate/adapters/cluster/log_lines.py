"""Lines of a pod's log, as whoever wrote them ended them: by a line feed, and by nothing else.

What splits text for HTTP clients also ends a line at a carriage return, a form feed or U+2028. The rest of such a line
bears no stamp, and would be lost: all that a progress bar shows after its first word, for one.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

LONGEST_BYTES: Final = 1_000_000
"""Of one line. Whoever follows many pods holds one of each in memory."""


async def lines_of(chunks: AsyncIterator[bytes], *, longest_bytes: int = LONGEST_BYTES) -> AsyncGenerator[str, None]:
    """Yield each line without its end; of one that is too long its beginning, and how much of it is left out.

    Args:
        chunks: The log, cut anywhere.
        longest_bytes: Of one line.
    """
    kept, size_bytes = bytearray(), 0
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            kept += piece[: max(longest_bytes - size_bytes, 0)]
            yield _text(kept, left_out_bytes=size_bytes + len(piece) - len(kept))
            kept, size_bytes = bytearray(), 0
        kept += rest[: max(longest_bytes - size_bytes, 0)]
        size_bytes += len(rest)
    if size_bytes:
        yield _text(kept, left_out_bytes=size_bytes - len(kept))


def _text(kept: bytes | bytearray, *, left_out_bytes: int) -> str:
    text = kept.decode("utf-8", errors="replace").removesuffix("\r")
    return f"{text} … ({left_out_bytes} bytes of this line left out)" if left_out_bytes else text
