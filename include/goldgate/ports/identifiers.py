"""Books of numbers that name people: which are given out, and how they are checked."""

from dataclasses import dataclass
from typing import Protocol


class NationalIds(Protocol):
    """Knows the check digits of identity, tax and insurance numbers."""

    def is_valid(self, number: str, *, scheme: str) -> bool:
        """Tell whether a number keeps the rules of a scheme such as `nl.bsn`, with or without its separators.

        Raises:
            PermanentError: The book has no such scheme.
        """


class PhoneNumbers(Protocol):
    """Knows the numbering plans of the world."""

    def is_possible(self, number: str, *, region: str | None) -> bool:
        """Tell whether a number can be dialled, as far as its plan says.

        Args:
            number: As it is written. With `+` and its country's code if `region` is None.
            region: Where it is dialled, as two upper-case letters.
        """


@dataclass(frozen=True, kw_only=True)
class IdentifierBooks:
    """Both books."""

    national_ids: NationalIds
    phones: PhoneNumbers
