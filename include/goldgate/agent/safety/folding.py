"""One form for texts that look the same, with the way back to where each character stood.

Full-width and styled letters, digits of other scripts, the many dashes and blanks, and characters that are not seen:
a reader takes them for the plain ones, so what looks for something must as well.
"""

import re
import unicodedata
from dataclasses import dataclass

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that are not seen but split a word: Default_Ignorable_Code_Point. Source: Unicode 15.1, table 5-4."""

_PLAIN = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
    "\u3002": ".",
    "\uff61": ".",
    "\u2024": ".",
    "\u2019": "'",
    "\u02bc": "'",
}


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A text in plain form."""

    text: str
    places: list[int] | None
    """Where each of its characters stood, and the end; None if nothing has moved."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Find what part of the original a part of the plain form is made of."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def fold(text: str) -> Folded:
    """Bring a text to its plain form: NFKC, plain dashes and digits, nothing invisible. Letters keep their case."""
    if text.isascii():
        return Folded(text=text, places=None)
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        plain = character if character.isascii() else _plain(character)
        characters.append(plain)
        places.extend([place] * len(plain))
    places.append(len(text))
    return Folded(text="".join(characters), places=places)


def _plain(character: str) -> str:
    if INVISIBLE.match(character):
        return ""
    if (known := _PLAIN.get(character)) is not None:
        return known
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    return "".join(_PLAIN.get(part, part) for part in unicodedata.normalize("NFKC", character))
