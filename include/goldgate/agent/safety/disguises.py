"""The plain text behind disguises: what a model would read, in forms that patterns can be held to.

Covered: characters that are not seen, styled and foreign letters that look Latin, HTML entities and tags, percent
signs, escapes of JSON, Markdown, letters set apart, digits for letters, base64, text that is shown from right to left,
and the tag characters of Unicode. Not covered: text that is reversed without the sign for it, rotated alphabets, other
encodings, and what is only in a picture.
"""

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from goldgate.agent.safety.folding import INVISIBLE

_LOOK_ALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαοινυρ",  # noqa: RUF001 - what is looked for
    "ABESIJKMHOPCTYXaesijopcyxdhqwABEZHIKMNOPTYXaoivup",
) | str.maketrans("ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢօոս", "abcdeghijklmnoprstuvwyzonu")
"""Letters of Cyrillic and Greek that look Latin. Source: Unicode TR39, confusables.txt, those of one letter."""

_LOOK_ALIKES.update({0x1F1E6 + place: ord("A") + place for place in range(26)})  # regional indicators, which make flags
_LEET = str.maketrans("013457@$", "oieastas")
_MIXED_WORD = re.compile(r"\b(?=[a-z0-9@$]{0,20}[a-z])(?=[a-z]{0,20}[0134578@$])[a-z0134578@$]{3,24}\b", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,200}>|<!--|-->")
_MARKUP = re.compile(r"[*`~|]+|(?<=\w)_(?=\w)|(?<=[A-Za-z])[^\w\s'](?=[A-Za-z])")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_MOST_WRAPS = 2
"""How often entities and percent signs are unwrapped: what was encoded twice is seen, and nothing grows."""

_SET_APART = re.compile(r"\b(?:\w ){2,80}\w\b")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,4000}={0,2}")
_MOST_DECODED = 50
"""Pieces of base64 that are looked into; a text with more is a file."""

_TAG_CHARACTERS = re.compile("[\U000e0020-\U000e007e]+")


def plain_views(text: str) -> Iterator[str]:
    """Give the text as it is, then as a model would read it if it is disguised. No view is longer than the text."""
    yield text
    seen = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if seen != text:
        yield seen
    undressed = _undressed(seen)
    if undressed != seen:
        yield undressed
    yield from _decoded(seen)
    if "\u202e" in text:
        yield seen[::-1]
    if not text.isascii() and (hidden := "".join(_TAG_CHARACTERS.findall(text))):
        yield "".join(chr(ord(char) - 0xE0000) for char in hidden)


def _undressed(text: str) -> str:
    plain = text
    for _ in range(_MOST_WRAPS):
        plain = html.unescape(plain) if "&" in plain else plain
        plain = unquote(plain, errors="replace") if "%" in plain else plain
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), plain)
    plain = INVISIBLE.sub("", unicodedata.normalize("NFKD", plain)) if not plain.isascii() else plain
    plain = _without_accents_on_latin(plain) if not plain.isascii() else plain
    plain = plain.translate(_LOOK_ALIKES) if not plain.isascii() else plain
    plain = _TAG.sub("", plain).replace("\\n", " ").replace("\\t", " ")
    plain = _MARKUP.sub(" ", plain)
    plain = _SET_APART.sub(lambda match: match.group().replace(" ", ""), plain.replace("  ", "\u2003"))
    plain = _MIXED_WORD.sub(lambda match: match.group().translate(_LEET), plain)
    return re.sub(r"[ \t\u2003]+", " ", _CAMEL.sub(" ", plain))


def _without_accents_on_latin(text: str) -> str:
    """Compose again what belongs together in a language, and drop the accents that do not."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(char for char in composed if not unicodedata.combining(char))


def _decoded(text: str) -> Iterator[str]:
    for count, match in enumerate(_BASE64.finditer(text)):
        if count >= _MOST_DECODED:
            return
        raw = match.group().rstrip("=").replace("-", "+").replace("_", "/")
        whole = raw[: len(raw) - (len(raw) % 4 == 1)]
        try:
            decoded = base64.b64decode(whole + "=" * (-len(whole) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if decoded.isprintable() or "\n" in decoded:
            yield decoded
