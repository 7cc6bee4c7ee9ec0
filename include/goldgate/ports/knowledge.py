"""What an agent retrieves from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A passage with an id that stays the same from build to build."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A passage id with the score one ranking gave it. Scores of different rankings do not compare."""

    id: str
    score: float


class ChunkIndex(Protocol):
    """One way of ranking passages for a question."""

    def search(self, question: str, *, limit: int) -> list[Scored]:
        """Rank at most `limit` passages, best first, ids distinct. Empty for a question without words."""


class Embedder(Protocol):
    """Turns text into vectors of unit length."""

    @property
    def name(self) -> str:
        """Which embedder, model and version: part of an index's identity."""

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Embed n texts: float32, shape (n, d), rows of unit length (a text without words: zeros)."""


class WordVectors(Protocol):
    """A vector for every word, whatever stands around it."""

    def word_vector(self, word: str) -> "np.ndarray":
        """Look one word up: float32, shape (d,). A longer vector says that the word matters more; zeros for none."""


class Reranker(Protocol):
    """Orders few passages more carefully than an index can."""

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[Scored]:
        """Score every passage given, best first. Ties keep the given order."""
