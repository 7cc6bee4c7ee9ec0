"""Exact nearest passages by vector, by faiss."""

from collections.abc import Sequence

import faiss
import numpy as np

from goldgate.ports.knowledge import Chunk, Embedder, Scored


class FaissIndex:
    """Ranks passages by cosine similarity. Flat and exact: below a hundred thousand passages that is milliseconds."""

    def __init__(self, index: "faiss.Index", ids: Sequence[str], *, embedder: Embedder) -> None:
        """Take over vectors and the ids of their rows."""
        self._index = index
        self._ids = ids
        self._embedder = embedder

    @classmethod
    def build(cls, chunks: Sequence[Chunk], *, embedder: Embedder) -> "FaissIndex":
        """Embed passages, title and text together, and index them in memory."""
        vectors = embedder.embed([f"{chunk.title}\n{chunk.text}" for chunk in chunks])
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index, [chunk.id for chunk in chunks], embedder=embedder)

    def search(self, question: str, *, limit: int) -> list[Scored]:
        """Rank passages by cosine similarity, -1 to 1."""
        vector = self._embedder.embed([question])
        if not vector.any():
            return []
        scores, rows = self._index.search(vector, min(limit, len(self._ids)))
        return [
            Scored(id=self._ids[row], score=float(score))
            for score, row in zip(scores[0], rows[0], strict=True)
            if row >= 0
        ]
