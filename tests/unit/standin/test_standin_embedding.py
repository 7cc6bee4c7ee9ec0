"""Vectors of hashed words."""

import math

from hypothesis import given
from hypothesis import strategies as st

from goldgate.standin.embedding import embed


def cosine(one, other):
    return sum(a * b for a, b in zip(embed(one, dimensions=256), embed(other, dimensions=256), strict=True))


class TestEmbed:
    @given(st.text(min_size=1), st.integers(8, 300))
    def test_makes_vectors_of_unit_length(self, text, dimensions):
        vector = embed(text, dimensions=dimensions)

        assert len(vector) == dimensions
        assert math.isclose(math.hypot(*vector), 1)
        assert vector == embed(text, dimensions=dimensions)

    def test_brings_texts_near_that_share_words(self):
        near = cosine("How are retries configured?", "Configuring the retry of a task")
        far = cosine("How are retries configured?", "The pool has many slots")

        assert near > 0.5 > far
