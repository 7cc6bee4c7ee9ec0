"""Texts in memory, by what is in them and what they are for."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from goldgate.adapters.system_clock import SystemClock
from goldgate.contracts.cluster import StoredText
from goldgate.ports.delivery import Clock
from goldgate.ports.parts import PartMissingError


class InMemoryParts:
    """Implements `goldgate.ports.parts.PartStore`."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.stored_at: dict[tuple[str, str | None, str], datetime] = {}
        self.texts: dict[tuple[str, str | None, str], str] = {}

    def put(self, text: str, *, owner_run: str | None = None, use: str = "text") -> StoredText:
        stored = self.described(text)
        if (stored.digest, owner_run, use) not in self.texts:
            self.stored_at[stored.digest, owner_run, use] = self.clock.now()
        self.texts[stored.digest, owner_run, use] = text
        return stored

    def described(self, text: str) -> StoredText:
        return StoredText(digest=sha256(text.encode()).hexdigest(), size_bytes=len(text.encode()), parts=1)

    def get(self, stored: StoredText) -> str:
        for (digest, _, _), text in self.texts.items():
            if digest == stored.digest:
                return text
        raise PartMissingError(f"Found no text {stored.digest}.")

    def remove(self, stored: StoredText, *, owner_run: str | None = None, use: str = "text") -> None:
        self.texts.pop((stored.digest, owner_run, use), None)

    def sweep(self, is_left: Callable[[str], bool], *, before: datetime) -> int:
        left = [key for key in self.texts if key[1] is None and is_left(key[2]) and self.stored_at[key] < before]
        for key in left:
            del self.texts[key]
        return len(left)

    def uses(self) -> list[str]:
        return sorted(use for _, _, use in self.texts)
