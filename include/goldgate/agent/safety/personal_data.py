"""Find personal data in text, by form and, where one exists, by checksum.

What it does not do: names, addresses and anything else without a form of its own. IP addresses are no personal data
here, because questions about software are full of them.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PersonalDatum:
    """A piece of personal data and where it stands in the text."""

    kind: str
    text: str
    start: int
    end: int


def find_personal_data(text: str) -> list[PersonalDatum]:
    """Find all personal data, in order of appearance; pieces do not overlap, the earlier kind of the list wins."""
    found: list[PersonalDatum] = []
    taken = bytearray(len(text))
    for kind, pattern, is_real in _FORMS:
        for match in pattern.finditer(text):
            start, end = match.span("datum")
            if not any(taken[start:end]) and is_real(match):
                taken[start:end] = b"\1" * (end - start)
                found.append(PersonalDatum(kind=kind, text=match.group("datum"), start=start, end=end))
    return sorted(found, key=lambda datum: datum.start)


def redact(text: str, *, keep: Collection[str] = ()) -> tuple[str, list[PersonalDatum]]:
    """Replace personal data by `[redacted: <kind>]`.

    Args:
        text: What may hold personal data.
        keep: Texts that are known to the public; what stands in one of them stays.

    Returns:
        The text, and what was replaced.
    """
    gone = [datum for datum in find_personal_data(text) if not any(datum.text in known for known in keep)]
    parts: list[str] = []
    position = 0
    for datum in gone:
        parts += (text[position : datum.start], f"[redacted: {datum.kind}]")
        position = datum.end
    return "".join([*parts, text[position:]]), gone


def asks_for_personal_data(question: str) -> bool:
    """Tell whether a question asks for a person's contact, identity, money or health data."""
    return any(pattern.search(question) for pattern in _REQUESTS)


def _digits(text: str) -> list[int]:
    return [int(char) for char in text if char.isdigit()]


def _passes_luhn(match: re.Match[str]) -> bool:
    """Source: ISO/IEC 7812-1, annex B."""
    digits = _digits(match.group("datum"))
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(doubled) % 10 == 0  # noqa: PLR2004 - the standard


def _passes_iban(match: re.Match[str]) -> bool:
    """Source: ISO 13616-1: country and check digits moved to the end, letters from A=10, modulo 97 is 1."""
    iban = re.sub(r"\s", "", match.group("datum")).upper()
    if not 15 <= len(iban) <= 34:  # noqa: PLR2004 - the standard
        return False
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _passes_dni(match: re.Match[str]) -> bool:
    """Source: Real Decreto 1553/2005: the letter at number modulo 23; X, Y, Z of foreigners count 0, 1, 2."""
    datum = match.group("datum").upper().replace("-", "")
    number = int({"X": "0", "Y": "1", "Z": "2"}.get(datum[0], datum[0]) + datum[1:8])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == datum[8]


_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def _passes_codice_fiscale(match: re.Match[str]) -> bool:
    """Source: Decreto ministeriale 23 dicembre 1976: odd places by table, even places by value, modulo 26."""
    datum = match.group("datum").upper()
    values = [int(char) if char.isdigit() else ord(char) - ord("A") for char in datum]
    total = sum(_ODD[value] if place % 2 == 0 else value for place, value in enumerate(values[:15]))
    return total % 26 == values[15]


def _passes_nir(match: re.Match[str]) -> bool:
    """Source: INSEE: the key is 97 less the number modulo 97."""
    digits = "".join(map(str, _digits(match.group("datum"))))
    return 97 - int(digits[:13]) % 97 == int(digits[13:])


def _passes_cpf(match: re.Match[str]) -> bool:
    """Source: Receita Federal: two check digits by weights 10..2 and 11..2, modulo 11."""
    digits = _digits(match.group("datum"))
    checks = [sum(d * w for d, w in zip(digits, range(n + 1, 1, -1), strict=False)) * 10 % 11 % 10 for n in (9, 10)]
    return len(set(digits)) > 1 and checks == digits[9:]


def _is_phone(match: re.Match[str]) -> bool:
    """Source: ITU-T E.164: at most 15 digits with the country code."""
    return 7 <= len(_digits(match.group("datum"))) <= 15  # noqa: PLR2004 - the standard


_RESERVED_HOSTS = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost|local)$", re.IGNORECASE)
"""Names that belong to nobody. Source: RFC 2606, RFC 6761, RFC 6762."""

_ROLES = {"abuse", "admin", "git", "hostmaster", "info", "no-reply", "noreply", "postmaster", "root", "security"}
_ROLES |= {"sales", "support", "webmaster"}
"""Mailboxes of a role, not of a person. Source: RFC 2142, and the user of `git@host:path` addresses."""

_LONGEST_ADDRESS = 300
"""How far before a mailbox the `://` of an address is looked for: looking to the beginning took a minute for 144 kB."""


def _is_a_persons_email(match: re.Match[str]) -> bool:
    local, _, host = match.group("datum").partition("@")
    start = match.start("datum")
    word_before = re.split(r"\s", match.string[max(0, start - _LONGEST_ADDRESS) : start])[-1]
    return local.lower() not in _ROLES and not _RESERVED_HOSTS.search(host) and "://" not in word_before


def _always(_match: re.Match[str]) -> bool:
    return True


