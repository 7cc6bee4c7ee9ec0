"""Find personal data in text, by form and, where one exists, by checksum or by a book of numbers.

What it does not do: names, addresses and anything else without a form of its own. IP addresses are no personal data
here, because questions about software are full of them. What it finds and misses is measured: `include/docs/safety.md`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from goldgate.agent.safety.folding import fold
from goldgate.agent.safety.forms import FORMS, Form
from goldgate.agent.safety.ibans import find_ibans
from goldgate.agent.safety.national_ids import national_id_forms
from goldgate.agent.safety.personal_requests import asks_for_personal_data
from goldgate.agent.safety.phones import find_phones
from goldgate.ports.identifiers import IdentifierBooks

__all__ = ["PersonalDatum", "asks_for_personal_data", "find_personal_data", "redact"]

_MOST_PASSES = 4
"""What stood beside a number that is gone may now be seen for what it is; a text seldom needs a third look."""


@dataclass(frozen=True, kw_only=True)
class PersonalDatum:
    """A piece of personal data and where it stands in the text."""

    kind: str
    text: str
    start: int
    end: int


def find_personal_data(text: str, *, books: IdentifierBooks | None = None) -> list[PersonalDatum]:
    """Find all personal data, in order of appearance; pieces do not overlap.

    Args:
        text: In any form: look-alikes and characters that are not seen are read as what they look like.
        books: What knows national numbers. None: only those with a check of our own are found, and phone numbers are
            told by their length.
    """
    folded = fold(text)
    found: list[PersonalDatum] = []
    taken = bytearray(len(folded.text))
    for kind, start, end in _candidates(folded.text, books):
        if taken.find(1, start, end) < 0:
            taken[start:end] = b"\1" * (end - start)
            first, last = folded.span(start, end)
            found.append(PersonalDatum(kind=kind, text=text[first:last], start=first, end=last))
    return sorted(found, key=lambda datum: datum.start)


def redact(
    text: str, *, keep: Collection[str] = (), books: IdentifierBooks | None = None
) -> tuple[str, list[PersonalDatum]]:
    """Replace personal data by `[redacted: <kind>]`.

    Args:
        text: What may hold personal data.
        keep: Texts that are known to the public; what stands in one of them stays.
        books: See `find_personal_data`.

    Returns:
        The text, and what was replaced.
    """
    everything: list[PersonalDatum] = []
    for _ in range(_MOST_PASSES):
        found = find_personal_data(text, books=books)
        gone = [datum for datum in found if not any(datum.text in known for known in keep)]
        if not gone:
            break
        text = _replaced(text, gone)
        everything += gone
    return text, everything


def _replaced(text: str, gone: list[PersonalDatum]) -> str:
    parts: list[str] = []
    position = 0
    for datum in gone:
        parts += (text[position : datum.start], f"[redacted: {datum.kind}]")
        position = datum.end
    return "".join([*parts, text[position:]])


def _candidates(text: str, books: IdentifierBooks | None) -> Iterator[tuple[str, int, int]]:
    """Find all that looks like personal data; of two that overlap the first is meant."""
    for start, end in find_ibans(text):
        yield "iban", start, end
    for form in FORMS:
        for start, end in form.matches(text):
            yield form.kind, start, end
    if books is not None:
        for form in _book_forms(books):
            for start, end in form.matches(text):
                yield form.kind, start, end
    for start, end in find_phones(text, books.phones if books else None):
        yield "phone", start, end


@lru_cache(maxsize=8)
def _book_forms(books: IdentifierBooks) -> tuple[Form, ...]:
    return national_id_forms(books.national_ids)
