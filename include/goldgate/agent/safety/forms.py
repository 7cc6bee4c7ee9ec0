"""The forms of personal data: how each is written, which words name it, and what tells it from other numbers.

Every pattern is bounded, so that no text is read to its end from each of its places. A form that digits alone could
have by chance needs a word that names it close by.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from goldgate.agent.safety import checksums

Check = Callable[[re.Match[str]], bool]
_NEAR_CHARS = 40
"""How far before a number its name may stand: `her social security number, as she told me, is` and a bit."""

_AFTER_CHARS = 20
"""How far after it: `", "type": "PESEL"`."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to write one kind of personal data. The pattern names the datum itself `datum`."""

    kind: str
    pattern: re.Pattern[str]
    check: Check | None = None
    words: re.Pattern[str] | None = None
    """Names that must stand shortly before or right after."""

    def matches(self, text: str) -> Iterator[tuple[int, int]]:
        """Find where it stands."""
        for match in self.pattern.finditer(text):
            start, end = match.span("datum")
            if self._is_named(text, start, end) and (self.check is None or self.check(match)):
                yield start, end

    def _is_named(self, text: str, start: int, end: int) -> bool:
        words = self.words
        return words is None or bool(
            words.search(text, max(0, start - _NEAR_CHARS), start) or words.search(text, end, end + _AFTER_CHARS)
        )


_RESERVED_HOSTS = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost|local)$", re.IGNORECASE)
"""Names that belong to nobody. Source: RFC 2606, RFC 6761, RFC 6762."""

_ROLES = {"abuse", "admin", "git", "hostmaster", "info", "no-reply", "noreply", "postmaster", "root", "security"}
_ROLES |= {"sales", "support", "webmaster"}
"""Mailboxes of a role, not of a person. Source: RFC 2142, and the user of `git@host:path` addresses."""

_LONGEST_ADDRESS = 300
"""How far before a mailbox the `://` of an address is looked for: looking to the beginning took a minute for 144 kB."""

_TLD = r"[^\W\d_]{2,24}"
_HOST = rf"(?:(?!-)[\w-]{{1,63}}\.){{1,8}}(?:{_TLD}|xn--[a-z0-9-]{{2,59}})"
_AT_WORD = r"\s?[\[({<]\s?(?:at|ät|@)\s?[\])}>]\s?"
_DOT_WORD = r"(?:\s?[\[({<]\s?(?:dot|punkt|punto|point|\.)\s?[\])}>]\s?|\.)"


def _is_a_persons_email(match: re.Match[str]) -> bool:
    local, _, host = re.sub(r"%40|&#64;|&#x40;|&commat;", "@", match.group("datum")).rpartition("@")
    start = match.start("datum")
    word_before = re.split(r"\s", match.string[max(0, start - _LONGEST_ADDRESS) : start])[-1]
    _, scheme, authority = word_before.rpartition("://")
    # `https://user:word@host` names an account of a machine; what follows its path or query may be anybody's.
    is_account = bool(scheme) and not re.search(r"[/?#]", authority)
    return local.lower() not in _ROLES and not _RESERVED_HOSTS.search(host) and not is_account


_EMAILS = (
    Form(
        kind="e-mail",
        pattern=re.compile(
            rf"(?<![\w.+/@%-])(?P<datum>[\w.+'%-]{{1,64}}(?:@|%40|&#64;|&#x40;|&commat;){_HOST})(?![\w@])",
            re.IGNORECASE,
        ),
        check=_is_a_persons_email,
    ),
    Form(kind="e-mail", pattern=re.compile(rf'(?P<datum>"[\w.+\' -]{{1,64}}"@{_HOST})(?![\w@])')),
    # Written so that programs do not read it: `maria [at] firm [dot] de`, `maria at firm dot de`.
    Form(
        kind="e-mail",
        pattern=re.compile(
            rf"(?<![\w.+-])(?P<datum>[\w.+-]{{1,64}}(?:{_AT_WORD}[\w-]{{1,63}}(?:{_DOT_WORD}[\w-]{{1,63}}){{0,4}}?"
            rf"{_DOT_WORD}{_TLD}|@[\w-]{{1,63}}\s?[\[({{<]\s?(?:dot|punkt|punto|point)\s?[\])}}>]\s?{_TLD}))(?!\w)",
            re.IGNORECASE,
        ),
    ),
    Form(
        kind="e-mail",
        pattern=re.compile(
            rf"(?<![\w.+-])(?P<datum>[\w.+]{{1,64}}(?P<gap>[ _-])at(?P=gap)[\w]{{1,63}}(?P=gap)dot(?P=gap){_TLD}"
            rf"|[\w.+]{{1,64}} @ [\w]{{1,63}} \. {_TLD})(?!\w)",
            re.IGNORECASE,
        ),
    ),
)

