"""Answer a question from passages by copying the sentences that share its words.

Purely extractive: every word of an answer stands in a passage. A passage is preferred for the question's rare words
(rare among the passages given), for its title, and slightly for coming early; so retrieval, reranking and the
length of the context decide how good the answer is.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from goldgate.standin.injections import find_injections
from goldgate.standin.reading import Passage
from goldgate.standin.text import content_stems, ordered_unique, sentences

MIN_SUPPORT_RATIO = 0.18
"""Share of the question's weight that a passage must hold to count as an answer."""

TITLE_WEIGHT = 1.3
"""A word of the title weighs more than one of the text."""

EARLY_WEIGHT = 0.2
"""Advantage of the first passage, halved for the second, a third for the third, ...: language models favour what
stands first (N. F. Liu et al., "Lost in the Middle", TACL 2024)."""

PREFIX_WEIGHT = 0.6
"""Credit for a word that only begins alike (`parallel` and `parallelize`)."""

LABEL_WEIGHT = 1.5
"""Credit for a line such as `Default: 32` whose label the question names."""

KEPT_RATIO = 0.6
"""A further sentence is copied if it scores at least this share of the best one."""

MAX_SENTENCES = 3
MAX_PARTS = 3
"""How many questions of one message are answered."""

_PREFIX_LETTERS = 5
_LABEL = re.compile(r"^[-*\s]*([A-Z][\w /-]{0,40}?):\s+\S")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Where a question is answered."""

    passage: Passage
    support: float
    """Share of the question's weight that the passage holds, 0 to 1."""
    copied: tuple[str, ...]
    """Sentences or lines, in the order of the passage."""


@dataclass(frozen=True, kw_only=True)
class _Bag:
    stems: frozenset[str]
    prefixes: frozenset[str]

    @classmethod
    def of(cls, text: str) -> "_Bag":
        stems = frozenset(content_stems(text))
        return cls(stems=stems, prefixes=frozenset(s[:_PREFIX_LETTERS] for s in stems if len(s) >= _PREFIX_LETTERS))

    def match(self, stem: str) -> float:
        """Say how well a stem is held: 1, the credit for a common beginning, or 0."""
        if stem in self.stems:
            return 1.0
        if len(stem) >= _PREFIX_LETTERS and stem[:_PREFIX_LETTERS] in self.prefixes:
            return PREFIX_WEIGHT
        return 0.0


def find_answers(question: str, passages: Sequence[Passage], *, skip_injections: bool) -> list[Finding]:
    """Find the best passage for each part of a question.

    Args:
        question: One or several questions.
        passages: In the order given to the model.
        skip_injections: Never copy sentences that carry planted instructions.

    Returns:
        One finding a passage, best supported question first come; empty without passages. Weak findings are
        included: the caller holds their `support` against `MIN_SUPPORT_RATIO`.
    """
    if not passages:
        return []
    texts = [_Bag.of(passage.text) for passage in passages]
    titles = [_Bag.of(passage.title) for passage in passages]
    merged: dict[int, Finding] = {}
    for part in _parts(question):
        weights = _weights(part, texts, titles)
        best, support = _best_passage(weights, texts, titles)
        labels = frozenset(stem for stem, emphasis in part.items() if emphasis == 1)
        copied = _copy(passages[best], weights, labels=labels, skip_injections=skip_injections)
        found = Finding(passage=passages[best], support=support, copied=copied)
        merged[best] = _merged(merged[best], found) if best in merged else found
    return list(merged.values())


def write_answer(findings: Sequence[Finding], *, cites: bool) -> str:
    """Write findings as prose: title, copied sentences and, if asked for, the passage's id in brackets."""
    return "\n".join(_written(finding, cites=cites) for finding in findings)


def _written(finding: Finding, *, cites: bool) -> str:
    title, text = finding.passage.title, "\n".join(finding.copied)
    if title and title.lower() not in text.lower():
        text = f"{title}: {text}" if text else title
    return f"{text} [{finding.passage.id}]" if cites and finding.passage.id else text