_FORMS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    (
        "e-mail",
        re.compile(r"(?<![\w.+/@-])(?P<datum>[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24})(?![\w@])"),
        _is_a_persons_email,
    ),
    (
        "iban",
        re.compile(r"\b(?P<datum>[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?)\b"),
        _passes_iban,
    ),
    # Before cards: some of its numbers pass Luhn too.
    (
        "national id",
        re.compile(r"(?<!\d)(?P<datum>[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d{2} ?\d{3} ?\d{3} ?\d{2})(?!\d)"),
        _passes_nir,
    ),
    ("card", re.compile(r"(?<![\w.-])(?P<datum>\d(?:[ -]?\d){12,18})(?![\w-]|\.\d)"), _passes_luhn),
    ("national id", re.compile(r"\b(?P<datum>[XYZxyz\d]\d{7}-?[A-Za-z])\b"), _passes_dni),
    (
        "national id",
        re.compile(r"\b(?P<datum>[A-Za-z]{6}\d{2}[A-EHLMPRSTa-ehlmprst]\d{2}[A-Za-z]\d{3}[A-Za-z])\b"),
        _passes_codice_fiscale,
    ),
    ("national id", re.compile(r"(?<!\d)(?P<datum>\d{3}\.\d{3}\.\d{3}-\d{2})(?!\d)"), _passes_cpf),
    # A US social security number has no checksum; its form with dashes and the areas never given out are telling.
    # Source: SSA, POMS RM 10201.035.
    (
        "national id",
        re.compile(r"(?<![\d-])(?P<datum>(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4})(?![\d-])"),
        _always,
    ),
    (
        "phone",
        re.compile(r"(?<![\w+])(?P<datum>\+[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,4}\)?){2,6})(?![\w-])"),
        _is_phone,
    ),
    (
        "phone",
        re.compile(r"(?<![\w.-])(?P<datum>(?:\(\d{3}\) ?|\d{3}[. -])\d{3}[. -]\d{4})(?![\w-]|\.\d)"),
        _is_phone,
    ),
    (
        "phone",
        re.compile(
            r"\b(?:tel|telephone|phone|mobile|cell|handy|fax)\b[^\d\n]{0,20}(?P<datum>\(?\d[\d ()/.-]{5,18}\d)(?!\w)",
            re.IGNORECASE,
        ),
        _is_phone,
    ),
)

_PRIVATE = (
    r"(?:(?:home|private|personal|work|mobile|cell)\s+)?(?:phone(?:\s+number)?|telephone(?:\s+number)?|mobile number|"
    r"cell number|home address|postal address|street address|e-?mail(?:\s+address)?|whereabouts|salary|income|"
    r"date of birth|birth\s?date|birthday|age|social security number|ssn|passport(?:\s+number)?|tax id|"
    r"(?:credit )?card(?:\s+number)?|bank (?:account|details)(?:\s+number)?|iban|medical (?:record|history)s?|"
    r"diagnosis|religion|sexual orientation|criminal record|driver'?s licen[cs]e(?:\s+number)?)"
)
_ROLE_OF_PERSON = (
    r"(?:(?:my|our|your|his|her|their|the)\s+)(?:\w+\s+){0,2}?(?:ceo|cto|cfo|boss|manager|colleague|coworker|"
    r"co-worker|neighbou?r|employee|customer|client|patient|wife|husband|girlfriend|boyfriend|ex|son|daughter|friend|"
    r"teammate|founder|author|maintainer|committer|president|doctor|teacher|landlord|person|people|guy|woman|man)s?"
)
# Bounded, because a text of capitalised words would else be read to its end from each of them.
_NAMED = r"[A-Z][a-zà-ÿ]+(?:\s+(?:van|von|de|di|da|del|la|le|bin|al)\b){0,4}(?:\s+[A-Z][\w'à-ÿ-]+){1,6}"

_REQUESTS = (
    re.compile(rf"\b(?i:{_PRIVATE})\s+(?:of|for|belonging to)\s+(?:{_NAMED}|(?i:{_ROLE_OF_PERSON})\b)"),
    re.compile(rf"\b(?:{_NAMED}|(?i:{_ROLE_OF_PERSON}))['\u2019]s?\s+(?i:{_PRIVATE})\b"),
    re.compile(rf"\b(?i:where)\s+(?i:does|do|did)\s+(?:{_NAMED}|(?i:{_ROLE_OF_PERSON}))\s+(?i:live|work|stay|sleep)\b"),
    re.compile(rf"\b(?i:how (?:old|rich|much (?:money )?does)|what does)\s+(?:is\s+)?(?:{_NAMED})\b"),
    re.compile(rf"\b(?i:how much)\s+(?i:does|did)\s+(?:{_NAMED}|(?i:{_ROLE_OF_PERSON}))\s+(?i:earn|make|get paid)\b"),
    re.compile(rf"\b(?i:password|credentials|pin)\s+(?i:of|for)\s+{_NAMED}"),
    re.compile(rf"\b{_NAMED}['\u2019]s?\s+(?i:password|credentials|pin)\b"),
    re.compile(
        rf"\b(?i:(?:list|give|show|tell|send|find|get|dump|export)\b.{{0,40}}\b(?:all|every|each|the)\b.{{0,30}}\b"
        rf"(?:users?|customers?|employees?|patients?|people|members?)['\u2019]?s?\s+{_PRIVATE}(?:s|es)?)\b"
    ),
    re.compile(
        rf"\b(?i:{_PRIVATE}(?:s|es)?\s+of\s+(?:all|every|each)\s+(?:\w+\s+)?"
        rf"(?:users?|customers?|employees?|patients?|people|members?))\b"
    ),
)
"""A person is a name of two capitalised words, or somebody by role. "The phone number of the alert" asks for nobody."""
