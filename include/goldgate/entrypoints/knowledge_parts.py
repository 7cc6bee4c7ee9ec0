"""The products an agent works with, opened as its resources ask for them.

Adapters are imported when an agent needs them: on two cores openai takes 0.9 s, mcp 1.0 s, wordllama 0.5 s and faiss
0.4 s to import, and an agent process should answer in under two.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from goldgate.agent.memory.guarded_index import GuardedIndex
from goldgate.agent.memory.knowledge import Knowledge
from goldgate.agent.resilience.breakers import Breakers
from goldgate.contracts.resources import EmbedderSpec, RetrievalSpec
from goldgate.entrypoints.index_parts import open_indexes
from goldgate.ports.knowledge import Chunk, Embedder, Reranker

if TYPE_CHECKING:
    from goldgate.adapters.wordllama_embedder import WordLlamaEmbedder


_BREAKERS: Final = Breakers(clock=time.monotonic)


def open_knowledge(
    spec: RetrievalSpec, *, chunks: Sequence[Chunk], env: Mapping[str, str], indexes: Path | None = None
) -> Knowledge:
    """Open an agent's passages with their indexes.

    An index is not in the bundle: its bytes differ from build to build, so that no digest could hold it. It is made
    once on a machine, kept under `GOLDGATE_HOME`, and shared by all processes.

    Args:
        spec: How passages are found.
        chunks: The passages, from the bundle.
        env: What the embedder refers to.
        indexes: Where indexes are kept. By default `indexes/` in the `GOLDGATE_HOME` of `env`; without either, or where
            the folder cannot be written, the index is made in memory.

    Raises:
        PermanentError: A variable that the embedder names is not set, or its endpoint refuses.
        TransientError: The embedder's endpoint could not be reached.
    """
    by_id = {chunk.id: chunk for chunk in chunks}
    if spec.mode == "none":
        return Knowledge(spec=spec, chunks=by_id, lexical=None, vectors=None, reranker=None)
    embedder = open_embedder(spec.embedder, env=env) if _needs_vectors(spec) else None
    folder = indexes or (Path(env["GOLDGATE_HOME"]) / "indexes" if env.get("GOLDGATE_HOME") else None)
    address = _address(spec.embedder, env)
    lexical, vectors = open_indexes(chunks, folder=folder, embedder=embedder, made_by=address)
    if vectors is not None and embedder is not None and address:
        vectors = GuardedIndex(vectors, breakers=_BREAKERS, key=" at ".join([embedder.name, *address.values()]))
    reranker = _reranker(spec, chunks=chunks)
    return Knowledge(spec=spec, chunks=by_id, lexical=lexical, vectors=vectors, reranker=reranker)


def _address(spec: EmbedderSpec, env: Mapping[str, str]) -> Mapping[str, str]:
    """Name the embedder's endpoint: two of them may call different models by one name."""
    address = spec.base_url or (env.get(spec.base_url_from.env) if spec.base_url_from else None)
    return {"endpoint": address} if address else {}


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
            from goldgate.agent.memory.late_interaction import LateInteractionReranker  # noqa: PLC0415 - numpy, 0.13 s

            # Its vectors are looked up in the process, whatever embeds the passages.
            return LateInteractionReranker(chunks, vectors=_static_embedder())
