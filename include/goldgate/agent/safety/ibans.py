"""Find IBANs, however they are spaced: their country says how long they are."""

import re
from collections.abc import Iterator

from goldgate.agent.safety.checksums import iban_length, passes_iban

_BEGINS = re.compile(r"(?<![A-Za-z0-9])[A-Za-z] ?[A-Za-z][ ._-]?\d ?\d")
_GAPS = " ._-\n\t"


def find_ibans(text: str) -> Iterator[tuple[int, int]]:
    """Find where they stand: a country, as many characters as it has, and a checksum that holds."""
    for match in _BEGINS.finditer(text):
        head = match.group().replace(" ", "")
        length = iban_length(head[:2])
        if length is None:
            continue
        end, plain = _walked(text, match.start(), length)
        is_cut = end < len(text) and text[end].isalnum()
        if len(plain) == length and not is_cut and passes_iban(plain):
            yield match.start(), end


def _walked(text: str, start: int, length: int) -> tuple[int, str]:
    """Take that many letters and digits, with at most one gap between two."""
    plain: list[str] = []
    place, was_gap = start, True
    while place < len(text) and len(plain) < length:
        char = text[place]
        if char.isascii() and char.isalnum():
            plain.append(char)
            was_gap = False
        elif char in _GAPS and not was_gap:
            was_gap = True
        else:
            break
        place += 1
    return place, "".join(plain)
