"""Indexes and an embedder small enough to reason about."""

import math
import re
from collections.abc import Sequence

import numpy as np

from goldgate.ports.knowledge import Chunk, Scored

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


class InMemoryEmbedder:
    """Implements `Embedder` and `WordVectors` of `goldgate.ports.knowledge`: counts of words, hashed to dimensions."""

    def __init__(self, *, dimensions: int = 64) -> None:
        self._dimensions = dimensions
        self.texts: list[str] = []

    @property
    def name(self) -> str:
        return f"in-memory/{self._dimensions}"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.texts.extend(texts)
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in words(text):
                vectors[row, sum(ord(c) * 31**i for i, c in enumerate(word)) % self._dimensions] += 1
            if norm := math.sqrt(float((vectors[row] ** 2).sum())):
                vectors[row] /= norm
        return vectors

    def word_vector(self, word: str) -> np.ndarray:
        return self.embed([word])[0]


class InMemoryChunkIndex:
    """Implements `goldgate.ports.knowledge.ChunkIndex`: how many words of the question a passage holds."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._words = {chunk.id: set(words(f"{chunk.title} {chunk.text}")) for chunk in chunks}

    def search(self, question: str, *, limit: int) -> list[Scored]:
        asked = set(words(question))
        scored = [Scored(id=i, score=float(len(asked & held))) for i, held in self._words.items() if asked & held]
        return sorted(scored, key=lambda each: -each.score)[:limit]


class ScriptedChunkIndex:
    """Implements `goldgate.ports.knowledge.ChunkIndex`: the same ranking whatever is asked."""

    def __init__(self, *scored: tuple[str, float]) -> None:
        self._scored = [Scored(id=i, score=score) for i, score in scored]

    def search(self, question: str, *, limit: int) -> list[Scored]:
        return self._scored[:limit] if question.strip() else []
