"""Exact nearest passages by vector, by faiss."""

import json
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from goldgate.domain.errors import PermanentError
from goldgate.ports.knowledge import Chunk, Embedder, Scored

_VECTORS = "vectors.faiss"
_IDS = "ids.json"


class FaissIndex:
    """Ranks passages by cosine similarity. Flat and exact: below a hundred thousand passages that is milliseconds."""

    def __init__(self, index: "faiss.Index", ids: Sequence[str], *, embedder: Embedder) -> None:
        """Take over vectors and the ids of their rows."""
        self._index = index
        self._ids = ids
        self._embedder = embedder

    @classmethod
    def build(cls, chunks: Sequence[Chunk], *, into: Path, embedder: Embedder) -> "FaissIndex":
        """Embed passages, title and text together, and write the index into a folder, which is made."""
        into.mkdir(parents=True, exist_ok=True)
        vectors = embedder.embed([f"{chunk.title}\n{chunk.text}" for chunk in chunks])
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        ids = [chunk.id for chunk in chunks]
        faiss.write_index(index, str(into / _VECTORS))
        (into / _IDS).write_text(json.dumps(ids), encoding="utf-8")
        return cls(index, ids, embedder=embedder)

    @classmethod
    def open(cls, folder: Path, *, embedder: Embedder) -> "FaissIndex":
        """Open what `build` wrote with the same embedder.

        Raises:
            PermanentError: There is no index, or it cannot be read.
        """
        try:
            index = faiss.read_index(str(folder / _VECTORS))
            ids = json.loads((folder / _IDS).read_text(encoding="utf-8"))
        except (RuntimeError, OSError, ValueError) as error:
            raise PermanentError(f"Found no readable vector index in `{folder}`: {error}. Build it again.") from error
        if index.ntotal != len(ids):
            raise PermanentError(
                f"Found {index.ntotal} vectors for {len(ids)} ids in `{folder}`; expected one each. Build it again."
            )
        return cls(index, ids, embedder=embedder)

    @property
    def size(self) -> int:
        """How many passages it holds."""
        return len(self._ids)

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
