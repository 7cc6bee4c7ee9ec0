"""Find the passages for a question: rank, fuse, rerank, and keep what the budget allows.

What fails on the way is done without where the agent keeps what it promised: hybrid retrieval goes on by words alone,
and without a reranker the ranking stays as it was. Both are told, for the trace. Where vectors are all there is, or say
whether a question is about the corpus at all (`minRelevance`), the request fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from goldgate.agent.memory.fusion import fuse_rankings
from goldgate.agent.memory.tokens import count_tokens, cut_to_tokens
from goldgate.agent.prompts import passage_block
from goldgate.contracts.resources import RetrievalSpec
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.knowledge import Chunk, ChunkIndex, Reranker, Scored

_LEAST_CUT_TOKENS = 16
"""A passage cut shorter than this says nothing, and is left out instead."""

RERANKER_WEIGHT = 1.0
"""Against 1 for the fused ranking that the reranker was given. Measured in include/docs/decisions/0002-retrieval.md."""

RERANK_DAMPING = 10
"""`k` of the fusion of both. Two good rankings need less damping than a pool of many; measured as above."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What retrieval found."""

    ids: list[str]
    """Candidates, best first."""
    relevance: float | None
    """Similarity of the best passage, -1 to 1. None if the agent does not ask for it."""
    failure: PermanentError | TransientError | None = None
    """Why the vectors had no part in it."""


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """Candidates in the order in which they are given."""

    passages: list[Chunk]
    """Best first."""
    failure: PermanentError | TransientError | None = None
    """Why the reranker had no part in it."""


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """An agent's passages and the ways of ranking them."""

    spec: RetrievalSpec
    chunks: Mapping[str, Chunk]
    lexical: ChunkIndex | None
    vectors: ChunkIndex | None
    """Scores are cosine similarities."""
    reranker: Reranker | None

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What all passages say, gathered once."""
        return tuple(chunk.text for chunk in self.chunks.values())

    def find(self, question: str) -> Found:
        """Rank the candidates for a question; none for an agent without knowledge.

        Raises:
            PermanentError: The embedder refuses, and the agent cannot do without it; see above.
            TransientError: It could not be reached, as above.
        """
        limit = self.spec.candidates
        by_vector: list[Scored] = []
        failure: PermanentError | TransientError | None = None
        try:
            by_vector = self.vectors.search(question, limit=limit) if self.vectors else []
        except (PermanentError, TransientError) as error:
            if not self._can_do_without_vectors:
                raise
            failure = error
        rankings: list[list[str]] = []
        weights: list[float] = []
        if self.lexical is not None and self.spec.mode in {"lexical", "hybrid"}:
            rankings.append([scored.id for scored in self.lexical.search(question, limit=limit)])
            weights.append(self.spec.lexical_weight if self.spec.mode == "hybrid" else 1.0)
        if self.spec.mode in {"vector", "hybrid"}:
            rankings.append([scored.id for scored in by_vector])
            weights.append(self.spec.vector_weight if self.spec.mode == "hybrid" else 1.0)
        relevance = None
        if self.spec.min_relevance > 0:
            relevance = by_vector[0].score if by_vector else -1.0
        ids = [chunk_id for chunk_id in fuse_rankings(rankings, weights=weights) if chunk_id in self.chunks]
        return Found(ids=ids, relevance=relevance, failure=failure)

    def rerank(self, question: str, ids: Sequence[str]) -> Ordered:
        """Order the candidates more carefully, by the reranker and the ranking it was given together."""
        given = [self.chunks[chunk_id] for chunk_id in ids]
        if self.reranker is None or not given:
            return Ordered(passages=given)
        try:
            careful = [scored.id for scored in self.reranker.rerank(question, given) if scored.id in set(ids)]
            merged = fuse_rankings([careful, list(ids)], weights=[RERANKER_WEIGHT, 1.0], k=RERANK_DAMPING)
        except (PermanentError, TransientError) as error:
            return Ordered(passages=given, failure=error)
        return Ordered(passages=[self.chunks[chunk_id] for chunk_id in merged])

    @property
    def _can_do_without_vectors(self) -> bool:
        is_hybrid = self.spec.mode == "hybrid" and self.lexical is not None and self.spec.lexical_weight > 0
        # Without them nobody knows whether the question is about the corpus: then it is not answered.
        return self.spec.min_relevance == 0 and (is_hybrid or self.spec.mode == "lexical")

    def within_budget(self, passages: Sequence[Chunk], *, question_tokens: int) -> list[Chunk]:
        """Keep the best passages that fit; the one that does not fit is cut and ends the list."""
        k, budget = self.spec.k, self.spec.context_tokens
        if (long := self.spec.long_question) is not None and question_tokens > long.over_tokens:
            k, budget = long.k, long.context_tokens
        kept: list[Chunk] = []
        for passage in passages[:k]:
            cost = count_tokens(passage_block(passage))
            if cost > budget:
                overhead = cost - count_tokens(passage.text)
                if budget - overhead >= _LEAST_CUT_TOKENS and (
                    text := cut_to_tokens(passage.text, budget=budget - overhead)
                ):
                    kept.append(Chunk(id=passage.id, title=passage.title, text=text))
                break
            kept.append(passage)
            budget -= cost
        return kept
