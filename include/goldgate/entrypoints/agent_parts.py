"""The products an agent works with, opened as its resources ask for them.

Adapters are imported when an agent needs them: on two cores openai takes 0.9 s, mcp 1.0 s, wordllama 0.5 s and faiss
0.4 s to import, and an agent process should answer in under two.
"""

import functools
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from goldgate.adapters.tantivy_index import TantivyIndex
from goldgate.agent.knowledge import Knowledge
from goldgate.agent.late_interaction import LateInteractionReranker
from goldgate.contracts.base import Contract
from goldgate.contracts.bundle import INDEX
from goldgate.contracts.documents import read_json
from goldgate.contracts.resources import EmbedderSpec, MCPServer, RetrievalSpec
from goldgate.domain.digest import Digest, canonical_json
from goldgate.domain.errors import PermanentError
from goldgate.ports.knowledge import Chunk, ChunkIndex, Embedder, Reranker
from goldgate.ports.model import ToolDefinition
from goldgate.ports.tools import ToolResult, ToolSession

if TYPE_CHECKING:
    from goldgate.adapters.wordllama_embedder import WordLlamaEmbedder

_log = logging.getLogger(__name__)

_INDEX_FORMAT = 1
"""Raised when an index is built in another way; older ones are then built again."""


class IndexManifest(Contract):
    """What an index was built from. Any difference, and it is built again."""

    format: int
    digest: str
    """Of the bundle."""
    embedder: str | None


@dataclass(frozen=True, kw_only=True)
class OpenKnowledge:
    """Passages ready to be searched, and what to give back afterwards."""

    knowledge: Knowledge
    release: Callable[[], None]


def write_index(
    bundle: Path, *, digest: Digest, spec: RetrievalSpec, chunks: Sequence[Chunk], env: Mapping[str, str]
) -> None:
    """Build the index of a bundle that is not in use yet."""
    if spec.mode != "none":
        embedder = _embedder_for(spec, env)
        _build(bundle / INDEX, chunks=chunks, embedder=embedder)
        _write_manifest(bundle / INDEX, _manifest(digest, embedder))


def open_knowledge(
    bundle: Path, *, digest: Digest, spec: RetrievalSpec, chunks: Sequence[Chunk], env: Mapping[str, str]
) -> OpenKnowledge:
    """Open the index of a bundle; one that is absent, stale or broken is built again in a temporary folder."""
    by_id = {chunk.id: chunk for chunk in chunks}
    if spec.mode == "none":
        nothing = Knowledge(spec=spec, chunks=by_id, lexical=None, vectors=None, reranker=None)
        return OpenKnowledge(knowledge=nothing, release=lambda: None)
    embedder = _embedder_for(spec, env)
    release: Callable[[], None] = lambda: None  # noqa: E731 - the usual case: nothing to give back
    try:
        _require_fresh(bundle / INDEX, _manifest(digest, embedder))
        lexical, vectors = _open(bundle / INDEX, embedder=embedder, size=len(chunks))
    except PermanentError as error:
        _log.warning("agent.index.rebuilt bundle=%s reason=%s", bundle.name[:12], error)
        folder = Path(tempfile.mkdtemp(prefix="goldgate-index-"))
        release = lambda: shutil.rmtree(folder, ignore_errors=True)  # noqa: E731
        lexical, vectors = _build(folder, chunks=chunks, embedder=embedder)
    knowledge = Knowledge(
        spec=spec, chunks=by_id, lexical=lexical, vectors=vectors, reranker=_reranker(spec, chunks=chunks)
    )
    return OpenKnowledge(knowledge=knowledge, release=release)


def _needs_vectors(spec: RetrievalSpec) -> bool:
    return spec.mode in {"vector", "hybrid"} or spec.min_relevance > 0


def _embedder_for(spec: RetrievalSpec, env: Mapping[str, str]) -> Embedder | None:
    return open_embedder(spec.embedder, env=env) if _needs_vectors(spec) else None


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


def _build(folder: Path, *, chunks: Sequence[Chunk], embedder: Embedder | None) -> tuple[ChunkIndex, ChunkIndex | None]:
    lexical = TantivyIndex.build(chunks, into=folder / "lexical")
    if embedder is None:
        return lexical, None
    from goldgate.adapters.faiss_index import FaissIndex  # noqa: PLC0415 - import cost, see above

    return lexical, FaissIndex.build(chunks, into=folder / "vectors", embedder=embedder)


def _open(folder: Path, *, embedder: Embedder | None, size: int) -> tuple[ChunkIndex, ChunkIndex | None]:
    lexical = TantivyIndex.open(folder / "lexical")
    sizes = [lexical.size]
    vectors = None
    if embedder is not None:
        from goldgate.adapters.faiss_index import FaissIndex  # noqa: PLC0415 - import cost, see above

        vectors = FaissIndex.open(folder / "vectors", embedder=embedder)
        sizes.append(vectors.size)
    if set(sizes) != {size}:
        raise PermanentError(f"Found an index of {sizes} passages in `{folder}`; expected {size}.")
    return lexical, vectors


def _manifest(digest: Digest, embedder: Embedder | None) -> IndexManifest:
    return IndexManifest(format=_INDEX_FORMAT, digest=digest, embedder=embedder.name if embedder else None)


def _write_manifest(folder: Path, manifest: IndexManifest) -> None:
    (folder / "index.json").write_bytes(canonical_json(manifest.model_dump(mode="json")) + b"\n")


def _require_fresh(folder: Path, expected: IndexManifest) -> None:
    found = read_json(folder / "index.json", IndexManifest)
    if found != expected:
        raise PermanentError(f"Found an index of {found}; expected one of {expected}.")


class LateToolSession:
    """A session whose adapter is imported, and whose server is started, when a tool is first called."""

    def __init__(self, server: MCPServer, *, folder: Path, env: Mapping[str, str]) -> None:
        """Remember how to open it."""
        self._server = server
        self._folder = folder
        self._path = env.get("PATH", "")
        self._lock = threading.Lock()
        self._session: ToolSession | None = None

    def definitions(self, *, within_s: float = 30) -> Sequence[ToolDefinition]:
        """List what the server offers."""
        return self._opened().definitions(within_s=within_s)

    def call(self, name: str, arguments: Mapping[str, JsonValue], *, within_s: float) -> ToolResult:
        """Call one tool."""
        return self._opened().call(name, arguments, within_s=within_s)

    def close(self) -> None:
        """End the session, if it was ever opened. Closing twice does nothing."""
        with self._lock:
            if self._session is not None:
                self._session.close()

    def _opened(self) -> ToolSession:
        with self._lock:
            if self._session is None:
                from goldgate.adapters.mcp_tools import McpToolSession  # noqa: PLC0415 - import cost, see above

                self._session = McpToolSession(self._server, folder=self._folder, path=self._path)
            return self._session
