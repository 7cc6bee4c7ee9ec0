"""The indexes of an agent's passages: from disk where they can be kept, else in memory."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from goldgate.adapters import tantivy_index
from goldgate.adapters.index_folders import BaseIndex, IndexFolders
from goldgate.adapters.tantivy_index import TantivyIndex
from goldgate.ports.knowledge import Chunk, ChunkIndex, Embedder

_log = logging.getLogger(__name__)

_LEXICAL = "lexical"
_VECTORS = "vectors"


def open_indexes(
    chunks: Sequence[Chunk], *, folder: Path | None, embedder: Embedder | None, made_by: Mapping[str, str]
) -> tuple[ChunkIndex, ChunkIndex | None]:
    """Open the lexical index of passages, and that of their vectors if there is an embedder.

    Args:
        chunks: The passages, in the order of the corpus.
        folder: Where indexes are kept. None: nowhere.
        embedder: What makes the vectors.
        made_by: What the vectors depend on beside passages and embedder.
    """
    if folder is not None:
        try:
            return _open_kept(chunks, folder=folder, embedder=embedder, made_by=made_by)
        except OSError as error:
            _log.warning("agent.index.not_kept", extra={"folder": str(folder), "reason": str(error)})
    return TantivyIndex.build(chunks), _built_vectors(chunks, embedder) if embedder else None


def _open_kept(
    chunks: Sequence[Chunk], *, folder: Path, embedder: Embedder | None, made_by: Mapping[str, str]
) -> tuple[ChunkIndex, ChunkIndex | None]:
    passages = {chunk.id: _digest(chunk) for chunk in chunks}
    ids = list(passages)

    def write(staging: Path, base: BaseIndex | None) -> None:
        indexed, embedded = _write(chunks, passages, staging=staging, base=base, embedder=embedder)
        figures = {"passages": len(chunks), "indexed": indexed, "embedded": embedded, "is_update": base is not None}
        _log.info("agent.index.built", extra=figures)

    folders = IndexFolders(folder, made_by=_making(embedder, made_by))
    found = folders.obtain(passages, write=write)
    try:
        return _open(found, ids, chunks=chunks, embedder=embedder)
    except OSError:
        # Removed by another process since it was found, or not to be read: once more, from nothing.
        folders.discard(found)
        return _open(folders.obtain(passages, write=write), ids, chunks=chunks, embedder=embedder)


def _write(
    chunks: Sequence[Chunk],
    passages: Mapping[str, str],
    *,
    staging: Path,
    base: BaseIndex | None,
    embedder: Embedder | None,
) -> tuple[int, int]:
    held = base.passages if base else {}
    changed = {each for each in {*passages, *held} if passages.get(each) != held.get(each)}
    lexical = base.folder / _LEXICAL if base else None
    indexed = TantivyIndex.write(chunks, staging / _LEXICAL, base=lexical, changed=changed)
    if embedder is None:
        return indexed, 0
    from goldgate.adapters.faiss_index import FaissIndex  # noqa: PLC0415 - 0.4 s, and an agent may do without

    row_of = {digest: row for row, digest in enumerate(held.values())}
    rows = {chunk_id: row_of[digest] for chunk_id, digest in passages.items() if digest in row_of}
    vectors = base.folder / _VECTORS if base else None
    return indexed, FaissIndex.write(chunks, staging / _VECTORS, embedder=embedder, base=vectors, rows=rows)


def _open(
    folder: Path, ids: Sequence[str], *, chunks: Sequence[Chunk], embedder: Embedder | None
) -> tuple[ChunkIndex, ChunkIndex | None]:
    vectors = None
    if embedder is not None:
        from goldgate.adapters.faiss_index import FaissIndex  # noqa: PLC0415 - as above

        vectors = FaissIndex.open(folder / _VECTORS, ids, embedder=embedder)
    try:
        return TantivyIndex.open(folder / _LEXICAL, ids), vectors
    except OSError as error:
        # A reader of tantivy makes a lock file, which a read-only folder refuses. Words are indexed in no time; vectors
        # may have cost money.
        _log.info("agent.index.words_in_memory", extra={"folder": str(folder), "reason": str(error)})
        return TantivyIndex.build(chunks), vectors


def _built_vectors(chunks: Sequence[Chunk], embedder: Embedder) -> ChunkIndex:
    from goldgate.adapters.faiss_index import FaissIndex  # noqa: PLC0415 - as above

    return FaissIndex.build(chunks, embedder=embedder)


def _making(embedder: Embedder | None, made_by: Mapping[str, str]) -> dict[str, str]:
    if embedder is None:
        return tantivy_index.made_by()
    from goldgate.adapters import faiss_index  # noqa: PLC0415 - as above

    return {**tantivy_index.made_by(), **faiss_index.made_by(), "embedder": embedder.name, **made_by}


def _digest(chunk: Chunk) -> str:
    """Name a passage by what is indexed of it."""
    return hashlib.sha256(f"{len(chunk.title)}\n{chunk.title}\n{chunk.text}".encode()).hexdigest()
