"""The products an agent works with, opened as its resources ask for them.

Adapters are imported when an agent needs them: on two cores openai takes 0.9 s, mcp 1.0 s, wordllama 0.5 s and faiss
0.4 s to import, and an agent process should answer in under two.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from goldgate.adapters.tantivy_index import TantivyIndex
from goldgate.agent.memory.knowledge import Knowledge
from goldgate.agent.memory.late_interaction import LateInteractionReranker
from goldgate.contracts.resources import EmbedderSpec, RetrievalSpec
from goldgate.ports.knowledge import Chunk, ChunkIndex, Embedder, Reranker

if TYPE_CHECKING:
    from goldgate.adapters.wordllama_embedder import WordLlamaEmbedder


def open_knowledge(spec: RetrievalSpec, *, chunks: Sequence[Chunk], env: Mapping[str, str]) -> Knowledge:
    """Index an agent's passages, in memory.

    No index is kept: the digest of a bundle could not hold it, because its bytes differ from build to build, and one
    outside the digest would have to be believed. 359 passages take 0.2 s on two cores.

    Raises:
        PermanentError: A variable that the embedder names is not set, or its endpoint refuses.
        TransientError: The embedder's endpoint could not be reached.
    """
    by_id = {chunk.id: chunk for chunk in chunks}
    if spec.mode == "none":
        return Knowledge(spec=spec, chunks=by_id, lexical=None, vectors=None, reranker=None)
    vectors: ChunkIndex | None = None
    if _needs_vectors(spec):
        from goldgate.adapters.faiss_index import FaissIndex  # noqa: PLC0415 - import cost, see above

        vectors = FaissIndex.build(chunks, embedder=open_embedder(spec.embedder, env=env))
    reranker = _reranker(spec, chunks=chunks)
    return Knowledge(spec=spec, chunks=by_id, lexical=TantivyIndex.build(chunks), vectors=vectors, reranker=reranker)


def _needs_vectors(spec: RetrievalSpec) -> bool:
    return spec.mode in {"vector", "hybrid"} or spec.min_relevance > 0


def open_embedder(spec: EmbedderSpec, *, env: Mapping[str, str]) -> Embedder:
    """Open the embedder that an agent asks for."""
    match spec.kind:
        case "wordllama":
            return _static_embedder()
        case "openai":
            from goldgate.adapters.openai_embedder import OpenAIEmbedder  # noqa: PLC0415 - import cost, see above

            return OpenAIEmbedder(spec, env=env)


@functools.cache
def _static_embedder() -> "WordLlamaEmbedder":
    from goldgate.adapters.wordllama_embedder import WordLlamaEmbedder  # noqa: PLC0415 - import cost, see above

    return WordLlamaEmbedder()


def _reranker(spec: RetrievalSpec, *, chunks: Sequence[Chunk]) -> Reranker | None:
    match spec.reranker:
        case "none":
            return None
        case "late-interaction":
            # Its vectors are looked up in the process, whatever embeds the passages.
            return LateInteractionReranker(chunks, vectors=_static_embedder())
