"""Order few passages by the one sentence of each that answers best.

An index knows a passage as a whole: the mean of all its words, or words that match to the letter. Here the question
meets every sentence by itself, so that one telling sentence is not averaged away by its neighbours, and words that
half the corpus repeats (`Type`, `Default`) weigh less.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from goldgate.ports.knowledge import Chunk, Scored, WordVectors

_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+|\n+")
_WORD = re.compile(r"[^\W_]+")
_LEAST_WORDS = 3
"""A shorter piece (`Default: 32`) is no sentence, and says nothing without the others."""

_COMMON_SHARE = 0.5
"""A word that is in this share of all passages weighs half. Anything from 0.2 to 1 measures alike; see below."""

_PASSAGES_KEPT = 20_000
"""About 5 kB each: at most 100 MB."""


class LateInteractionReranker:
    """Scores a passage by the greatest cosine between the question and one of its sentences.

    Each sentence is read under the passage's title; the title alone is one of them. A text is the sum of its words'
    vectors, word w weighed by a / (a + share of passages that hold w), a = 0.5.

    Source: the maximum over parts is MaxSim of Khattab and Zaharia, "ColBERT", SIGIR 2020, over sentences as in Dai
    and Callan, "Deeper Text Understanding", SIGIR 2019 (MaxP); the weight is SIF of Arora, Liang and Ma, ICLR 2017.
    With static vectors the maximum over single words was worse than no reranking: figures in
    include/docs/decisions/0002-retrieval.md.
    """

    def __init__(self, corpus: Sequence[Chunk], *, vectors: WordVectors) -> None:
        """Count in how many passages each word is."""
        self._vectors = vectors
        held = Counter(word for chunk in corpus for word in set(_words(f"{chunk.title} {chunk.text}")))
        self._weights = {word: _COMMON_SHARE / (_COMMON_SHARE + count / len(corpus)) for word, count in held.items()}
        self._sentences = lru_cache(maxsize=_PASSAGES_KEPT)(self._read_sentences)
        self._word = lru_cache(maxsize=_PASSAGES_KEPT)(self._read_word)

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[Scored]:
        """Score every passage, -1 to 1, best first; ties keep the given order. All 0 for a question without words."""
        asked = self._read(question)
        scored = [Scored(id=chunk.id, score=float((self._sentences(chunk) @ asked).max())) for chunk in chunks]
        return sorted(scored, key=lambda each: -each.score)

    def _read_sentences(self, chunk: Chunk) -> np.ndarray:
        return np.stack([self._read(f"{chunk.title} {sentence}") for sentence in sentences(chunk)])

    def _read(self, text: str) -> np.ndarray:
        words = _words(text)
        total = np.sum([self._word(word) for word in words] or [self._word("")], axis=0)
        unit: np.ndarray = total / max(float(np.linalg.norm(total)), float(np.finfo(np.float32).tiny))
        return unit

    def _read_word(self, word: str) -> np.ndarray:
        weighed: np.ndarray = self._vectors.word_vector(word) * self._weights.get(word, 1.0)
        return weighed


def sentences(chunk: Chunk) -> list[str]:
    """List a passage's title and its sentences; at least the title, be it empty."""
    parts = (part.strip() for part in _SENTENCE_END.split(chunk.text))
    return [chunk.title, *(part for part in parts if len(part.split()) >= _LEAST_WORDS)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
