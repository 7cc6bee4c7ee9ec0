"""Where texts lie that are too large for the object that needs them."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from goldgate.contracts.cluster import StoredText
from goldgate.domain.errors import PermanentError


class PartMissingError(PermanentError):
    """A text is not there whole, or is not what its digest says. Nothing of it may be used."""


class PartStore(Protocol):
    """Texts by what is in them. What is stored never changes; it is removed, or goes with the TaskRun that owns it.

    Every method raises `TransientError` if the other side cannot be reached for long.
    """

    def put(self, text: str, *, owner_run: str | None = None, use: str = "text") -> StoredText:
        """Store a text; one that is there already is not stored again.

        Args:
            text: Any, be it empty.
            owner_run: The TaskRun that it goes with. None: it stays until it is removed.
            use: What it is for, in at most 20 lower-case letters, digits and dashes. The same text for another use or
                another run is stored beside, so that it is removed alone.

        Raises:
            PermanentError: There is no such TaskRun, or this account may not store anything.
        """

    def described(self, text: str) -> StoredText:
        """Tell how a text is found once it is stored. Nothing is stored, and nobody asked."""

    def get(self, stored: StoredText) -> str:
        """Read a text, whoever owns it.

        Raises:
            PartMissingError: It is not there whole, and the message says what is missing; or its digest is another.
        """

    def remove(self, stored: StoredText, *, owner_run: str | None = None, use: str = "text") -> None:
        """Forget a text as it was put. Nothing happens if it is gone."""

    def sweep(self, is_left: Callable[[str], bool], *, before: datetime) -> int:
        """Forget texts that no TaskRun owns and nobody needs any more, and tell how many pieces they were.

        Args:
            is_left: Whether texts for this use are meant.
            before: Those that were stored later stay.
        """