_CARD = Form(
    kind="card",
    pattern=re.compile(
        r"(?<![A-Za-z0-9.-])(?P<datum>\d(?:[ -]?\d){12,18}|"
        # A list of numbers goes on before or after.
        r"(?<!\d[.,_/\n\t])\d{4}(?P<gap>[.,_/\n\t]|  )\d{4}(?P=gap)\d{4}(?P=gap)\d{4}(?!(?P=gap)\d))"
        r"(?![A-Za-z0-9-]|\.\d)"
    ),
    check=lambda match: checksums.is_card(match["datum"]),
)

_CHECKED_IDS = (
    (
        r"(?<!\d)(?P<datum>[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d{2} ?\d{3} ?\d{3} ?\d{2})(?!\d)",
        checksums.passes_nir,
    ),
    (r"\b(?P<datum>[XYZxyz\d]\d{7}-?[A-Za-z])\b", checksums.passes_dni),
    (
        r"\b(?P<datum>[A-Za-z]{6}\d{2}[A-EHLMPRSTa-ehlmprst]\d{2}[A-Za-z]\d{3}[A-Za-z])\b",
        checksums.passes_codice_fiscale,
    ),
    (r"(?<!\d)(?P<datum>\d{3}\.\d{3}\.\d{3}-\d{2})(?!\d)", checksums.passes_cpf),
)


def _checked(pattern: str, check: Callable[[str], bool]) -> Form:
    return Form(kind="national id", pattern=re.compile(pattern), check=lambda match: check(match["datum"]))


_UNCHECKED_IDS = (
    # A US social security number has no checksum; its form with dashes and the areas never given out are telling.
    # Source: SSA, POMS RM 10201.035.
    Form(
        kind="national id",
        pattern=re.compile(r"(?<![\d-])(?P<datum>(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4})(?![\d-])"),
    ),
    Form(
        kind="national id",
        pattern=re.compile(r"(?<![\d-])(?P<datum>(?!000|666|9)\d{3} ?(?!00)\d{2} ?(?!0000)\d{4})(?![\d-])"),
        words=re.compile(r"\bssn\b|social security", re.IGNORECASE),
    ),
    # A British national insurance number. Source: HMRC, NIM39110.
    Form(
        kind="national id",
        pattern=re.compile(
            r"\b(?P<datum>(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D])\b"
        ),
    ),
    # An Indian account number of a person (P in the fourth place). Source: Income-tax Rules 1962, rule 114.
    Form(kind="national id", pattern=re.compile(r"\b(?P<datum>[A-Z]{3}P[A-Z]\d{4}[A-Z])\b")),
)

_MONTHS = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|févr|mars|avr|juin|juil|août|déc|"
    r"ene|abr|ago|dic|gen|mag|giu|lug|set|ott)\w{0,7}\.?"
)
_DATE = (
    rf"(?:\d{{1,2}}[./ -]\d{{1,2}}[./ -](?:\d{{4}}|\d{{2}})|\d{{4}}[./-]\d{{1,2}}[./-]\d{{1,2}}|"
    rf"\d{{1,2}}\.? (?:de )?{_MONTHS} (?:de )?\d{{4}}|{_MONTHS} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_NAMED = (
    Form(
        kind="date of birth",
        pattern=re.compile(
            r"\b(?:(?:date[ _-]?of[ _-]?birth|birth[ _-]?da(?:te|y)|d\.?o\.?b\b\.?|born(?: on| in)?|"
            r"geburts(?:datum|tag)|geb\.|geboren(?: am)?|née?(?: le)?|date de naissance|"
            r"fecha de nacimiento|nacid[oa](?: el)?|data di nascita|nat[oa](?: il)?|"
            r"data de nascimento|geboortedatum|data urodzenia)[\"']?[\s:=#]{0,4}[\"']?(?:is |on |: )?)"
            rf"(?P<datum>{_DATE})(?!\d)",
            re.IGNORECASE,
        ),
    ),
    Form(
        kind="passport",
        pattern=re.compile(
            r"\b(?:passport|passeport|pasaporte|passaporto|reisepass|passnummer|pass-nr|"
            r"driver(?:'?s)? licen[cs]e|driving licen[cs]e|führerschein|permis de conduire)"
            r"(?:[ _-]?(?:number|no\.?|nr\.?|n°|nummer|numéro|número))?[\"']?"
            r"[\s:=#]{0,4}[\"']?(?:is )?(?P<datum>(?=(?:[A-Z]{0,6}\d){3})[A-Z0-9]{7,12})(?![\w.])",
            re.IGNORECASE,
        ),
        check=lambda match: match["datum"].upper() == match["datum"],
    ),
)

FORMS: tuple[Form, ...] = (
    *_EMAILS,
    # Before cards: some of their numbers pass Luhn too.
    _checked(*_CHECKED_IDS[0]),
    _CARD,
    *(_checked(*form) for form in _CHECKED_IDS[1:]),
    *_UNCHECKED_IDS,
    *_NAMED,
)
"""All that need no book, in the order in which they win. IBANs are in `ibans`, phone numbers in `phones`."""
