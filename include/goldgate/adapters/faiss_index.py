"""Exact nearest passages by vector, by faiss."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import faiss
import numpy as np

from goldgate.ports.knowledge import Chunk, Embedder, Scored

_FILE: Final = "vectors.faiss"
_BATCH: Final = 1_000
"""Passages embedded at a time: their texts and vectors are all that is in memory beside the index."""


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
        vectors = embedder.embed([_text(chunk) for chunk in chunks])
        return cls(_flat(vectors), [chunk.id for chunk in chunks], embedder=embedder)

    @classmethod
    def write(
        cls,
        chunks: Sequence[Chunk],
        folder: Path,
        *,
        embedder: Embedder,
        base: Path | None = None,
        rows: Mapping[str, int] | None = None,
    ) -> int:
        """Index passages on disk, their rows in the order of the corpus.

        Args:
            chunks: All of them.
            folder: Empty, or missing.
            embedder: Asked for the passages that the base has not.
            base: An index by this function, with vectors of the same embedder.
            rows: Which row of the base holds the vector of a passage, by id, for those whose text is the same.

        Returns:
            How many passages were embedded.

        Raises:
            OSError: It cannot be written.
        """
        known = rows or {}
        fresh = [place for place, chunk in enumerate(chunks) if base is None or chunk.id not in known]
        made = _embedded([_text(chunks[place]) for place in fresh], embedder=embedder)
        if base is None:
            vectors = made
        else:
            held = _vectors(_read(base))
            if made.any() and made.shape[1] != held.shape[1]:
                # Another model by the old one's name: none of its vectors compares with those of before.
                return cls.write(chunks, folder, embedder=embedder)
            vectors = np.zeros((len(chunks), held.shape[1]), dtype=np.float32)
            kept = [place for place, chunk in enumerate(chunks) if chunk.id in known]
            vectors[kept] = held[[known[chunks[place].id] for place in kept]]
            if made.any():
                vectors[fresh] = made
        folder.mkdir(exist_ok=True)
        _save(_flat(vectors), folder / _FILE)
        return len(fresh)

    @classmethod
    def open(cls, folder: Path, ids: Sequence[str], *, embedder: Embedder) -> "FaissIndex":
        """Open an index on disk. Its vectors are mapped into memory, and shared by all who open it.

        Raises:
            OSError: It cannot be read, or holds another number of passages.
        """
        index = _read(folder)
        if index.ntotal != len(ids):
            raise OSError(f"`{folder}` holds {index.ntotal} vectors; expected {len(ids)}, one for each passage.")
        return cls(index, ids, embedder=embedder)

    def search(self, question: str, *, limit: int) -> list[Scored]:
        """Rank passages by cosine similarity, -1 to 1."""
        vector = self._embedder.embed([question])
        if not vector.any() or not self._ids:
            return []
        scores, rows = self._index.search(vector, min(limit, len(self._ids)))
        return [
            Scored(id=self._ids[row], score=float(score))
            for score, row in zip(scores[0], rows[0], strict=True)
            if row >= 0
        ]


def made_by() -> dict[str, str]:
    """Name what an index on disk depends on beside its passages and the embedder."""
    return {"faiss": version("faiss-cpu")}


def _text(chunk: Chunk) -> str:
    return f"{chunk.title}\n{chunk.text}"


def _embedded(texts: Sequence[str], *, embedder: Embedder) -> np.ndarray:
    """Embed some at a time. A batch of nothing but texts without words may not know how wide the others are."""
    batches = [embedder.embed(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
    width = max((batch.shape[1] for batch in batches if batch.any()), default=1)
    filled = [batch if batch.any() else np.zeros((len(batch), width), dtype=np.float32) for batch in batches]
    return np.concatenate(filled) if filled else np.zeros((0, width), dtype=np.float32)


def _flat(vectors: np.ndarray) -> "faiss.IndexFlatIP":
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return index


def _save(index: "faiss.Index", path: Path) -> None:
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # a full disk, among others
        raise OSError(f"`{path}` cannot be written: {str(error)[-200:]}.") from error


def _read(folder: Path) -> "faiss.Index":
    try:
        # `IO_FLAG_MMAP` alone copies a flat index into memory; this flag maps it (measured with faiss-cpu 1.15.1).
        return faiss.read_index(str(folder / _FILE), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise OSError(f"`{folder / _FILE}` cannot be opened as an index: {str(error)[:200]}.") from error


def _vectors(index: "faiss.Index") -> np.ndarray:
    rows: np.ndarray = index.reconstruct_n(0, index.ntotal)
    return rows
