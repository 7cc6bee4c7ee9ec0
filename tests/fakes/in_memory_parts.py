"""Texts in memory, by what is in them and what they are for."""

from hashlib import sha256

from goldgate.contracts.cluster import StoredText
from goldgate.ports.parts import PartMissingError


class InMemoryParts:
    """Implements `goldgate.ports.parts.PartStore`."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str | None, str], str] = {}

    def put(self, text: str, *, owner_run: str | None = None, use: str = "text") -> StoredText:
        digest = sha256(text.encode()).hexdigest()
        self.texts[digest, owner_run, use] = text
        return StoredText(digest=digest, size_bytes=len(text.encode()), parts=1)

    def get(self, stored: StoredText) -> str:
        for (digest, _, _), text in self.texts.items():
            if digest == stored.digest:
                return text
        raise PartMissingError(f"Found no text {stored.digest}.")

    def remove(self, stored: StoredText, *, owner_run: str | None = None, use: str = "text") -> None:
        self.texts.pop((stored.digest, owner_run, use), None)

    def uses(self) -> list[str]:
        return sorted(use for _, _, use in self.texts)
