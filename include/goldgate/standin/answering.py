"""Answer a question from passages by copying the sentences that share its words.

Purely extractive: every word of an answer stands in a passage. A passage is preferred for the question's rare words
(rare among the passages given), for its title, and slightly for coming early; so retrieval, reranking and the
length of the context decide how good the answer is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from goldgate.standin.injections import without_injections
from goldgate.standin.matching import Bag, HeldWords, rank_passages, weigh_stems
from goldgate.standin.questions import BACKGROUND_WEIGHT, Part, split_question
from goldgate.standin.reading import Passage
from goldgate.standin.text import content_stems, ordered_unique, sentences

LABEL_WEIGHT = 1.5
"""Credit for a line such as `Default: 32` whose label the question names, or whose number a `how many` asks for."""

FIELD_WEIGHT = 0.5
"""A labelled line that is not asked for counts less than prose: it repeats the name of what it describes."""

KEPT_RATIO = 0.3
"""A further sentence is copied if what it adds weighs at least this share of the best one."""

MAX_SENTENCES = 3

_LABEL = re.compile(r"^[-*\s]*([A-Z][\w /-]{0,40}?):\s+(?=\S)")
_NUMBER_LINE = re.compile(r":\s+-?\d+(?:\.\d+)?\s*$")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Where a question is answered."""

    passage: Passage
    is_supported: bool
    """Enough of the question's words stand in the passage for it to be an answer."""
    copied: tuple[str, ...]
    """Sentences or lines, in the order of the passage."""


def find_answers(
    question: str, passages: Sequence[Passage], *, background: str = "", skip_injections: bool = False
) -> list[Finding]:
    """Find the best passage for each part of a question.

    Args:
        question: One or several questions.
        passages: In the order given to the model.
        background: What the caller sent along, such as a log that the question is about.
        skip_injections: Read the passages as if planted instructions were not there.

    Returns:
        One finding a passage, in the order of the questions; empty without passages. Findings that are not
        supported are included: the caller decides whether to refuse.
    """
    if skip_injections:
        passages = [replace(passage, text=without_injections(passage.text)) for passage in passages]
    parts = split_question(question)
    beside = frozenset(content_stems(background)).difference(*(part.emphasis for part in parts))
    stems = beside.union(*(part.emphasis for part in parts))
    held = [HeldWords.of(passage, stems) for passage in passages]
    merged: dict[int, Finding] = {}
    for part in parts if held else []:
        emphasis = {**dict.fromkeys(beside, BACKGROUND_WEIGHT), **part.emphasis}
        weights = weigh_stems(emphasis, held)
        for position in rank_passages(weights, held, at_most=2 if len(parts) == 1 else 1):
            passage = held[position].passage
            found = Finding(
                passage=passage,
                is_supported=held[position].supports(part, beside=beside),
                copied=_copy(passage, weights, part=part),
            )
            merged[position] = _merged(merged[position], found) if position in merged else found
    return list(merged.values())


def write_answer(findings: Sequence[Finding], *, cites: bool) -> str:
    """Write findings as prose: title, copied sentences and, if asked for, the passage's id in brackets."""
    return "\n".join(_written(finding, cites=cites) for finding in findings)


def _written(finding: Finding, *, cites: bool) -> str:
    title, text = finding.passage.title, "\n".join(finding.copied)
    if title and title.lower() not in text.lower():
        text = f"{title}: {text}" if text else title
    return f"{text} [{finding.passage.id}]" if cites and finding.passage.id else text


def _copy(passage: Passage, weights: Mapping[str, float], *, part: Part) -> tuple[str, ...]:
    """Choose the sentences to copy: greedily, each for what it adds, told in the order of the passage.

    If none shares a word with the question, the first one is copied.
    """
    units = _units(passage.text)
    bags = [Bag.of(unit) for unit in units]
    label_credits = [_label_credit(unit, part=part) for unit in units]
    left, chosen, least = dict(weights), list[int](), 0.0
    while len(chosen) < min(MAX_SENTENCES, len(units)):
        gains = {i: _gain(bags[i], left, label_credits[i]) for i in range(len(units)) if i not in chosen}
        best = max(gains, key=lambda i: gains[i])
        if gains[best] <= least:
            break
        least = least or KEPT_RATIO * gains[best]
        chosen.append(best)
        left = {stem: weight * (1 - bags[best].match(stem)) for stem, weight in left.items()}
    return ordered_unique([units[i] for i in sorted(chosen)] or units[:1])


def _units(text: str) -> list[str]:
    """Split a passage into sentences; a labelled line stays whole."""
    lines = [line.strip() for line in text.splitlines()]
    return [unit for line in lines for unit in ([line] if _LABEL.match(line) else sentences(line))]


def _gain(bag: Bag, left: Mapping[str, float], credit: float | None) -> float:
    """Weigh what a sentence adds.

    Args:
        bag: Its words.
        left: Weight of each stem that no chosen sentence holds yet.
        credit: Of its label; None without a label.
    """
    shared = sum(weight * bag.match(stem) for stem, weight in left.items())
    return shared if credit is None else FIELD_WEIGHT * shared + LABEL_WEIGHT * credit


def _label_credit(unit: str, *, part: Part) -> float | None:
    """Say how much of a line's label the question names, 0 to 1; all of it for a number that is asked for."""
    label = _LABEL.match(unit)
    if label is None:
        return None
    named = content_stems(label[1])
    share = sum(1 for stem in named if stem in part.stems) / max(1, len(named))
    return 1.0 if part.asks_number and _NUMBER_LINE.search(unit) else share


def _merged(one: Finding, other: Finding) -> Finding:
    copied = {*one.copied, *other.copied}
    return Finding(
        passage=one.passage,
        is_supported=one.is_supported or other.is_supported,
        copied=ordered_unique([unit for unit in _units(one.passage.text) if unit in copied]),
    )
