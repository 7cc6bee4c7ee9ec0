"""Take a message apart into its questions, and weigh their words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from goldgate.standin.text import content_stems, ordered_unique, sentences

BACKGROUND_WEIGHT = 0.5
"""A word beside the question proper (of another sentence, of an attachment) against one of the question."""

MAX_PARTS = 3
"""How many questions of one message are answered."""

_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|often|big|large|far|high|old|soon|fast)\b|\b(?:which|what) (?:number|port|size)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One question of a message."""

    emphasis: Mapping[str, float]
    """1 for a stem of the question, less for one of its surroundings."""
    asks_number: bool

    @property
    def stems(self) -> frozenset[str]:
        """The stems of the question itself."""
        return frozenset(stem for stem, emphasis in self.emphasis.items() if emphasis == 1)


def split_question(question: str) -> list[Part]:
    """Take a message apart into its questions, at most `MAX_PARTS`; the sentences around one are its background.

    A message with fewer than two question marks is one question, all of it.
    """
    asked = [sentence for line in question.splitlines() for sentence in sentences(line)]
    marked = [sentence for sentence in asked if sentence.endswith("?") and content_stems(sentence)]
    everything = ordered_unique(content_stems(question))
    whole = question if len(marked) < 2 else None  # noqa: PLR2004 - two questions are several
    return [
        Part(
            emphasis={stem: 1.0 if stem in own else BACKGROUND_WEIGHT for stem in everything},
            asks_number=bool(_ASKS_NUMBER.search(text)),
        )
        for text in ([whole] if whole is not None else marked[:MAX_PARTS])
        for own in [frozenset(content_stems(text))]
    ]