def _parts(question: str) -> list[dict[str, float]]:
    """Weigh the words of each question asked; those of the sentences around it count half."""
    asked = [sentence for line in question.splitlines() for sentence in sentences(line)]
    marked = [s for s in asked if s.endswith("?") and content_stems(s)]
    everything = ordered_unique(content_stems(question))
    if len(marked) < 2:  # noqa: PLR2004 - one question: all its words count
        return [dict.fromkeys(everything, 1.0)]
    return [{stem: 1.0 if stem in set(content_stems(s)) else 0.5 for stem in everything} for s in marked[:MAX_PARTS]]


def _weights(part: dict[str, float], texts: Sequence[_Bag], titles: Sequence[_Bag]) -> dict[str, float]:
    """Weigh each stem of the question by its rarity among the passages.

    A stem that no passage holds weighs as much as one that a single passage holds: it is missing evidence, not a
    proof that the question is about something else.

    Source: the inverse document frequency of BM25, ln(1 + (N - n + 0.5) / (n + 0.5)): Robertson and Zaragoza, "The
    Probabilistic Relevance Framework", 2009.
    """
    count = len(texts)
    weights = {}
    for stem, emphasis in part.items():
        holding = sum(1 for bag, title in zip(texts, titles, strict=True) if bag.match(stem) or title.match(stem))
        holding = max(1, holding)
        weights[stem] = emphasis * math.log(1 + (count - holding + 0.5) / (holding + 0.5))
    return weights


def _best_passage(weights: dict[str, float], texts: Sequence[_Bag], titles: Sequence[_Bag]) -> tuple[int, float]:
    """Pick a passage: its position and its support. The earlier one wins a tie."""
    total = sum(weights.values()) or 1.0
    best, best_score, support = 0, -1.0, 0.0
    for position, (text, title) in enumerate(zip(texts, titles, strict=True)):
        held = sum(w * max(text.match(s), title.match(s)) for s, w in weights.items()) / total
        titled = sum(w * title.match(s) for s, w in weights.items()) / total
        score = held + (TITLE_WEIGHT - 1) * titled + EARLY_WEIGHT / (1 + position)
        if score > best_score:
            best, best_score, support = position, score, held
    return best, support


def _copy(
    passage: Passage, weights: dict[str, float], *, labels: frozenset[str], skip_injections: bool
) -> tuple[str, ...]:
    """Choose the sentences to copy, in their order; the first ones if none shares a word with the question."""
    units = [unit for line in passage.text.splitlines() for unit in _units(line)]
    if skip_injections:
        units = [unit for unit in units if not find_injections([unit])]
    scores = [_score(unit, weights, labels=labels) for unit in units]
    top = max(scores, default=0.0)
    if top <= 0:
        return tuple(units[:1])
    ranked = sorted(range(len(units)), key=lambda i: (-scores[i], i))
    kept = [i for i in ranked if scores[i] >= KEPT_RATIO * top][:MAX_SENTENCES]
    return ordered_unique([units[i] for i in sorted(kept)])


def _units(line: str) -> list[str]:
    return [line.strip()] if _LABEL.match(line) else sentences(line)


def _score(unit: str, weights: dict[str, float], *, labels: frozenset[str]) -> float:
    """Weigh a sentence by the question's words in it, and by its label if the question itself names that.

    Args:
        unit: A sentence or a labelled line.
        weights: Of each stem of the question and its surroundings.
        labels: The stems of the question itself.
    """
    bag = _Bag.of(unit)
    score = sum(weight * bag.match(stem) for stem, weight in weights.items())
    label = _LABEL.match(unit)
    if label is None:
        return score
    named = content_stems(label[1])
    return score + LABEL_WEIGHT * sum(1 for stem in named if stem in labels) / max(1, len(named))


def _merged(one: Finding, other: Finding) -> Finding:
    order = {line: i for i, line in enumerate(u for line in one.passage.text.splitlines() for u in _units(line))}
    lines = sorted({*one.copied, *other.copied}, key=lambda line: order.get(line, len(order)))
    return Finding(passage=one.passage, support=max(one.support, other.support), copied=tuple(lines))
