"""Read the rules of a system prompt: which of the few behaviours that the stand-in has are asked for.

A rule counts only if the prompt states it, so an agent whose prompt is poor behaves poorly.
"""

import re
from dataclasses import dataclass

DEFAULT_REFUSAL = "I do not know."
"""Said when a prompt asks for refusals and gives no sentence for them, and when there is nothing to read at all."""

_SOURCES = r"(?:passages?|context|excerpts?|documents?|sources?|material|text)"
_NOT = r"(?:\bnot\b|n't\b|\bcannot\b)"
_CITE = re.compile(r"\bcit(?:e|es|ing|ation|ations)\b", re.IGNORECASE)
_NO_CITE = re.compile(r"(?:\bnot|n't|\bnever|\bwithout|\bno)\s+(?:\w+\s+)?(?:cit(?:e|ing|ations?))\b", re.IGNORECASE)
_REFUSE = re.compile(
    r"\brefuse|\bdecline\b"
    r"|\b(?:do|does|did)(?:\s+not|n['\u2019]t)\s+know\b"
    rf"|\b(?:only|solely|exclusively|nothing but)\b[^.\n]{{0,40}}\b{_SOURCES}\b"
    rf"|\b{_SOURCES}\b[^.\n]{{0,30}}{_NOT}[^.\n]{{0,20}}\b(?:answer|contain|cover|say|hold|support|mention)",
    re.IGNORECASE,
)
_GIVEN = rf"(?:{_SOURCES}|attach\w*|quoted?|anything)"
_DATA = (
    re.compile(rf"\b{_GIVEN}\b[^.\n]{{0,80}}\b(?:data|never instructions|not instructions)\b", re.IGNORECASE),
    re.compile(
        r"\b(?:never|not)\b[^.\n]{0,20}\b(?:follow|obey|act on|execute)\b[^.\n]{0,40}"
        r"\b(?:instruction|command|order)s?\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\bignore\b[^.\n]{{0,20}}\binstructions?\b[^.\n]{{0,30}}\b(?:in|inside|within|from)\b[^.\n]{{0,20}}\b{_GIVEN}",
        re.IGNORECASE,
    ),
)
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{3,400})[\"”]|`([^`\n]{3,400})`|(?<!\w)'([^'\n]{3,400}?)'(?!\w)")
_ANNOUNCED = re.compile(r"\b(?:say|says|reply|replies|answer|respond|write|with|exactly|sentence)\b\W*$", re.IGNORECASE)
_NEGATIVE = re.compile(
    r"\b(?:not|no|cannot|unable|sorry|nothing|refuse|decline|outside|only)\b|n['\u2019]t\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the system prompt asks for."""

    cites: bool
    """Every answer names the passages it was taken from."""
    refusal: str | None
    """What to say if the passages do not answer. None: the prompt does not ask for refusals."""
    distrusts_context: bool
    """Passages and attachments are data and never instructions."""


def read_rules(prompt: str) -> Rules:
    """Find the rules that a system prompt states in prose. An empty prompt states none."""
    return Rules(
        cites=bool(_CITE.search(prompt)) and not _NO_CITE.search(prompt),
        refusal=_refusal(prompt),
        distrusts_context=any(pattern.search(prompt) for pattern in _DATA),
    )


def _refusal(prompt: str) -> str | None:
    """Take the refusal sentence in quotes nearest after the rule, else the usual one; None without the rule."""
    cue = _REFUSE.search(prompt)
    if cue is None:
        return None
    for quoted in _QUOTED.finditer(prompt):
        sentence = next(group for group in quoted.groups() if group is not None).strip()
        is_announced = _ANNOUNCED.search(prompt[max(0, quoted.start() - 40) : quoted.start()])
        if is_announced and " " in sentence and _NEGATIVE.search(sentence):
            return sentence
    return DEFAULT_REFUSAL
