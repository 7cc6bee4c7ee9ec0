"""Find phone numbers: international ones by their form, others by their form or by the word that names them."""

import re
from collections.abc import Iterator

from goldgate.agent.safety.checksums import digits_of
from goldgate.ports.identifiers import PhoneNumbers

_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "BR", "IN", "JP", "CH", "AT", "SE", "AU", "MX", "ZA", "TR",
            "CN", "NG", "KE", "AR")  # fmt: skip
"""Where a number without a country's code may be dialled: the plans that the labelled set has numbers of."""

_MOST_CUTS = 3
"""How many groups after a number may be taken for a part of it: `+49 170 1234567 12:30` has one."""

_INTERNATIONAL = re.compile(
    r"(?<![\w+.-])(?P<datum>(?:\+|(?<!\d )00(?=[ 1-9])|(?:011|plus) ) ?[1-9]"
    r"(?:[ ./-]?\(?\d{1,12}\)?[ ]?){1,12}(?<![ (]))(?![\w-])"
)
_EXTENSION = r"(?:,? ?(?:x|ext\.? ?)\d{1,6})?"
_NANP = re.compile(
    r"(?<![\w.-])(?P<datum>(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[. -])[2-9]\d{2}[. -]\d{4}"
    rf"{_EXTENSION})(?![\w-]|\.\d)",
    re.IGNORECASE,
)
# Pairs as in France, a trunk prefix with a slash or blank as in Germany and Britain.
_TRUNK = re.compile(
    r"(?<![\w.:/+-])(?<!\d )(?P<datum>0[1-9](?:(?P<gap>[ .-])\d{2})(?:(?P=gap)\d{2}){3}|"
    r"0[1-9]\d{1,3} ?/ ?\d{5,8}|\(0\d{1,4}\) ?\d{5,8}"
    r"|\(0\) ?\d{2,4} ?\d{5,8}|0[1-9]\d{1,3} \d{3,4} \d{3,4})(?![\w:-]|[. ]\d)"
)
_FILLER = r"(?:[\s_]?(?:number|no\.?|nr\.?|nummer|numéro|número|is|ist|est|es|è|on|at|back|again|unter|:|=|n°)){0,3}"
_NAMED = re.compile(
    r"(?<![^\W_])(?:(?:tele(?:phone|fon|foon|fono)|téléphone|handy|mob(?:ile?)?|móvil|cell(?:ulare|phone)?|fax)"
    r"(?:number|nummer|nr)?|tel\.?|phone(?:number)?|contact[_ ](?:number|no)|whatsapp|mi (?:número|teléfono)|"
    r"(?:call|text|ring|reach) (?:me|us|him|her|them)|(?:ruf|rufen sie) (?:mich|uns) an|"
    rf"appelez(?:[- ]moi)?(?: au| le)?|llám[ae](?:me|nos)(?: al)?)[\"'>\\]{{0,3}}{_FILLER}[\s:=\"'\\]{{0,5}}"
    rf"(?P<datum>\(?\d[\d ()/.-]{{5,18}}\d{_EXTENSION})(?!\w)",
    re.IGNORECASE,
)


_AN_EXTENSION = re.compile(r",? ?(?:x|ext\.? ?)\d{1,6}$", re.IGNORECASE)


def find_phones(text: str, book: PhoneNumbers | None) -> Iterator[tuple[int, int]]:
    """Find where they stand. Without a book their number of digits decides."""
    for match in _INTERNATIONAL.finditer(text):
        if (end := _international_end(match, book)) is not None:
            yield match.start(), end
    for match in _NANP.finditer(text):
        yield match.span("datum")
    for match in _TRUNK.finditer(text):
        if book is None or _is_dialled_somewhere(match["datum"], book):
            yield match.span("datum")
    for match in _NAMED.finditer(text):
        if _is_named_number(match["datum"], book):
            yield match.span("datum")


def _international_end(match: re.Match[str], book: PhoneNumbers | None) -> int | None:
    """Find where the number ends: perhaps some groups before the end of what looks like it."""
    datum = match["datum"]
    for _ in range(_MOST_CUTS + 1):
        digits = digits_of(datum)
        digits = digits.removeprefix("011") if datum.startswith("011") else digits.removeprefix("00")
        # Source: ITU-T E.164: at most 15 digits with the country code; the trunk prefix in brackets is none of them.
        if 7 <= len(digits) <= 16 and (book is None or book.is_possible(_with_plus(datum, digits), region=None)):  # noqa: PLR2004 - E.164
            return match.start("datum") + len(datum)
        datum = re.sub(r"[ ./(-]+\(?\d*\)?$", "", datum).rstrip(" (")
    return None


def _with_plus(datum: str, digits: str) -> str:
    return "+" + digits_of(datum.replace("(0)", "")) if "(0)" in datum else "+" + digits


def _is_named_number(datum: str, book: PhoneNumbers | None) -> bool:
    datum = _AN_EXTENSION.sub("", datum)
    digits = digits_of(datum)
    if not 7 <= len(digits) <= 15:  # noqa: PLR2004 - E.164
        return False
    return book is None or _is_dialled_somewhere(datum, book)


def _is_dialled_somewhere(datum: str, book: PhoneNumbers) -> bool:
    plain = datum.replace("(0)", "0")
    return any(book.is_possible(plain, region=region) for region in _REGIONS)
