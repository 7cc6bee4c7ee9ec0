"""Find the passages that hold the words of a question."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goldgate.standin.questions import BACKGROUND_WEIGHT, Part
from goldgate.standin.reading import Passage
from goldgate.standin.text import content_stems

MIN_MATCHED_WORDS = 1.6
"""A passage counts as an answer if it holds this many content words of the question: one, and one that begins alike.

On 226 answerable and 36 unanswerable questions over a technical reference (five passages each) the number of matched
words told the two apart better (area under the curve 0.90) than their share (0.84) or their rarity (0.75 to 0.81).
"""

MIN_MATCHED_RATIO = 0.5
"""... or, for a short question, more than this share of them."""

TITLE_WEIGHT = 1.3
"""A word of the title weighs more than one of the text."""

EARLY_WEIGHT = 0.2
"""Advantage of the first passage, halved for the second, a third for the third, ...: language models favour what
stands first (N. F. Liu et al., "Lost in the Middle", TACL 2024)."""

CLOSE_RATIO = 0.8
"""A second passage is told too if its score is at least this share of the best: a reader in doubt names both."""

PREFIX_WEIGHT = 0.6
"""Credit for a word that only begins alike (`parallel` and `parallelize`)."""

_PREFIX_LETTERS = 5


@dataclass(frozen=True, kw_only=True)
class Bag:
    """The content words of a text, without their order and number."""

    stems: frozenset[str]
    prefixes: frozenset[str]
    """How the longer ones begin."""

    @classmethod
    def of(cls, text: str) -> "Bag":
        """Collect the words of a text."""
        stems = frozenset(content_stems(text))
        return cls(stems=stems, prefixes=frozenset(s[:_PREFIX_LETTERS] for s in stems if len(s) >= _PREFIX_LETTERS))

    def match(self, stem: str) -> float:
        """Say how well a stem is held: 1, the credit for a common beginning, or 0."""
        if stem in self.stems:
            return 1.0
        if len(stem) >= _PREFIX_LETTERS and stem[:_PREFIX_LETTERS] in self.prefixes:
            return PREFIX_WEIGHT
        return 0.0


@dataclass(frozen=True, kw_only=True)
class HeldWords:
    """A passage, and how well it holds each stem that is asked for."""

    passage: Passage
    in_title: Mapping[str, float]
    anywhere: Mapping[str, float]
    """In the title or in the text, whichever holds it better."""

    @classmethod
    def of(cls, passage: Passage, stems: frozenset[str]) -> "HeldWords":
        """Look each stem up in a passage."""
        title, text = Bag.of(passage.title), Bag.of(passage.text)
        in_title = {stem: title.match(stem) for stem in stems}
        return cls(
            passage=passage,
            in_title=in_title,
            anywhere={stem: max(in_title[stem], text.match(stem)) for stem in stems},
        )

    def supports(self, part: Part, *, beside: frozenset[str]) -> bool:
        """Tell whether enough of a question stands here; what was sent along adds to it, and is never enough alone."""
        matched = sum(weight * self.anywhere[stem] for stem, weight in part.emphasis.items())
        if matched > MIN_MATCHED_RATIO * sum(part.emphasis.values()):
            return True
        beside_matched = BACKGROUND_WEIGHT * sum(self.anywhere[stem] for stem in beside) if matched >= 1 else 0.0
        return matched + beside_matched >= MIN_MATCHED_WORDS


def weigh_stems(emphasis: Mapping[str, float], held: Sequence[HeldWords]) -> dict[str, float]:
    """Weigh each stem by its emphasis and its rarity among the passages.

    A stem that no passage holds weighs as much as one that a single passage holds: it is missing evidence, not a
    proof that the question is about something else.

    Source: the inverse document frequency of BM25, ln(1 + (N - n + 0.5) / (n + 0.5)): Robertson and Zaragoza, "The
    Probabilistic Relevance Framework", 2009.
    """
    weights = {}
    for stem, weight in emphasis.items():
        holding = max(1, sum(1 for passage in held if passage.anywhere[stem]))
        weights[stem] = weight * math.log(1 + (len(held) - holding + 0.5) / (holding + 0.5))
    return weights


def rank_passages(weights: Mapping[str, float], held: Sequence[HeldWords], *, at_most: int) -> list[int]:
    """Pick the best passage and those close to it: their positions, best first. The earlier one wins a tie."""
    total = sum(weights.values()) or 1.0
    scores = []
    for position, passage in enumerate(held):
        anywhere = sum(weight * passage.anywhere[stem] for stem, weight in weights.items()) / total
        in_title = sum(weight * passage.in_title[stem] for stem, weight in weights.items()) / total
        scores.append(anywhere + (TITLE_WEIGHT - 1) * in_title + EARLY_WEIGHT / (1 + position))
    ranked = sorted(range(len(held)), key=lambda position: -scores[position])[:at_most]
    return [position for position in ranked if scores[position] >= CLOSE_RATIO * scores[ranked[0]]]
