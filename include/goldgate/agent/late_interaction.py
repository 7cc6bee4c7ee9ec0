"""Order few passages by the one sentence of each that answers best.

An index knows a passage as a whole: the mean of all its words, or words that match to the letter. Here the question
meets every sentence by itself, so that one telling sentence is not averaged away by its neighbours.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from goldgate.ports.knowledge import Chunk, Embedder, Scored

if TYPE_CHECKING:
    import numpy as np

_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+|\n+")
_LEAST_WORDS = 3
"""A shorter piece (`Default: 32`) is no sentence, and says nothing without the others."""

_PASSAGES_KEPT = 20_000
"""About 5 kB each: at most 100 MB."""


class LateInteractionReranker:
    """Scores a passage by the greatest cosine between the question and one of its sentences.

    Each sentence is embedded under the passage's title; the title alone is one of them.

    Source: the maximum over parts is MaxSim of Khattab and Zaharia, "ColBERT", SIGIR 2020, over sentences as in Dai
    and Callan, "Deeper Text Understanding", SIGIR 2019 (MaxP). With static vectors the maximum over single tokens was
    worse than no reranking: figures in include/docs/decisions/0002-retrieval.md.
    """

    def __init__(self, *, embedder: Embedder) -> None:
        """Keep the sentences of passages that were seen, so that each is embedded once."""
        self._embedder = embedder
        self._sentences = lru_cache(maxsize=_PASSAGES_KEPT)(self._embed_sentences)

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[Scored]:
        """Score every passage, -1 to 1, best first; ties keep the given order. All 0 for a question without words."""
        asked = self._embedder.embed([question])[0]
        scored = [Scored(id=chunk.id, score=float((self._sentences(chunk) @ asked).max())) for chunk in chunks]
        return sorted(scored, key=lambda each: -each.score)

    def _embed_sentences(self, chunk: Chunk) -> "np.ndarray":
        return self._embedder.embed([f"{chunk.title}\n{sentence}" for sentence in sentences(chunk)])


def sentences(chunk: Chunk) -> list[str]:
    """List a passage's title and its sentences; at least the title, be it empty."""
    parts = (part.strip() for part in _SENTENCE_END.split(chunk.text))
    return [chunk.title, *(part for part in parts if len(part.split()) >= _LEAST_WORDS)]
