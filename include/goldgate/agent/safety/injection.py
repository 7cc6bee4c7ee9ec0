"""Find instructions that try to replace the agent's own, in questions and in text from elsewhere.

A list of known forms, in the open (`injection_forms`): it stops what is common, not what is clever. What must never
happen is held elsewhere: the tool allow-list, the redaction of answers, the gates. What it finds and misses is
measured: `include/docs/safety.md`.
"""

import json
import re
import unicodedata

from goldgate.agent.safety.disguises import plain_views
from goldgate.agent.safety.folding import INVISIBLE
from goldgate.agent.safety.gated import GatedPatterns
from goldgate.agent.safety.injection_forms import IN_CONTEXT, IN_QUESTION

MARK = "[removed: text that speaks to the model]"
"""Stands where an instruction stood, so that the model knows of the gap."""

_QUESTION = GatedPatterns(IN_QUESTION)
_CONTEXT = GatedPatterns(IN_CONTEXT)
_OWN_WORK = re.compile(
    r"\b(?:how\s+(?:do|can|could|should|would)\s+(?:i|we|one)|how\s+to|(?:can|may|should)\s+(?:i|we)|"
    r"do\s+(?:i|we)\s+(?:have|need)\s+to)\s+"
    r"(?:pretend|ignore|skip|drop|bypass|forget|override|disregard|discard|print|show|repeat|output|display|dump|copy)\b"
    r"(?![^.?!\n]{0,60}\b(?:you|your|prompts?|instructions?|above|hidden|secret)\b)",
    re.IGNORECASE,
)
"""`How do I skip all existing rules in ruff?`: who asks is to do it, not the model."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def readable(text: str) -> str:
    """Bring text to the one form that is checked and sent: NFKC, no invisible characters."""
    return INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def holds_injection(question: str) -> bool:
    """Tell whether a question, in readable form, tries to replace the agent's instructions."""
    return any(_QUESTION.found_in(_OWN_WORK.sub(" ", view)) for view in plain_views(question))


def speaks_to_the_model(text: str) -> bool:
    """Tell whether a text of others holds instructions for the model, in plain words or disguised."""
    return any(_CONTEXT.found_in(view) for view in plain_views(text))


def without_instructions(text: str) -> tuple[str, bool]:
    """Remove from text of others every sentence that speaks to the model.

    Returns:
        What is left, perhaps nothing, and whether something was removed. Text without instructions comes back as it
        is, to the character.
    """
    return _cleaned(text, mark="")


def marked_instructions(text: str) -> tuple[str, bool]:
    """Put a mark in the place of every sentence that speaks to the model, and say whether there was one.

    JSON stays JSON: its strings are looked at one by one.
    """
    if not speaks_to_the_model(text):
        return text, False
    if text.lstrip().startswith(("{", "[")) and (value := _json(text)) is not None:
        left = json.dumps(_marked_value(value), ensure_ascii=False)
        if not speaks_to_the_model(left):
            return left, True
    left, _ = _cleaned(text, mark=f"{MARK} ")
    return left.strip() or MARK, True


def _cleaned(text: str, *, mark: str) -> tuple[str, bool]:
    if not speaks_to_the_model(text):
        return text, False
    kept: list[str] = []
    position = 0
    for end in [*_SENTENCE_END.finditer(text), None]:
        sentence = text[position : end.end() if end else len(text)]
        if not speaks_to_the_model(sentence):
            kept.append(sentence)
        elif mark and (not kept or kept[-1] != mark):
            kept.append(mark)
        position = end.end() if end else len(text)
    left = "".join(kept)
    # An instruction that runs over a sentence's end is only seen in the whole: then nothing of the text is kept.
    return (mark.strip(), True) if speaks_to_the_model(left) else (left.strip(), True)


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _marked_value(value: object) -> object:
    match value:
        case str():
            return marked_instructions(value)[0]
        case dict():
            return {str(_marked_value(key)): _marked_value(part) for key, part in value.items()}
        case list():
            return [_marked_value(part) for part in value]
        case _:
            return value
