"""Embeddings without a model: a hashed bag of stemmed words.

Texts that share words come out near each other; texts that merely mean the same do not. Good for tests of the
plumbing, not for retrieval that should be better than a search for words.
"""

import hashlib
import math
from collections import Counter
from functools import lru_cache

from goldgate.standin.text import content_stems, words


def embed(text: str, *, dimensions: int) -> list[float]:
    """Make a vector of unit length.

    Each stem adds the square root of its count, with a sign of its own, at a position of its own (feature hashing:
    Weinberger et al., ICML 2009). A text without content words is hashed by its plain words, one without words as
    a whole, so that no text is without a vector.
    """
    counts = Counter(content_stems(text) or words(text) or [text])
    vector = [0.0] * dimensions
    for stem, count in counts.items():
        position, sign = _place(stem)
        vector[position % dimensions] += sign * math.sqrt(count)
    norm = math.sqrt(sum(value * value for value in vector))
    if norm == 0:
        return embed(hashlib.sha256(text.encode()).hexdigest(), dimensions=dimensions)
    return [value / norm for value in vector]


@lru_cache(maxsize=65_536)
def _place(stem: str) -> tuple[int, float]:
    digest = hashlib.blake2b(stem.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:7]), 1.0 if digest[7] % 2 else -1.0
